"""The journal file itself: numbers without gaps, transactions that may be written twice, errors told apart."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import JournalDamaged, JournalError, JournalFull
from edge_agent.journal.file import FILE, SUSPECT, hold
from edge_agent.journal.journal import Batch, Dated, Journal
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.journal.schema import MIGRATIONS, STREAMS, pack, unpack
from edge_agent.ranges import Ranges
from tests.journals import Script, coded, failing

BOOT = "boot-1"


def row(journal: Journal, stream: str = "usage", body: str = "{}", mono_ms: int = 1000) -> Row:
    """Return the next row of a stream."""
    seq = journal.reserve(stream)
    return Row(stream, journal.epoch, seq, "door", "visit", journal.boot, mono_ms, 5000, True, body)


def stored(directory: Path, stream: str = "usage") -> list[Row]:
    """Return what a reader finds."""
    reader = Reader(directory)
    rows = [found for found in reader.all_rows() if found.stream == stream]
    reader.close()
    return rows


@given(st.integers(1, 2**22), st.integers(0, 2**40 - 1))
def test_a_rowid_names_epoch_and_seq(epoch: int, seq: int) -> None:
    """Packing loses nothing and keeps the order."""
    assert unpack(pack(epoch, seq)) == (epoch, seq)
    assert pack(epoch, seq) < pack(epoch + 1, 0)


def test_seqs_go_on_across_reopening(tmp_path: Path) -> None:
    """Each stream counts for itself, from 1, without a gap, whatever was given out and not committed."""
    for life in range(3):
        journal = Journal(tmp_path, BOOT)
        for stream in STREAMS:
            assert journal.last_seq(stream) == life * 2
            journal.commit(Batch([row(journal, stream), row(journal, stream)]))
        journal.reserve("tele")
        journal.close()
    assert [found.seq for found in stored(tmp_path, "tele")] == [1, 2, 3, 4, 5, 6]


def test_a_new_epoch_counts_from_one(tmp_path: Path) -> None:
    """Old rows keep their numbers under the old name; the new epoch survives a restart even without rows."""
    journal = Journal(tmp_path, BOOT, new_epoch=iter(("aa", "bb")).__next__)
    journal.commit(Batch([row(journal), row(journal)]))
    journal.begin_epoch("test")
    journal.close()
    journal = Journal(tmp_path, BOOT)
    assert (journal.epoch, journal.epoch_name, journal.last_seq("usage")) == (2, "bb", 0)
    journal.commit(Batch([row(journal)]))
    journal.close()
    assert [(found.epoch, found.seq) for found in stored(tmp_path)] == [(1, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize("statement", ["BEGIN", "INTO usage", "INTO ledger", "INTO state", "INTO delivered", "COMMIT"])
@pytest.mark.parametrize("after", [False, True])
def test_a_failed_commit_is_given_again(tmp_path: Path, statement: str, after: bool) -> None:
    """Whichever statement fails, and whether or not it had been done: the same batch again makes it right, once."""
    script = Script()
    journal = Journal(tmp_path, BOOT, connect=failing(script))
    batch = Batch([row(journal), row(journal)])
    batch.ledger = {("life", "visits"): 2}
    batch.state = {"swipes": "[]", "gone": None}
    batch.delivered = {("usage", 1): Ranges([(1, 1)])}
    script.fail(statement, after=after)
    with pytest.raises(JournalError, match="disk I/O error; the same records are tried again"):
        journal.commit(batch)
    journal.commit(batch)
    journal.commit(batch)
    assert journal.ledger() == {("life", "visits"): 2}
    assert journal.state() == {"swipes": "[]"}
    journal.close()
    assert stored(tmp_path) == batch.rows


def test_a_rollback_that_fails_does_not_hide_why(tmp_path: Path) -> None:
    """SQLite has often rolled back by itself; the first error is the one that is told."""
    script = Script()
    journal = Journal(tmp_path, BOOT, connect=failing(script))
    script.fail("INTO usage", error=coded(sqlite3.SQLITE_FULL, "disk is full"))
    batch = Batch([row(journal)])
    execute = journal.db.execute

    class Dead:
        """A connection whose ROLLBACK fails too."""

        in_transaction = True
        executemany = journal.db.executemany

        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            """Fail where SQLite would."""
            if sql == "ROLLBACK":
                raise sqlite3.OperationalError("no transaction is active")
            return execute(sql, *args)  # type: ignore[arg-type]

    real, journal.db = journal.db, Dead()  # type: ignore[assignment]
    with pytest.raises(JournalFull, match="disk is full"):
        journal.commit(batch)
    journal.db = real
    real.execute("ROLLBACK")
    journal.commit(batch)
    journal.close()


def test_one_number_never_has_two_contents(tmp_path: Path) -> None:
    """A row that is there already with other content is a fault of the file, not something to be ignored."""
    journal = Journal(tmp_path, BOOT)
    first = row(journal)
    journal.commit(Batch([first]))
    with pytest.raises(JournalDamaged, match="usage 1/1 is there already"):
        journal.commit(Batch([first._replace(body='{"a":1}')]))
    journal.commit(Batch([first]))
    journal.close()
    assert stored(tmp_path) == [first]


def test_everything_a_batch_can_write(tmp_path: Path) -> None:
    """Rows that go, rows that come back, counts and texts that are forgotten, and a boot that is dated."""
    journal = Journal(tmp_path, BOOT)
    rows = [row(journal, body=f'{{"n":{n}}}') for n in range(4)]
    journal.commit(Batch(rows, ledger={("life", "visits"): 4, ("undated/1", "visits"): 4}, state={"a": "1"}))
    journal.begin_epoch("test")
    lost = rows[1]._replace(boot=77, epoch=1, seq=9)
    batch = Batch(restored=[lost], removed={"usage": [pack(1, 1), pack(1, 2)]})
    batch.ledger = {("undated/1", "visits"): None, ("2026-11-22 13", "visits"): 4}
    batch.state = {"a": None}
    batch.dated = [Dated(1, 123_456, 200)]
    assert batch
    assert not batch.urgent
    journal.commit(batch)
    journal.commit(batch)
    assert journal.ledger() == {("life", "visits"): 4, ("2026-11-22 13", "visits"): 4}
    assert journal.state() == {}
    assert list(journal.db.execute("SELECT * FROM boot")) == [
        (1, BOOT, 0, 123_456, 200),
        (77, "lost-77", 0, None, None),
    ]
    journal.close()
    assert stored(tmp_path) == [rows[2], rows[3], lost]


def test_an_empty_batch_is_nothing(tmp_path: Path) -> None:
    """Nobody commits for nothing; telemetry alone is not urgent."""
    journal = Journal(tmp_path, BOOT)
    assert not Batch()
    assert not Batch([row(journal, "tele")]).urgent
    assert Batch([row(journal, "alarm")]).urgent
    journal.close()


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=12))
def test_acknowledgements_join_like_a_set(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int]]
) -> None:
    """Ranges given one by one, overlapping, in any order, are stored as one set."""
    directory = tmp_path_factory.mktemp("journal")
    journal = Journal(directory, BOOT)
    for first, more in parts:
        journal.commit(Batch(delivered={("tele", 1): Ranges([(first, first + more)])}))
    journal.close()
    reader = Reader(directory)
    assert reader.delivered().get(("tele", 1), Ranges()) == Ranges((first, first + more) for first, more in parts)
    reader.close()


def test_the_station_has_lived_as_long_as_its_records_prove(tmp_path: Path) -> None:
    """The age of records is counted in running time, which no wall clock can falsify."""
    journal = Journal(tmp_path, "boot-1")
    assert (journal.boot, journal.lived_ms) == (1, 0)
    journal.commit(Batch([row(journal, "tele", mono_ms=60_000), row(journal, "usage", mono_ms=50_000)]))
    journal.close()
    journal = Journal(tmp_path, "boot-2")
    assert (journal.boot, journal.lived_ms) == (2, 60_000)
    journal.close()
    journal = Journal(tmp_path, "boot-3")
    assert (journal.boot, journal.lived_ms) == (3, 60_000)
    journal.commit(Batch([row(journal, "alarm", mono_ms=1_000)]))
    journal.close()
    journal = Journal(tmp_path, "boot-4")
    assert journal.lived_ms == 61_000
    journal.close()
    journal = Journal(tmp_path, "boot-2")
    assert (journal.boot, journal.lived_ms) == (2, 60_000)
    journal.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Two writers could destroy the file, so the second is told to wait for the first."""
    journal = Journal(tmp_path, BOOT)
    with pytest.raises(JournalError, match="in use by another agent"):
        Journal(tmp_path, BOOT)
    journal.close()
    Journal(tmp_path, BOOT).close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The message names the directory and what to look at."""
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(JournalError, match=r"file/journal: .*; see that the agent's user may write there"):
        hold(tmp_path / "file" / "journal")


def test_the_missing_directory_is_made(tmp_path: Path) -> None:
    """The first start needs nothing but a place; nobody else may read there."""
    directory = tmp_path / "a" / "b"
    Journal(directory, BOOT).close()
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A file of a newer version is left exactly as it is, and the sentence says what to do."""
    Journal(tmp_path, BOOT).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(JournalError, match=rf"\(schema 99, this one knows {len(MIGRATIONS)}\); install that"):
        Journal(tmp_path, BOOT)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_migration_keeps_a_copy(tmp_path: Path) -> None:
    """Each version's step runs once, in a transaction, after the file has been copied; the newest copy is kept."""
    journal = Journal(tmp_path, BOOT)
    kept = row(journal)
    journal.commit(Batch([kept]))
    journal.close()
    second = (*MIGRATIONS, "CREATE TABLE extra (x INTEGER);")
    Journal(tmp_path, BOOT, migrations=second).close()
    third = (*second, "CREATE TABLE more (x INTEGER);", "INSERT INTO extra VALUES (3);")
    journal = Journal(tmp_path, BOOT, migrations=third)
    assert journal.db.execute("SELECT x FROM extra").fetchall() == [(3,)]
    journal.close()
    assert [path.name for path in sorted(tmp_path.glob("journal.db.*"))] == [f"journal.db.v{len(second)}"]
    assert stored(tmp_path) == [kept]
    with sqlite3.connect(tmp_path / f"journal.db.v{len(second)}") as copy:
        assert copy.execute("SELECT count(*) FROM usage").fetchone() == (1,)
    copy.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Half a step is never left behind."""
    Journal(tmp_path, BOOT).close()
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path, BOOT, migrations=(*MIGRATIONS, "CREATE TABLE extra (x INTEGER); CREATE TABLE usage (x);"))
    journal = Journal(tmp_path, BOOT)
    assert journal.db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
    journal.close()


@pytest.mark.parametrize("statement", ["auto_vacuum", "INTO boot", "INTO epoch"])
def test_opening_that_fails_lets_go(tmp_path: Path, statement: str) -> None:
    """Neither file nor lock is held after a start that failed."""
    script = Script()
    script.fail(statement)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path, BOOT, connect=failing(script))
    Journal(tmp_path, BOOT).close()


def test_what_is_remembered_about_the_file(tmp_path: Path) -> None:
    """Facts about the file survive; a failure to keep one is told."""
    script = Script()
    journal = Journal(tmp_path, BOOT, connect=failing(script))
    assert journal.meta("machine") is None
    journal.set_meta("machine", "x")
    assert journal.meta("machine") == "x"
    script.fail("INTO meta")
    with pytest.raises(JournalError, match="machine is not remembered"):
        journal.set_meta("machine", "y")
    script.fail("INTO epoch")
    with pytest.raises(JournalError, match="no new epoch"):
        journal.begin_epoch("test")
    assert journal.epoch == 1
    journal.close()


@pytest.mark.parametrize(
    ("code", "kind", "suspect"),
    [
        (sqlite3.SQLITE_CORRUPT, JournalDamaged, True),
        (sqlite3.SQLITE_CORRUPT | 2 << 8, JournalDamaged, True),
        (sqlite3.SQLITE_NOTADB, JournalDamaged, True),
        (sqlite3.SQLITE_FULL, JournalFull, False),
        (sqlite3.SQLITE_IOERR_FSYNC, JournalError, False),
        (sqlite3.SQLITE_READONLY, JournalError, False),
        (sqlite3.SQLITE_BUSY, JournalError, False),
    ],
)
def test_errors_are_told_apart(tmp_path: Path, code: int, kind: type[JournalError], suspect: bool) -> None:
    """A full, busy or broken disk is not a damaged file; a damaged one is looked through at the next start."""
    script = Script()
    journal = Journal(tmp_path, BOOT, connect=failing(script))
    script.fail("COMMIT", error=coded(code))
    with pytest.raises(JournalError) as raised:
        journal.commit(Batch([row(journal)]))
    assert type(raised.value) is kind
    assert (tmp_path / SUSPECT).exists() is suspect
    journal.close()


def test_reader_before_the_first_start(tmp_path: Path) -> None:
    """The tools say what is missing instead of a stack trace."""
    with pytest.raises(JournalError, match="has the agent run here yet"):
        Reader(tmp_path)


def test_reader_finds_its_way(tmp_path: Path) -> None:
    """Pages in order, single rows, the newest alarm, counts, and what is remembered; nothing can be written."""
    journal = Journal(tmp_path, BOOT)
    usage = [row(journal, body=f'{{"n":{n}}}') for n in range(5)]
    alarm = [row(journal, "alarm")._replace(device="station", type="smoke") for _ in range(2)]
    journal.commit(Batch([*usage, *alarm], state={"a/1": "1", "a/2": "2", "b": "3"}, dated=[Dated(1, 7, 1)]))
    reader = Reader(tmp_path)
    assert reader.rows("usage", (1, 2), 2) == usage[2:4]
    assert reader.rows("usage", (0, 0), 2) == usage[:2]
    assert reader.row("usage", 1, 4) == usage[3]
    assert reader.row("usage", 1, 6) is None
    assert reader.newest_alarm("station", "smoke") == (1, 2)
    assert reader.newest_alarm("station", "sos") is None
    assert (reader.last("usage"), reader.last("tele")) == ((1, 5), (0, 0))
    assert (reader.last_of("usage", 1), reader.last_of("tele", 1), reader.last_of("usage", 2)) == (5, 0, 0)
    assert reader.count_after("usage", (1, 2)) == 3
    assert reader.remembered("a/") == {"a/1": "1", "a/2": "2"}
    assert reader.epochs() == {1: journal.epoch_name} == journal.epochs()
    assert reader.offsets() == {1: 7}
    with pytest.raises(sqlite3.OperationalError):
        reader._db.execute("DELETE FROM usage")
    reader.close()
    journal.close()
