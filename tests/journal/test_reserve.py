"""Alarms and usage find room when telemetry, or somebody else, has filled the disk."""

import json
import sqlite3
from pathlib import Path

import pytest

from edge_agent.errors import JournalFull
from edge_agent.journal.file import BALLAST as FILE
from edge_agent.journal.quota import Limits
from edge_agent.journal.reserve import Reserve
from edge_agent.records import Alarm, Reading
from tests.journals import Bench, bench, coded

FULL = coded(sqlite3.SQLITE_FULL, "database or disk is full")


def test_the_ballast_lies_ready(tmp_path: Path) -> None:
    """It takes its room at the first start, in proportion to the journal, and is kept over restarts."""
    it = Bench(tmp_path)
    it.cap = 32_000_000
    it.open()
    ballast = it.directory / FILE
    assert (ballast.stat().st_size, ballast.stat().st_mode & 0o777) == (32_000_000 // 4096 * 4096 // 16, 0o600)
    made = ballast.stat().st_mtime_ns
    it.crash()
    it.open()
    assert ballast.stat().st_mtime_ns == made
    assert not it.upkeep.tight
    it.cap = 64_000_000
    it.crash()
    it.open()
    assert ballast.stat().st_size == 64_000_000 // 4096 * 4096 // 16
    it.crash()


def test_the_wal_has_its_length_before_it_is_needed(tmp_path: Path) -> None:
    """Commits write into it and never make it longer; what they wrote is there after a crash."""
    with bench(tmp_path) as it:
        wal = it.directory / "journal.db-wal"
        for _ in range(20):
            it.step(0.1)
        size = wal.stat().st_size
        assert size == 4 << 20
        for number in range(50):
            it.swipe(str(number))
        assert wal.stat().st_size == size
        it.crash()
        it.open()
        assert len(it.rows("usage")) == 50


def test_a_full_disk_does_not_lengthen_the_wal(tmp_path: Path) -> None:
    """While the reserve is in use its room is for events."""
    it = Bench(tmp_path)
    it.free = 1000
    it.open()
    for _ in range(20):
        it.step(0.1)
    assert (it.directory / "journal.db-wal").stat().st_size < 1 << 20
    it.crash()


def test_the_ballast_is_given_up_when_the_disk_is_full(tmp_path: Path) -> None:
    """The failed transaction is repeated at once; until there is room again only events and alarms are stored."""
    with bench(tmp_path) as it:
        it.free = 1000
        it.script.fail("COMMIT", error=FULL)
        it.recorder.submit("door", [Reading("door", "open", prompt=True), Alarm("smoke", active=True)])
        assert it.step() == 0.0
        it.step()
        assert not (it.directory / FILE).exists()
        assert (len(it.rows("alarm")), len(it.rows("tele"))) == (1, 1)
        assert it.view.storage.tight
        for number in range(5):
            it.swipe(str(number))
            it.measure(20.0 + number, seconds=11.0)
        assert (len(it.rows("usage")), len(it.rows("tele"))) == (5, 1)
        assert it.view.devices["climate"].points["temperature_c"].reading.value == 24.0
        it.free = 10 << 30
        it.step(10.0)
        it.step(10.0)
        assert (it.directory / FILE).exists()
        (row,) = it.rows("tele", "gap")
        found = json.loads(row.body)
        assert (found["from_seq"], found["to_seq"], found["count"], found["reason"]) == (2, 6, 5, "disk_full")
        it.measure(50.0, seconds=10.0)
        assert it.seqs("tele") == [1, 7, 8]
        assert not it.view.storage.tight


def test_without_any_room_left_nothing_is_accepted(tmp_path: Path) -> None:
    """The ballast is spent and the disk still full: the batch waits, is said to wait, and recovers by itself."""
    with bench(tmp_path) as it:
        it.free = 1000
        it.script.fail("COMMIT", times=5, error=FULL)
        it.swipe("a")
        for _ in range(3):
            it.step(1.0)
            assert "full" in it.view.storage.trouble
            assert it.view.totals.lifetime == {}
        it.step(1.0)
        it.step(1.0)
        assert it.view.totals.lifetime == {"visits": 1}
        assert it.seqs("usage") == [1]


def test_an_error_that_is_not_about_room_costs_no_reserve(tmp_path: Path) -> None:
    """A card that fails for another reason while there is room keeps its ballast; with no room it is given up."""
    with bench(tmp_path) as it:
        it.script.fail("COMMIT", error=coded(sqlite3.SQLITE_IOERR))
        it.swipe("a")
        assert (it.directory / FILE).exists()
        it.step(1.0)
        it.free = 0
        it.script.fail("COMMIT", error=coded(sqlite3.SQLITE_IOERR))
        it.swipe("b")
        assert not (it.directory / FILE).exists()
        it.step()
        assert it.view.totals.lifetime == {"visits": 2}


def test_a_start_on_a_full_disk(tmp_path: Path) -> None:
    """Without room for the ballast the agent starts, stores no telemetry, and takes its reserve later."""
    it = Bench(tmp_path)
    it.free = 1000
    it.open()
    assert it.upkeep.tight
    it.swipe("a")
    it.measure(20.0)
    assert (len(it.rows("usage")), it.rows("tele")) == (1, [])
    it.free = 10 << 30
    it.step(10.0)
    assert not it.upkeep.tight
    it.crash()


def test_a_start_that_finds_the_disk_full_takes_the_ballast(tmp_path: Path) -> None:
    """What was kept for this is used for this; without it the reason is told."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.crash()
        it.clock.reboot("boot-2")
        it.free = 1000
        it.script.fail("INTO boot", error=FULL)
        it.open()
        assert not (it.directory / FILE).exists()
        it.swipe("b")
        assert it.view.totals.lifetime == {"visits": 2}
        it.crash()
        it.clock.reboot("boot-3")
        it.script.fail("INTO boot", error=FULL)
        with pytest.raises(JournalFull, match="full"):
            it.open()
        it.open()


def test_a_ballast_that_cannot_be_made(tmp_path: Path) -> None:
    """Whatever is in its way, the agent runs without; what can be swept away is, and it tries again."""
    it = Bench(tmp_path)
    (it.directory / FILE).mkdir(parents=True)
    it.open()
    assert it.upkeep.tight
    it.crash()
    (it.directory / FILE).rmdir()
    (it.directory / FILE).symlink_to("/nowhere/ballast")
    it.open()
    assert not it.upkeep.tight
    assert not (it.directory / FILE).is_symlink()
    it.crash()


def test_the_file_stops_below_its_limit(tmp_path: Path) -> None:
    """A file full of telemetry still takes events, makes room for itself, and gets its margin back."""
    it = Bench(tmp_path)
    it.cap = 1 << 20
    it.limits = Limits(max_bytes=4_000_000)
    it.open()
    text = "x" * 2000
    for number in range(450):
        it.recorder.submit("blog", [Reading("text", f"{number}{text}", prompt=True)])
        it.step(10.0)
        if it.upkeep.tight:
            break
    assert it.upkeep.tight
    for number in range(20):
        it.swipe(str(number), seconds=11.0)
    assert it.view.totals.lifetime == {"visits": 20}
    assert it.view.storage.trouble == ""
    it.acknowledge("tele", 1, it.journal.last_seq("tele"))
    it.upkeep._quota.limits = Limits(max_bytes=150_000)
    for _ in range(20):
        it.step(10.0)
    assert not it.upkeep.tight
    assert it.rows("tele", "gap")
    assert (it.directory / "journal.db").stat().st_size <= it.cap
    it.crash()


def test_half_of_what_is_free_belongs_to_others(tmp_path: Path) -> None:
    """On a small disk the file's limit is half of what is left, whatever the configuration says."""
    with bench(tmp_path) as it:
        it.free = 8 << 20
        reserve = Reserve(it.journal, 512_000_000, free=lambda: it.free)
        assert 4 << 20 <= reserve._pages * 4096 <= 5 << 20


@pytest.mark.parametrize("statement", ["BEGIN", "INTO usage", "INTO ledger", "INTO state", "INTO delivered", "COMMIT"])
@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY]
)
def test_any_failure_at_any_statement(tmp_path: Path, statement: str, code: int) -> None:
    """Accepted means accepted: for as long as it fails nothing is counted; afterwards all of it, once."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.acknowledge("usage", 1, 1)
        it.script.fail(statement, times=4, error=coded(code))
        for number in range(5):
            it.swipe(str(number), seconds=1.0)
            expected = 1 + len(it.rows("usage")[1:])
            assert it.view.totals.lifetime == {"visits": expected}
        it.step(1.0)
        it.step(10.0)
        assert it.view.totals.lifetime == {"visits": 6}
        assert it.seqs("usage") == [1, 2, 3, 4, 5, 6]
        assert it.view.storage.trouble == ""
        it.crash()
        it.open()
        assert it.view.totals.lifetime == {"visits": 6}
