"""Time without a charged battery is counted to the second, hour by hour, through restarts."""

import random
from datetime import date

import pytest

from edge_agent.records import Quality, Reading
from edge_agent.rules.charged import CODE, KEY, Charged
from tests.rules.rig import CALENDAR, Play


def cabinet() -> Play:
    """Give a station with one cabinet, at noon."""
    return Play(lambda state, _: [Charged({"cabinet"}, CALENDAR, state)])


def show(play: Play, available: int | None, unknown: int = 0, quality: Quality = Quality.GOOD) -> None:
    """Let the cabinet be looked at."""
    readings = Reading("slots_unknown", unknown), Reading("batteries_available", available, quality=quality)
    play.tell("cabinet", *readings)


def watch(play: Play, seconds: float, available: int, step: float = 30.0) -> None:
    """Look at it every half minute."""
    for _ in range(round(seconds / step)):
        show(play, available)
        play.wait(step)


def test_a_stretch_without_a_charged_battery() -> None:
    """It ends when one is charged; an alarm tells of it after ten minutes."""
    play = cabinet()
    watch(play, 300, 2)
    watch(play, 540, 0)
    assert not play.alarms()["cabinet", CODE]
    watch(play, 360, 0)
    assert play.alarms()["cabinet", CODE]
    show(play, 1)
    assert not play.alarms()["cabinet", CODE]
    assert play.totals == {"no_charged_s": 900}


def test_a_door_open_for_a_moment_is_no_lack() -> None:
    """A slot offers nothing while a rider is at it; less than a minute does not count."""
    play = cabinet()
    watch(play, 59, 0, step=1.0)
    show(play, 1)
    assert play.types() == []


def test_each_hour_has_its_own_seconds() -> None:
    """From noon to a quarter past midnight are twelve hours of one day and a quarter of one of the next."""
    play = cabinet()
    watch(play, 12.25 * 3600, 0)
    show(play, 3)
    today = play.by_day[date(2026, 11, 22)]["no_charged_s"]
    assert play.totals["no_charged_s"] == round(12.25 * 3600)
    assert 0 <= 12 * 3600 - today <= 31
    assert play.types().count("no_charged") == 13


@pytest.mark.parametrize(
    ("available", "unknown", "quality"), [(0, 1, Quality.GOOD), (0, 0, Quality.BAD), (None, 0, Quality.GOOD)]
)
def test_what_nobody_can_see_is_not_counted(available: int | None, unknown: int, quality: Quality) -> None:
    """A slot in doubt may hold a charged one: the stretch ends where it was certain last, and the alarm stays."""
    play = cabinet()
    show(play, available, unknown, quality)
    watch(play, 700, 0)
    show(play, available, unknown, quality)
    play.wait(3600)
    show(play, available, unknown, quality)
    assert 660 <= play.totals["no_charged_s"] <= 700
    assert play.alarms()["cabinet", CODE]


def test_a_long_silence_is_not_counted() -> None:
    """Whether there was one meanwhile nobody knows; before and after are two stretches."""
    play = cabinet()
    watch(play, 300, 0)
    play.wall += 5 * 3600
    play.restart(boot=True)
    watch(play, 300, 0)
    show(play, 1)
    assert 250 <= play.totals["no_charged_s"] <= 600


@pytest.mark.parametrize("seed", range(5))
def test_restarts_change_no_total(seed: int) -> None:
    """Whenever the agent is restarted, the seconds are those without restarts."""
    chance = random.Random(seed)
    plain, restarted = cabinet(), cabinet()
    for _ in range(300):
        available, pause = chance.choice([0, 0, 0, 1]), chance.choice([5.0, 30.0, 60.0, 333.0])
        for play in (plain, restarted):
            show(play, available)
            play.wait(pause, step=pause)
        if chance.random() < 0.3:
            restarted.restart()
    assert plain.totals["no_charged_s"] > 0
    for play in (plain, restarted):
        show(play, 1)
    assert abs(plain.totals["no_charged_s"] - restarted.totals["no_charged_s"]) <= 1


def test_the_clock_need_not_be_known() -> None:
    """Then nothing is split by hours; the seconds are those of the monotonic clock."""
    play = cabinet()
    play.known = False
    watch(play, 7200, 0)
    show(play, 1)
    assert play.totals["no_charged_s"] == 7200


def test_a_damaged_memory_of_a_stretch() -> None:
    """What makes no sense is forgotten; the agent starts."""
    play = cabinet()
    play.state[KEY + "cabinet"] = "[[1], 2]"
    play.restart()
    show(play, 1)
    assert not play.alarms()["cabinet", CODE]
