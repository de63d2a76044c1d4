"""The journal always opens: whatever has happened to the file, what can be read comes back and the loss is declared."""

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.errors import JournalDamaged, JournalError
from edge_agent.journal.file import BALLAST, FILE, PAGE, SUSPECT
from edge_agent.journal.missing import END_OF_EPOCH
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS, pack
from edge_agent.records import Alarm
from tests.journals import MACHINE, Bench, bench, coded

VISITS = 600


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with some hundred visits and samples and an alarm, closed in good order."""
    directory = tmp_path_factory.mktemp("worn")
    with bench(directory) as it:
        for number in range(VISITS):
            it.swipe(f"{number:032x}")
            it.measure(20.0 + number % 7, seconds=11.0)
        it.recorder.submit("station", [Alarm("sos", active=True)])
        it.recorder.flush()
    return directory


@pytest.fixture
def ours(worn: Path, tmp_path: Path) -> Bench:
    """A bench on a copy of it."""
    shutil.copytree(worn / "journal", tmp_path / "journal")
    it = Bench(tmp_path)
    it.clock.advance(VISITS * 11.0 + 60.0)
    return it


def gaps(it: Bench, stream: str) -> list[tuple[str, int, int]]:
    """Return (epoch, from, to) of every declared loss."""
    bodies = [json.loads(row.body) for row in it.rows(stream, "gap")]
    return [(body["of_epoch"], body["from_seq"], body["to_seq"]) for body in bodies]


def check_complete(it: Bench, old: dict[str, list[Row]], name: str) -> int:
    """Whatever is not there any more is covered by a gap record, whatever is there is unchanged; return the lost."""
    lost = 0
    for stream in STREAMS:
        now = {(row.epoch, row.seq): row for row in it.rows(stream)}
        declared = gaps(it, stream)
        assert (name, END_OF_EPOCH) in {(epoch, last) for epoch, _, last in declared}
        for row in old[stream]:
            found = now.get((row.epoch, row.seq))
            if found is None:
                lost += 1
                assert any(name == epoch and first <= row.seq <= last for epoch, first, last in declared), row
            else:
                assert found == row
        own = [row.seq for row in it.rows(stream) if row.epoch == it.journal.epoch]
        assert own == list(range(1, len(own) + 1))
    return lost


def content(it: Bench) -> dict[str, list[Row]]:
    """Return every row of a healthy journal."""
    it.open()
    found = {stream: it.rows(stream) for stream in STREAMS}
    it.crash()
    return found


def test_a_healthy_file_is_simply_opened(ours: Bench) -> None:
    """No new epoch, nothing declared, everything there."""
    ours.open()
    assert (ours.opened.damage, ours.opened.missing, ours.opened.salvage, ours.journal.epoch) == ("", (), None, 1)
    assert ours.view.totals.lifetime == {"visits": VISITS}
    assert len(ours.rows("usage")) == VISITS
    assert sorted(path.name for path in ours.directory.iterdir() if "-" not in path.name) == [
        "journal.ballast",
        "journal.db",
        "journal.head",
        "journal.lock",
        "visitors.keys",
    ]
    ours.crash()


def flip(path: Path, pages: list[int]) -> None:
    """Overwrite pages (counted from 1) with noise."""
    content = bytearray(path.read_bytes())
    noise = random.Random(7)
    for page in pages:
        content[(page - 1) * PAGE : page * PAGE] = noise.randbytes(PAGE)
    path.write_bytes(content)


def truncate(path: Path, share: float) -> None:
    """Cut the file off."""
    os.truncate(path, int(path.stat().st_size * share) // PAGE * PAGE)


def pages_of(path: Path) -> int:
    """Count them."""
    return path.stat().st_size // PAGE


def root_page(path: Path, table: str) -> int:
    """Return the page at which a table's b-tree begins."""
    with sqlite3.connect(path) as db:
        root: int = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    db.close()
    return root


def first_leaf(path: Path, table: str) -> int:
    """Return the leftmost leaf below the root of a table (sqlite.org/fileformat2.html, "B-tree Pages")."""
    page = path.read_bytes()[(root_page(path, table) - 1) * PAGE :][:PAGE]
    cell = int.from_bytes(page[12:14], "big")
    return int.from_bytes(page[cell : cell + 4], "big")


@pytest.mark.parametrize("page", range(2, 26))
def test_one_broken_page(ours: Bench, page: int) -> None:
    """Whichever page is broken: everything else comes back unchanged, the loss is declared, the totals hold."""
    old = content(ours)
    name = ours.journal.epoch_name
    flip(ours.directory / FILE, [page])
    ours.open()
    assert ours.opened.damage
    ours.settle()
    lost = check_complete(ours, old, name)
    assert ours.view.totals.lifetime["visits"] == VISITS
    assert lost < len(old["usage"]) + len(old["tele"]) + 1
    assert ours.journal.epoch_name != name
    ours.swipe("new")
    assert ours.view.totals.lifetime["visits"] == VISITS + 1
    ours.crash()


@pytest.mark.parametrize("seed", range(12))
def test_many_broken_pages(ours: Bench, seed: int) -> None:
    """Several holes in one stream are found one by one, and what is between them comes back."""
    old = content(ours)
    name = ours.journal.epoch_name
    path = ours.directory / FILE
    flip(path, random.Random(seed).sample(range(2, pages_of(path) + 1), 5))
    ours.open()
    ours.settle()
    check_complete(ours, old, name)
    assert ours.view.totals.lifetime["visits"] == VISITS
    ours.crash()


def test_a_hole_in_the_middle_costs_its_rows_only(ours: Bench) -> None:
    """One lost leaf of the usage stream: the rows around it are there, exactly the missing ones are declared."""
    old = content(ours)
    name = ours.journal.epoch_name
    path = ours.directory / FILE
    flip(path, [first_leaf(path, "usage")])
    ours.open()
    ours.settle()
    lost = check_complete(ours, old, name)
    assert 20 < lost < 120
    first, second = gaps(ours, "usage")
    assert (first[1], first[2] - first[1] + 1) == (1, lost)
    assert second == (name, VISITS + 1, END_OF_EPOCH)
    ours.crash()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file(ours: Bench, share: float) -> None:
    """Even with nothing left the lifetime total and the names of the epochs are known from the side file."""
    old = content(ours)
    name = ours.journal.epoch_name
    truncate(ours.directory / FILE, share)
    ours.open()
    ours.settle()
    check_complete(ours, old, name)
    # The side file is at most a minute old.
    assert VISITS - 6 <= ours.view.totals.lifetime["visits"] <= VISITS
    ours.crash()


@pytest.mark.parametrize("make", [lambda p: p.write_bytes(b"what is this" * 5000), lambda p: p.unlink()])
def test_garbage_or_nothing_instead_of_the_file(ours: Bench, make: Callable[[Path], None]) -> None:
    """A file that is no database, or that is gone, is a loss to declare and no reason not to start."""
    old = content(ours)
    name = ours.journal.epoch_name
    make(ours.directory / FILE)
    ours.open()
    ours.settle()
    assert check_complete(ours, old, name) == sum(map(len, old.values()))
    ours.crash()


def test_garbage_without_any_side_file(tmp_path: Path) -> None:
    """With nothing known of before there is nothing to declare; the damage is told."""
    it = Bench(tmp_path)
    it.directory.mkdir()
    (it.directory / FILE).write_bytes(b"garbage" * 1000)
    it.open()
    assert "not a database" in it.opened.damage
    it.settle()
    it.swipe("a")
    assert it.seqs("usage") == [1]
    it.crash()


def test_a_database_of_somebody_else(tmp_path: Path) -> None:
    """A healthy file without our tables is set aside too."""
    it = Bench(tmp_path)
    it.directory.mkdir()
    with sqlite3.connect(it.directory / FILE) as db:
        db.execute("CREATE TABLE meta (x)")
    db.close()
    it.open()
    assert "already exists" in it.opened.damage
    it.swipe("a")
    assert it.seqs("usage") == [1]
    it.crash()


def test_torn_wal(ours: Bench) -> None:
    """A WAL cut anywhere gives back every transaction before the cut; nothing is set aside for it."""
    ours.open()
    for number in range(20):
        ours.swipe(f"late {number}")
    for suffix in ("", "-wal"):
        shutil.copy(ours.directory / (FILE + suffix), ours.directory.parent / f"copy{suffix}")
    (ours.directory / "journal.head").unlink()
    ours.crash()
    whole = (ours.directory.parent / "copy-wal").read_bytes()
    found = set()
    for cut in range(0, len(whole), 5000):
        shutil.copy(ours.directory.parent / "copy", ours.directory / FILE)
        (ours.directory / (FILE + "-wal")).write_bytes(whole[:cut])
        (ours.directory / "journal.head").unlink(missing_ok=True)
        ours.open()
        assert not ours.opened.damage
        seqs = ours.seqs("usage")
        assert seqs == list(range(1, len(seqs) + 1))
        assert ours.view.totals.lifetime["visits"] == len(ours.rows("usage", "visit"))
        found.add(len(seqs))
        ours.crash()
    assert min(found) == VISITS
    assert max(found) > VISITS + 15


def test_flipped_bits_inside_a_record(ours: Bench) -> None:
    """A record that is not what was accepted any more is not carried over, and its seq is declared."""
    old = content(ours)
    name = ours.journal.epoch_name
    with sqlite3.connect(ours.directory / FILE) as db:
        db.execute("UPDATE tele SET body = '{]' WHERE id = ?", (pack(1, 10),))
        db.execute("UPDATE tele SET body = '[]' WHERE id = ?", (pack(1, 20),))
        db.execute("UPDATE tele SET boot = 'x' WHERE id = ?", (pack(1, 30),))
        db.execute("UPDATE tele SET body = '{\"temperature_c\":99.9}' WHERE id = ?", (pack(1, 40),))
        db.execute("UPDATE state SET value = '{' WHERE key = 'swipes'")
        db.execute("PRAGMA ignore_check_constraints = 1")
    db.close()
    flip(ours.directory / FILE, [9])
    ours.open()
    ours.settle()
    check_complete(ours, old, name)
    ours.crash()


def test_a_suspect_file_is_looked_at_whole(ours: Bench) -> None:
    """A file too large to be checked at every start is checked after a broken page was met while running."""
    ours.check_up_to = 0
    path = ours.directory / FILE
    flip(path, [first_leaf(path, "tele")])
    with pytest.raises(JournalDamaged):
        ours.open()
    assert not ours.opened.damage
    assert (ours.directory / SUSPECT).exists()
    ours.crash()
    ours.open()
    assert ours.opened.damage
    assert not (ours.directory / SUSPECT).exists()
    ours.settle()
    ours.crash()


def test_damage_met_while_opening(ours: Bench) -> None:
    """A file that looks whole and turns out not to be is set aside all the same."""
    ours.script.fail("FROM epoch", error=coded(sqlite3.SQLITE_CORRUPT, "malformed"))
    ours.open()
    assert "malformed" in ours.opened.damage
    ours.settle()
    assert len(ours.rows("usage", "visit")) == VISITS
    ours.crash()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR])
def test_a_sick_disk_is_no_damage(ours: Bench, code: int) -> None:
    """A healthy file is never set aside because the disk is full, read-only or failing."""
    (ours.directory / BALLAST).unlink()
    ours.script.fail("FROM epoch", error=coded(code))
    with pytest.raises(JournalError, match="cannot be opened"):
        ours.open()
    assert not list(ours.directory.glob("damaged-*"))
    ours.open()
    assert ours.view.totals.lifetime == {"visits": VISITS}
    ours.crash()


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    """What cannot be opened for reasons of its place is told with its place."""
    it = Bench(tmp_path)
    (it.directory / FILE).mkdir(parents=True)
    with pytest.raises(JournalError, match=r"journal\.db"):
        it.open()


@pytest.mark.parametrize("statement", ["INTO ledger", "INTO epoch", "INTO state", "user_version"])
def test_a_new_file_that_cannot_be_written(ours: Bench, statement: str) -> None:
    """The damaged file stays the best there is until its successor is whole: the next start tries again."""
    old = content(ours)
    name = ours.journal.epoch_name
    flip(ours.directory / FILE, [12])
    ours.script.fail(statement, error=coded(sqlite3.SQLITE_IOERR, "broken disk"))
    with pytest.raises(JournalError, match="broken disk; a new journal cannot be begun"):
        ours.open()
    ours.script.times = 0
    ours.open()
    ours.settle()
    check_complete(ours, old, name)
    assert ours.view.totals.lifetime["visits"] == VISITS
    ours.crash()


def test_the_oldest_damaged_files_go(ours: Bench) -> None:
    """The newest two are kept for whoever wants to look."""
    for _ in range(4):
        flip(ours.directory / FILE, [8])
        ours.open()
        ours.settle()
        ours.crash()
    assert sorted(path.name for path in ours.directory.glob("damaged-*")) == ["damaged-3", "damaged-4"]


def test_a_salvage_goes_on_after_a_crash(ours: Bench) -> None:
    """Cut off after any step, it carries on where it was: nothing twice, nothing forgotten."""
    old = content(ours)
    name = ours.journal.epoch_name
    flip(ours.directory / FILE, [9, 14])
    lives = 0
    while True:
        ours.open()
        lives += 1
        if not ours.upkeep.salvaging:
            break
        ours.crash()
    assert lives > 3
    ours.settle()
    check_complete(ours, old, name)
    assert ours.view.totals.lifetime["visits"] == VISITS
    ours.crash()


def test_damage_during_a_salvage(ours: Bench) -> None:
    """What the first salvage had not carried over when the second damage came is carried over from the first file."""
    old = content(ours)
    name = ours.journal.epoch_name
    flip(ours.directory / FILE, [11])
    ours.open()
    ours.swipe("between")
    second = ours.journal.epoch_name
    ours.crash()
    path = ours.directory / FILE
    flip(path, [pages_of(path)])
    ours.open()
    ours.settle()
    check_complete(ours, old, name)
    assert second in {epoch for epoch, _, _ in gaps(ours, "usage")}
    ours.crash()


def test_the_damaged_folder_is_taken_away(ours: Bench) -> None:
    """Somebody tidies up in the middle of a salvage: the rest is declared, the agent goes on."""
    old = content(ours)
    name = ours.journal.epoch_name
    flip(ours.directory / FILE, [11])
    ours.open()
    ours.crash()
    shutil.rmtree(ours.directory / "damaged-1")
    ours.open()
    ours.settle()
    check_complete(ours, old, name)
    ours.crash()


def test_setting_aside_is_interrupted(ours: Bench) -> None:
    """The power goes after the file was moved and before its WAL was: both are found together again."""
    old = content(ours)
    name = ours.journal.epoch_name
    flip(ours.directory / FILE, [11])
    (ours.directory / "damaged-1").mkdir()
    (ours.directory / FILE).rename(ours.directory / "damaged-1" / FILE)
    (ours.directory / (FILE + "-wal")).write_bytes(b"")
    ours.open()
    assert ours.opened.damage == "setting it aside was interrupted"
    assert sorted(path.name for path in ours.directory.glob("damaged-*")) == ["damaged-1"]
    ours.settle()
    check_complete(ours, old, name)
    ours.crash()


def test_a_lost_ledger_is_rebuilt(ours: Bench) -> None:
    """With the ledger unreadable, lifetime and hours are counted again from the records."""
    ours.open()
    today = ours.view.totals.today, ours.view.totals.hours
    ours.crash()
    (ours.directory / "journal.head").unlink()
    flip(ours.directory / FILE, [root_page(ours.directory / FILE, "ledger")])
    ours.open()
    assert ours.view.totals.lifetime == {}
    ours.swipe("meanwhile")
    ours.settle()
    assert ours.view.totals.lifetime["visits"] == VISITS + 1
    assert ours.view.totals.today["visits"] == today[0]["visits"] + 1
    ours.crash()


def test_names_of_epochs_are_known_from_the_side_file(ours: Bench) -> None:
    """With the table of epochs unreadable the records keep their names, which the centre knows them by."""
    name = content(ours) and ours.journal.epoch_name
    flip(ours.directory / FILE, [root_page(ours.directory / FILE, "epoch")])
    ours.open()
    ours.settle()
    assert ours.journal.epochs()[1] == name
    assert len(ours.rows("usage", "visit")) == VISITS
    ours.crash()


def test_names_that_nobody_knows_are_made_up(ours: Bench) -> None:
    """Without table and side file the records come back under a new name."""
    (ours.directory / "journal.head").unlink()
    flip(ours.directory / FILE, [root_page(ours.directory / FILE, "epoch")])
    ours.open()
    ours.settle()
    assert len(ours.journal.epochs()[1]) == 16
    assert len(ours.rows("usage", "visit")) == VISITS
    ours.crash()


def test_alarms_survive_a_damage(ours: Bench) -> None:
    """What was raised before is raised after, as far as it can be read."""
    flip(ours.directory / FILE, [12])
    ours.open()
    assert ("station", "sos") in ours.view.alarms
    ours.crash()


def test_a_file_put_back_from_a_copy(ours: Bench) -> None:
    """A journal older than its side file knows begins a new epoch, and declares what it has forgotten."""
    copy = (ours.directory / FILE).read_bytes()
    ours.open()
    name = ours.journal.epoch_name
    for _ in range(3):
        ours.swipe("later", seconds=61.0)
    ours.close()
    (ours.directory / FILE).write_bytes(copy)
    ours.open()
    assert not ours.opened.damage
    assert ours.journal.epoch_name != name
    assert (name, VISITS + 1, END_OF_EPOCH) in gaps(ours, "usage")
    ours.swipe("new", seconds=11.0)
    assert ours.rows("usage", "visit")[-1].epoch == 2
    ours.crash()


def test_a_file_whose_epoch_is_older_than_the_side_file(ours: Bench) -> None:
    """A copy from before the newest epoch began is told by the epoch's name."""
    copy = (ours.directory / FILE).read_bytes()
    ours.open()
    ours.journal.begin_epoch("test")
    name = ours.journal.epoch_name
    ours.swipe("later", seconds=61.0)
    ours.swipe("later still", seconds=61.0)
    ours.close()
    (ours.directory / FILE).write_bytes(copy)
    ours.open()
    assert (name, 1, END_OF_EPOCH) in gaps(ours, "usage")
    ours.crash()


def test_an_older_side_file_is_no_reason(ours: Bench) -> None:
    """It is always a little behind, also across the beginning of an epoch."""
    head = (ours.directory / "journal.head").read_bytes()
    ours.open()
    ours.swipe("later", seconds=61.0)
    ours.journal.begin_epoch("test")
    ours.swipe("later still")
    ours.crash()
    (ours.directory / "journal.head").write_bytes(head)
    ours.open()
    assert (ours.journal.epoch, ours.opened.missing) == (2, ())
    ours.crash()


def test_a_card_moved_to_another_machine(ours: Bench) -> None:
    """Two machines must never give out the same numbers: the copy begins a new epoch, once."""
    ours.machine_id.write_text(MACHINE[::-1], encoding="ascii")
    ours.open()
    assert ours.journal.epoch == 2
    ours.crash()
    ours.open()
    assert ours.journal.epoch == 2
    ours.crash()
    ours.machine_id.unlink()
    ours.open()
    assert ours.journal.epoch == 3
    ours.crash()


def test_the_journal_of_another_station(ours: Bench) -> None:
    """Its records and totals are not ours: it is set aside whole, and we begin from nothing."""
    ours.open()
    ours.journal.set_meta("station", "365-002")
    ours.crash()
    ours.open()
    assert ours.opened.damage == "the file belonged to station 365-002"
    assert ours.view.totals.lifetime == {}
    assert (ours.rows("usage"), ours.journal.epoch) == ([], 1)
    assert (ours.directory / "damaged-1" / FILE).exists()
    ours.crash()


def test_a_newer_file_is_left_alone(ours: Bench) -> None:
    """A downgrade is refused with a sentence, and the lock is free afterwards."""
    with sqlite3.connect(ours.directory / FILE) as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    before = (ours.directory / FILE).read_bytes()
    for _ in range(2):
        with pytest.raises(JournalError, match="newer version"):
            ours.open()
    assert (ours.directory / FILE).read_bytes() == before


def test_a_second_agent_touches_nothing(ours: Bench) -> None:
    """It is refused before it looks at the file."""
    ours.open()
    second = Bench(ours.directory.parent)
    with pytest.raises(JournalError, match="in use by another agent"):
        second.open()
    assert second.script.seen == []
    ours.swipe("still here")
    ours.crash()


def test_opening_that_fails_late_lets_go(ours: Bench) -> None:
    """A failure after the file was opened closes it."""
    ours.machine_id.write_text("other", encoding="ascii")
    ours.script.fail("INTO meta")
    with pytest.raises(JournalError, match="machine is not remembered"):
        ours.open()
    ours.open()
    ours.crash()


def test_a_failing_disk_under_the_check(ours: Bench) -> None:
    """Rights that are missing are told as such."""
    if os.geteuid() == 0:
        (ours.directory / FILE).unlink()
        (ours.directory / FILE).mkdir()
    else:
        (ours.directory / FILE).chmod(0)
    with pytest.raises(JournalError, match="see that the agent's user may"):
        ours.open()
