"""What is written to the card in a day, against what it is meant for."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.journal.flash import Flash
from tests.journals import Bench, bench

HOUR = 3_600_000


@pytest.fixture
def flash(tmp_path: Path) -> Flash:
    """Counters that a test may set."""
    number = tmp_path.stat().st_dev
    stat = tmp_path / "sys" / f"{os.major(number)}:{os.minor(number)}"
    stat.mkdir(parents=True)
    found = Flash(tmp_path, proc=tmp_path / "io", sys=tmp_path / "sys")
    tell(found, 0, 0)
    return found


def tell(flash: Flash, own: int, sectors: int) -> None:
    """Set the counters as the kernel shows them."""
    flash.proc.write_text(f"rchar: 5\nwchar: 7\nwrite_bytes: {own}\ncancelled_write_bytes: 0\n", encoding="ascii")
    (stat,) = flash.sys.glob("*")
    (stat / "stat").write_text(f"1 2 3 4 5 6 {sectors} 8 9 10 11\n", encoding="ascii")


def test_a_day_is_24_hours_of_running_time(flash: Flash) -> None:
    """The first look is where counting begins; what is older than a day is forgotten."""
    tell(flash, 500, 10)
    flash.measure(0)
    assert (flash.day(), flash.device_day()) == (0, 0)
    for hour in range(48):
        tell(flash, 500 + 1000 * (hour + 1), 10 + 2 * (hour + 1))
        flash.measure(hour * HOUR)
    assert flash.day() == 24_000
    assert flash.device_day() == 24 * 2 * 512


def test_a_counter_that_begins_anew(flash: Flash) -> None:
    """A restarted process counts from zero; that is no negative amount."""
    tell(flash, 500, 10)
    flash.measure(0)
    tell(flash, 100, 4)
    flash.measure(1)
    assert (flash.day(), flash.device_day()) == (0, 0)


def test_what_the_kernel_does_not_say(tmp_path: Path) -> None:
    """Without the counters nothing is claimed."""
    flash = Flash(tmp_path, proc=tmp_path / "io", sys=tmp_path / "sys")
    flash.measure(0)
    (tmp_path / "io").write_text("nonsense", encoding="ascii")
    flash.measure(1)
    assert (flash.day(), flash.device_day()) == (0, None)


def test_this_machine(tmp_path: Path) -> None:
    """The real counters can be read, as far as the kernel has them."""
    flash = Flash(tmp_path)
    flash.measure(0)
    flash.measure(1)
    assert flash.day() >= 0


def test_little_room_raises_an_alarm(tmp_path: Path) -> None:
    """Raised below the days wanted, kept just above them, over well above; so is a full disk."""
    it = Bench(tmp_path)
    it.open()
    days: list[float | None] = [None, 2.9, 3.2, 3.5, 2.0]
    it.upkeep._quota.days = lambda: days[0]  # type: ignore[method-assign]
    up = []
    for _ in range(len(days)):
        it.step(61.0)
        it.step(10.0)
        up.append(("station", "journal_pressure") in it.view.alarms)
        days.append(days.pop(0))
    assert up == [False, True, True, False, True]
    assert it.view.alarms["station", "journal_pressure"].state.detail == {"room_days": 2.0}
    it.crash()


def test_the_budget_raises_an_alarm(tmp_path: Path) -> None:
    """Raised once above the budget, cleared once well below it; the figure is shown and survives a restart."""
    it = Bench(tmp_path, flash_budget=10_000)
    it.open()
    it.upkeep._flash = Flash(it.directory, {0: 12_000}, proc=tmp_path / "no")
    it.step(61.0)
    it.step(10.0)
    assert ("station", "flash_budget") in it.view.alarms
    assert it.view.alarms["station", "flash_budget"].state.detail == {"written_bytes": 12_000, "budget_bytes": 10_000}
    assert it.view.storage.written_day == 12_000
    it.crash()
    it.open()
    assert it.upkeep._flash.hours[0] == 12_000
    it.upkeep._flash = Flash(it.directory, {0: 9_500}, proc=tmp_path / "no")
    it.step(61.0)
    it.step(10.0)
    assert ("station", "flash_budget") in it.view.alarms
    it.upkeep._flash = Flash(it.directory, {0: 8_000}, proc=tmp_path / "no")
    it.step(61.0)
    it.step(10.0)
    assert it.view.alarms == {}
    assert len(it.rows("alarm")) == 2
    it.crash()


def test_within_the_budget_nothing_is_said(tmp_path: Path) -> None:
    """The shipped budget is not reached by a quiet station."""
    with bench(tmp_path) as it:
        it.step(120.0)
        it.step(10.0)
        assert it.rows("alarm") == []
        assert replace(it.view.storage).written_day >= 0
