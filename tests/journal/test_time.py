"""Time without a battery clock: order, seqs and totals are right whatever the wall clock says."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import FakeClock
from tests.journals import CALENDAR, Bench, bench

YEARS_10 = 10 * 365.25 * 86_400
NOON = 1_780_027_200.0
"""2026-05-29 12:00 in Shanghai."""


def unsynced(wall: float) -> FakeClock:
    """Return the clock of a boot that does not know the time yet."""
    return FakeClock(wall=wall, monotonic=50.0, good=False)


def corrections(it: Bench, stream: str) -> list[dict[str, Any]]:
    """Return the bodies of the corrections of a stream."""
    return [json.loads(row.body) for row in it.rows(stream, "clock_correction")]


def test_an_unsynced_visit_counts_at_once(tmp_path: Path) -> None:
    """It is in the lifetime and in `undated`; today is not claimed; nothing is closed."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        it.swipe("a")
        assert it.view.totals.lifetime == {"visits": 1}
        assert it.view.totals.undated == {"visits": 1}
        assert it.view.totals.day is None
        it.clock.advance(100 * 86_400.0)
        it.step()
        assert it.rows("usage", "day_closed") == []


def test_the_boot_is_dated_once_the_clock_is_good(tmp_path: Path) -> None:
    """Counts move to their hours and every stream says by how much its times were wrong, in one transaction."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        for _ in range(3):
            it.swipe("a", seconds=20.0)
            it.measure(it.clock.monotonic(), seconds=0.0)
        it.step(10.0)
        before = it.rows("usage")
        it.clock.set_wall(NOON)
        it.step()
        assert it.view.totals.undated == {}
        assert it.view.totals.lifetime == {"visits": 3}
        assert it.view.totals.today == {"visits": 3}
        assert it.rows("usage")[:3] == before
        offset = round((NOON - it.clock.monotonic()) * 1000)
        with it.reader() as reader:
            assert reader.offsets() == {1: offset}
        (found,) = corrections(it, "usage")
        assert [found[key] for key in ("stream", "boot", "from_seq", "to_seq")] == ["usage", 1, 1, 3]
        true_ms = before[0].mono_ms + offset
        assert before[0].wall_ms + found["offset_ms"] == true_ms
        assert found["uncertainty_ms"] >= 100
        assert len(corrections(it, "tele")) == 1
        assert corrections(it, "alarm") == []
        it.clock.set_wall(NOON + 5, good=False)
        it.step(10.0)
        it.clock.set_wall(NOON + 50)
        it.step(10.0)
        assert len(corrections(it, "usage")) == 1


def test_nothing_is_half_dated(tmp_path: Path) -> None:
    """A crash in the transaction leaves everything undated; the next start dates it all, once."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        it.swipe("a")
        it.measure(1.0, seconds=0.5)
        it.clock.set_wall(NOON)
        it.script.fail("UPDATE boot", times=5)
        it.step(10.0)
        it.crash()
        it.script.times = 0
        it.open()
        assert it.view.totals.today == {"visits": 1}
        assert it.view.totals.undated == {}
        assert len(corrections(it, "usage")) == 1
        it.crash()
        it.open()
        assert len(corrections(it, "usage")) == 1


def test_a_waiting_batch_is_written_before_it_is_dated(tmp_path: Path) -> None:
    """Telemetry that waits for its group commit is covered too; a disk that fails right then delays it."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        it.measure(1.0, seconds=0.5)
        it.clock.set_wall(NOON)
        it.script.fail("COMMIT")
        it.step()
        assert corrections(it, "tele") == []
        it.step(1.0)
        it.step(0.1)
        it.step(10.0)
        assert [(c["from_seq"], c["to_seq"]) for c in corrections(it, "tele")] == [(1, 1)]


def test_a_clock_stepped_before_it_was_good(tmp_path: Path) -> None:
    """Each stretch between two steps has its own correction; slewing makes none."""
    with bench(tmp_path, unsynced(NOON - YEARS_10)) as it:
        it.swipe("a")
        it.clock.set_wall(it.clock.wall() + 0.4, good=False)
        it.swipe("b", seconds=20.0)
        it.clock.set_wall(NOON + YEARS_10, good=False)
        it.swipe("c", seconds=20.0)
        it.swipe("d", seconds=20.0)
        rows = it.rows("usage")
        it.clock.set_wall(NOON)
        it.step()
        first, second = corrections(it, "usage")
        assert [(c["from_seq"], c["to_seq"]) for c in (first, second)] == [(1, 2), (3, 4)]
        with it.reader() as reader:
            offset = reader.offsets()[1]
        for row, correction in zip(rows, (first, first, second, second), strict=True):
            true_ms = row.mono_ms + offset
            assert abs(row.wall_ms + correction["offset_ms"] - true_ms) <= correction["uncertainty_ms"]
        assert it.view.totals.today == {"visits": 4}


def test_a_clock_that_loses_its_good_name_is_held_over(tmp_path: Path) -> None:
    """Once the boot is dated, its monotonic clock dates whatever the wall clock says."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.clock.set_wall(it.clock.wall() + YEARS_10, good=False)
        it.swipe("b", seconds=20.0)
        assert it.view.totals.undated == {}
        assert it.view.totals.today == {"visits": 2}
        assert not it.rows("usage")[-1].good


def test_an_unsynced_clock_is_never_believed_below_what_has_passed(tmp_path: Path) -> None:
    """After a power cut a boot in 1970 goes on from the last time that was known, by its monotonic clock."""
    with bench(tmp_path) as it:
        it.swipe("a")
        last = it.rows("usage")[-1].wall_ms
        it.crash()
        it.clock.reboot("b2")
        it.clock.set_wall(5.0, good=False)
        it.open()
        it.swipe("b", seconds=7.0)
        it.step(3.0)
        it.swipe("c")
        second, third = (row.wall_ms for row in it.rows("usage")[-2:])
        assert last <= second < last + 20_000
        assert third - second == 10_000
        it.crash()
        it.clock.reboot("b3")
        it.clock.set_wall(6.0, good=False)
        (it.directory / "journal.head").unlink()
        it.open()
        it.swipe("d")
        assert it.rows("usage")[-1].wall_ms >= 5000


def test_a_boot_that_never_syncs_stays_undated(tmp_path: Path) -> None:
    """The next boot's good clock says nothing about it."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        it.swipe("a")
        it.crash()
        it.clock.reboot("b2")
        it.clock.set_wall(NOON)
        it.open()
        it.swipe("b")
        assert it.view.totals.undated == {"visits": 1}
        assert it.view.totals.today == {"visits": 1}
        assert corrections(it, "usage") == []


def test_a_restart_within_an_undated_boot(tmp_path: Path) -> None:
    """What an earlier run of the same boot has stamped is dated too, also across an epoch."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        it.swipe("a")
        it.crash()
        it.open()
        it.swipe("b", seconds=20.0)
        it.journal.begin_epoch("test")
        it.swipe("c", seconds=20.0)
        it.clock.set_wall(NOON)
        it.step()
        assert it.view.totals.today == {"visits": 3}
        first, second = corrections(it, "usage")
        assert [first[key] for key in ("from_seq", "to_seq", "of_epoch")] == [1, 2, it.journal.epochs()[1]]
        assert (second["from_seq"], second["to_seq"]) == (1, 1)
        assert "of_epoch" not in second


def test_dating_across_midnight_closes_the_right_day(tmp_path: Path) -> None:
    """Visits of an unsynced evening belong to yesterday, which is closed after they have arrived there."""
    with bench(tmp_path, unsynced(1000.0)) as it:
        it.swipe("a")
        it.clock.advance(13 * 3600.0)
        it.swipe("b")
        it.clock.set_wall(NOON + 13 * 3600.0)
        it.step()
        it.step(10.0)
        (row,) = it.rows("usage", "day_closed")
        closed = json.loads(row.body)
        assert (closed["day"], closed["totals"]) == ("2026-05-29", {"visits": 1})
        assert it.view.totals.today == {"visits": 1}


@pytest.mark.parametrize("jump", [-YEARS_10, -3600.0, 3600.0, YEARS_10])
def test_a_good_clock_that_jumps(tmp_path: Path, jump: float) -> None:
    """Order, seqs and lifetime do not depend on the wall clock; double swipes and heartbeats neither."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.clock.set_wall(it.clock.wall() + jump)
        it.step(5.0)
        it.swipe("a", seconds=10.0)
        it.swipe("a")
        it.swipe("b")
        assert it.view.totals.lifetime == {"visits": 3}
        visits = it.rows("usage", "visit")
        assert [row.seq for row in it.rows("usage")] == list(range(1, len(it.rows("usage")) + 1))
        assert [row.mono_ms for row in visits] == sorted(row.mono_ms for row in visits)
        assert it.view.totals.undated == {}


@given(
    st.lists(
        st.one_of(
            st.just("swipe"),
            st.just("restart"),
            st.just("reboot"),
            st.just("good"),
            st.tuples(st.sampled_from([-YEARS_10, -3600.0, 0.3, YEARS_10]), st.booleans()),
        ),
        min_size=3,
        max_size=25,
    )
)
def test_any_history_adds_up(tmp_path_factory: pytest.TempPathFactory, history: list[object]) -> None:
    """Whatever clocks and boots do: every visit is in the lifetime, and in exactly one day or in `undated`."""
    with bench(tmp_path_factory.mktemp("history"), unsynced(10.0)) as it:
        swipes = 0
        for event in history:
            if event == "swipe":
                swipes += 1
                it.swipe(str(swipes), seconds=1.0)
            elif event in {"restart", "reboot"}:
                it.crash()
                if event == "reboot":
                    it.clock.reboot(f"boot-{swipes}-{it.clock.wall()}", monotonic=3.0)
                    it.clock.set_wall(100.0, good=False)
                it.open()
            elif event == "good":
                it.clock.set_wall(NOON + it.clock.monotonic())
                it.step(0.1)
            elif isinstance(event, tuple):
                it.clock.set_wall(max(0.0, it.clock.wall() + event[0]), good=event[1])
                it.step(0.1)
        it.step(10.0)
        totals = it.view.totals
        assert totals.lifetime.get("visits", 0) == swipes
        dated = sum(
            count
            for (bucket, name), count in it.journal.ledger().items()
            if name == "visits" and bucket[:2] in {"19", "20"}
        )
        assert dated + totals.undated.get("visits", 0) == swipes
        assert it.seqs("usage") == list(range(1, len(it.seqs("usage")) + 1))
        assert CALENDAR.hour(0)[0] == date(1970, 1, 1)
