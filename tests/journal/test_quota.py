"""Room for each stream: what goes, in which order, and the record that says so."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_agent.journal.journal import Batch
from edge_agent.journal.quota import Limits
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS, pack
from edge_agent.journal.tally import Tally, row_size
from edge_agent.records import Alarm
from tests.journals import Bench

DAY = 86_400.0
SMALL = Limits(max_bytes=1_000_000)


def fill(it: Bench, stream: str, count: int, *, every: float = 60.0, size: int = 100, kind: str = "sample") -> None:
    """Write rows of two devices straight into the journal, `every` seconds apart, and account for them."""
    clock = it.clock
    rows = []
    for number in range(count):
        clock.advance(every)
        seq = it.journal.reserve(stream)
        times = (round(clock.monotonic() * 1000), round(clock.wall() * 1000))
        device = f"device-{number % 2}"
        body = json.dumps({"n": "x" * (size - 10 + (30 if number % 10 == 0 else 0))})
        rows.append(Row(stream, it.journal.epoch, seq, device, kind, it.journal.boot, *times, True, body))
        if len(rows) == 1000 or number == count - 1:
            batch = Batch(rows)
            it.upkeep.seal(batch, times[0])
            it.journal.commit(batch)
            it.upkeep.accept()
            rows = []


def work(it: Bench, steps: int = 10_000) -> None:
    """Let the Recorder tend the journal until nothing is left to do."""
    for _ in range(steps):
        begin = len(it.script.seen)
        it.step(10.0)
        if not any(text == "COMMIT" or "incremental" in text for text in it.script.seen[begin:]):
            return
    raise AssertionError("it never ends")


def gaps(it: Bench, stream: str) -> list[dict[str, Any]]:
    """Return the bodies of the gap records."""
    return [json.loads(row.body) for row in it.rows(stream, "gap")]


def check(it: Bench, stream: str, given: int, delivered: int = 0) -> None:
    """What is gone is covered by gap records unless the centre has it; the tally is exact; the newest row is there."""
    rows = it.rows(stream)
    there = {row.seq for row in rows}
    covered = {n for gap in gaps(it, stream) for n in range(gap["from_seq"], gap["to_seq"] + 1)}
    assert set(range(delivered + 1, given + 1)) <= there | covered
    assert max(there) >= given
    tally = it.upkeep._quota.tallies[stream]
    assert (tally.rows, tally.bytes) == (len(rows), sum(map(row_size, rows)))


@pytest.fixture
def small(tmp_path: Path) -> Bench:
    """A journal of a megabyte: 80 kB for alarms, 320 kB for usage, 400 kB for telemetry."""
    it = Bench(tmp_path)
    it.limits = SMALL
    return it.open()


def test_quotas_are_parts_of_the_whole() -> None:
    """No stream can take what belongs to another; something is left for pages that are not full."""
    assert {stream: SMALL.quota(stream) for stream in STREAMS} == {"alarm": 80_000, "usage": 320_000, "tele": 400_000}


def test_counting_goes_on_after_a_restart(small: Bench) -> None:
    """Bytes and rows are exact whenever the agent stops, without looking at every row at the start."""
    for number in range(30):
        small.swipe(str(number), seconds=7.0)
        small.measure(float(number))
        if number % 4 == 0:
            small.crash()
            small.open()
        for stream in STREAMS:
            rows = small.rows(stream)
            assert small.upkeep._quota.tallies[stream].rows == len(rows)
            assert small.upkeep._quota.tallies[stream].bytes == sum(map(row_size, rows))
    small.crash()
    small.open()
    assert sum("sum(length" in text and "id > ?" in text for text in small.script.seen) >= 3
    small.crash()


def test_delivered_telemetry_has_a_week(small: Bench) -> None:
    """What the centre has stays for replay for seven days of running time, then goes without a word."""
    fill(small, "tele", 600, every=60.0, size=20)
    small.acknowledge("tele", 1, 500)
    work(small)
    assert len(small.rows("tele")) == 600
    small.step(7 * DAY - 200 * 60.0)
    work(small)
    assert small.seqs("tele") == list(range(401, 601))
    small.step(2 * DAY)
    work(small)
    assert small.seqs("tele") == list(range(501, 601))
    assert gaps(small, "tele") == []
    check(small, "tele", 600, delivered=500)
    small.crash()


def test_delivered_rows_go_first(small: Bench) -> None:
    """Over the quota the oldest delivered rows go, with one gap record for each range; the rest is untouched."""
    fill(small, "tele", 2000, size=100)
    small.acknowledge("tele", 501, 1900)
    work(small)
    seqs = small.seqs("tele")
    assert set(range(1, 501)) <= set(seqs)
    assert set(range(1900, 2001)) <= set(seqs)
    found = gaps(small, "tele")
    assert {gap["reason"] for gap in found} <= {"quota"}
    check(small, "tele", 2000)
    small.acknowledge("tele", 1, 500)
    fill(small, "tele", 1000, size=100)
    work(small)
    assert 1 not in small.seqs("tele")
    check(small, "tele", 3000)
    small.crash()


def test_telemetry_is_thinned_before_it_is_dropped(small: Bench) -> None:
    """Nothing delivered: of each device one row of a quarter of an hour stays, the fullest; only then the oldest go."""
    fill(small, "tele", 2600, every=30.0, size=100)
    fullest = {row.seq for row in small.rows("tele") if len(row.body) > 110}
    work(small)
    assert {gap["reason"] for gap in gaps(small, "tele")} == {"thinned"}
    check(small, "tele", 2600)
    until = max(gap["to_seq"] for gap in gaps(small, "tele"))
    survivors = [row for row in small.rows("tele", "sample") if row.seq <= until]
    places = [(row.device, row.mono_ms // 900_000) for row in survivors]
    assert len(places) <= len(set(places)) + 8
    assert sum(row.seq in fullest for row in survivors if row.device == "device-0") > len(survivors) // 4
    fill(small, "tele", 60_000, every=30.0, size=100)
    work(small)
    assert {gap["reason"] for gap in gaps(small, "tele")} == {"thinned", "quota"}
    check(small, "tele", 62_600)
    small.crash()


def test_young_telemetry_is_dropped_rather_than_thinned(small: Bench) -> None:
    """What is younger than an hour keeps its resolution; if that alone is too much the oldest goes."""
    fill(small, "tele", 4000, every=0.5, size=100)
    work(small)
    assert {gap["reason"] for gap in gaps(small, "tele")} == {"quota"}
    check(small, "tele", 4000)
    small.crash()


def test_no_stream_pays_for_another(small: Bench) -> None:
    """A flood of telemetry leaves usage and alarms alone, and the other way round."""
    for number in range(20):
        small.swipe(str(number))
        small.recorder.submit(f"hall-{number // 2}", [Alarm("water_leak", active=number % 2 == 0)])
    fill(small, "tele", 30_000, every=1.0, size=100)
    work(small)
    assert len(small.rows("usage")) == len(small.rows("alarm", "water_leak")) == 20
    fill(small, "usage", 5000, size=100, kind="visit")
    tele = len(small.rows("tele"))
    work(small)
    assert len(small.rows("tele")) == tele
    assert {gap["reason"] for gap in gaps(small, "usage")} == {"quota"}
    check(small, "usage", 5020)
    small.crash()


def test_usage_waits_for_the_centres_word(small: Bench) -> None:
    """A delivered usage row stays until the centre has stored it and a week has passed; audits stay a month."""
    fill(small, "usage", 300, every=60.0, kind="visit")
    fill(small, "usage", 10, every=60.0, kind="audit")
    fill(small, "usage", 10, every=60.0, kind="visit")
    small.acknowledge("usage", 1, 315)
    small.step(10 * DAY)
    work(small)
    assert len(small.seqs("usage")) == 320
    small.recorder.remember(f"committed/usage/{small.journal.epoch_name}", "312")
    work(small)
    # What is too old is looked for every ten minutes.
    small.step(600.0)
    work(small)
    assert small.seqs("usage") == [*range(301, 311), *range(313, 321)]
    small.step(25 * DAY)
    work(small)
    assert small.seqs("usage") == list(range(313, 321))
    assert gaps(small, "usage") == []
    small.crash()


def test_nothing_stays_longer_than_its_retention(small: Bench) -> None:
    """After 400 days of running time a row goes whatever the centre has, and that is declared."""
    fill(small, "usage", 700, every=60.0, size=20, kind="visit")
    small.step(401 * DAY)
    work(small)
    assert small.seqs("usage") == [701, 702]
    assert [(gap["from_seq"], gap["to_seq"], gap["reason"]) for gap in gaps(small, "usage")] == [
        (1, 500, "retention"),
        (501, 700, "retention"),
    ]
    check(small, "usage", 700)
    small.crash()


def test_a_clock_that_jumps_makes_nothing_old(small: Bench) -> None:
    """Age is running time: ten years on the wall clock are nothing."""
    fill(small, "usage", 50, kind="visit")
    small.acknowledge("usage", 1, 49)
    small.clock.set_wall(small.clock.wall() + 10 * 365 * DAY)
    work(small)
    assert len(small.rows("usage", "visit")) == 50
    small.crash()


def test_explanations_stay_until_they_are_delivered(small: Bench) -> None:
    """A gap record that the centre does not have is not dropped for room."""
    for _ in range(3):
        small.recorder.declare([("tele", {"from_seq": 1, "to_seq": 1, "reason": "refused"})])
        small.step()
    small.step(10.0)
    fill(small, "tele", 30_000, every=1.0, size=100)
    work(small)
    assert [gap["reason"] for gap in gaps(small, "tele")][:3] == ["refused"] * 3
    count = len(gaps(small, "tele"))
    small.acknowledge("tele", 1, small.journal.last_seq("tele"))
    fill(small, "tele", 8000, every=1.0, size=100)
    work(small)
    assert len(gaps(small, "tele")) < count
    small.crash()


def test_rows_of_an_older_epoch(small: Bench) -> None:
    """Their gap record stands in the new epoch and names the old one; a range never crosses the border."""
    old = small.journal.epoch_name
    fill(small, "usage", 400, size=500, kind="visit")
    small.journal.begin_epoch("test")
    fill(small, "usage", 300, size=500, kind="visit")
    work(small)
    found = gaps(small, "usage")
    assert [gap["of_epoch"] for gap in found] == [old] * len(found)
    assert (found[0]["from_seq"], found[-1]["to_seq"]) == (
        1,
        400 - len([r for r in small.rows("usage") if r.epoch == 1]),
    )
    small.crash()


def test_a_removal_of_unknown_outcome(small: Bench) -> None:
    """A failed transaction is repeated as it was: one gap record, exact tallies, also after a restart."""
    fill(small, "tele", 3000, every=1.0, size=100)
    for statement, after in (("DELETE FROM tele", False), ("COMMIT", True), ("INTO tele", True)):
        small.script.fail(statement, after=after)
        small.step(10.0)
        small.step(1.0)
        check(small, "tele", 3000)
    small.script.fail("COMMIT", after=True)
    small.step(10.0)
    small.crash()
    small.open()
    check(small, "tele", 3000)
    ranges = [(gap["from_seq"], gap["to_seq"]) for gap in gaps(small, "tele")]
    assert all(a[1] < b[0] for a, b in pairwise(ranges))
    small.crash()


def test_the_newest_row_never_goes(small: Bench) -> None:
    """A stream must go on counting where it was, however little room there is."""
    small.limits = replace(SMALL, max_bytes=100_000)
    small.crash()
    small.open()
    fill(small, "alarm", 1, size=60_000, kind="smoke")
    work(small)
    assert small.seqs("alarm") == [1]
    small.crash()
    small.open()
    assert small.journal.last_seq("alarm") == 1
    small.crash()


def test_the_file_shrinks_again(tmp_path: Path) -> None:
    """After a long outage has been delivered and outlived, the pages go back to the disk, a few at a time."""
    it = Bench(tmp_path)
    it.limits = Limits(max_bytes=64_000_000)
    it.open()
    fill(it, "tele", 60_000, every=1.0, size=200)
    full = it.journal.db.execute("PRAGMA page_count").fetchone()[0]
    it.acknowledge("tele", 1, 59_999)
    it.step(10.0)
    it.step(8 * DAY)
    work(it)
    assert it.seqs("tele") == [60_000]
    pages, free = (it.journal.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    assert pages < full / 2
    assert free <= 1024
    vacuums = [text for text in it.script.seen if "incremental_vacuum" in text]
    assert len(vacuums) > 20
    it.crash()


def test_days_of_room(small: Bench) -> None:
    """Told at the rate of what is stored, by the stream that fills first; not before there is an hour of it."""
    assert small.upkeep._quota.days() is None
    fill(small, "tele", 144, every=600.0, size=100)
    row = small.rows("tele")[1]
    per_day = 144 * row_size(row)
    days = small.upkeep._quota.days()
    assert days is not None
    assert 0.9 < days / (SMALL.quota("tele") / per_day) < 1.1
    small.step(61.0)
    assert small.view.storage.days == pytest.approx(days, rel=0.05)
    assert small.view.storage.used["tele"] == small.upkeep._quota.tallies["tele"].bytes
    assert small.view.storage.quota["tele"] == SMALL.quota("tele")
    small.crash()


def test_a_tally_that_makes_no_sense_is_counted_anew(small: Bench) -> None:
    """What a damage has left of it is not believed."""
    small.swipe("a")
    for text in ("[1]", "{}", '["x",1,1]'):
        small.journal.commit(Batch(state={"tally/usage": text, "thinned": "{}"}))
        small.crash()
        small.open()
        assert small.upkeep._quota.tallies["usage"] == Tally(pack(1, 1), 1, row_size(small.rows("usage")[0]))
    small.crash()


def test_one_step_is_short(small: Bench) -> None:
    """However much has to go, one transaction takes a few hundred rows, and an event waits for no more than that."""
    fill(small, "tele", 20_000, every=1.0, size=100)
    before = len(small.rows("tele"))
    small.step(10.0)
    gone = before - len(small.rows("tele"))
    assert 0 < gone <= 500
    small.crash()
