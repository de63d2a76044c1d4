"""Nobody came when somebody should have: only after enough weeks, only when chance does not explain it."""

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from edge_agent.config.alarms import NoVisits
from edge_agent.ledger import Calendar
from edge_agent.records import Alarm, Event
from edge_agent.rules.expected import ExpectedVisits
from edge_agent.rules.rule import Moment, Said
from tests.rules.moments import moment

CALENDAR = Calendar(ZoneInfo("Asia/Shanghai"), time(0))
BEGIN = datetime.fromtimestamp(1_780_000_000, tz=UTC)
"""The wall clock at monotonic time 0 of `moment`."""
RATES = [0.2] * 6 + [0.6] * 12 + [1.5] * 6
"""Visits an hour by local hour: 17.4 a day, most in the evening."""


def history(weeks: int, seed: int = 1) -> dict[tuple[str, str], int]:
    """Return a ledger of so many weeks before `BEGIN`, of independent visits."""
    dice, found = random.Random(seed), {}
    local = BEGIN.astimezone(CALENDAR.zone)
    for back in range(7 * weeks, 0, -1):
        day = (local - timedelta(days=back)).date()
        for hour, rate in enumerate(RATES):
            found[f"{day} {hour:02}", "visits"] = sum(dice.random() < rate / 60 for _ in range(60))
    return found | {("life", "visits"): 99, ("undated/1", "visits"): 3}


def rule(weeks: int = 6, stored: dict[str, str] | None = None) -> ExpectedVisits:
    """Return the rule of a station with such a past."""
    return ExpectedVisits(NoVisits(), CALENDAR, history(weeks), stored or {})


def alarms(said: list[Said]) -> list[bool]:
    """Return what was raised and cleared."""
    return [record.active for _, record in said if isinstance(record, Alarm)]


def wait(it: ExpectedVisits, begin: float, hours: float, *, good: bool = True) -> list[float]:
    """Let nobody come; return the hours after which an alarm was raised."""
    return [
        (second - begin) / 3600
        for second in range(round(begin), round(begin + hours * 3600), 600)
        if alarms(list(it.tick(moment(second, good=good))))
    ]


def test_a_long_silence() -> None:
    """Raised once, after as long as 12 visits or so would have taken; over with the next one, also after a restart."""
    it = rule()
    (after,) = wait(it, 0, 48)
    assert 12 < after < 24
    assert dict(it.kept().state) == {"rule/no_visits": "true"}
    visit = list(it.take("door", Event("visit"), moment(49 * 3600)))
    assert alarms(visit) == [False]
    again = rule(stored={"rule/no_visits": "true"})
    assert alarms(list(again.take("door", Event("visit"), moment(10)))) == [False]


@pytest.mark.parametrize("weeks", [0, 1, 3])
def test_too_short_a_past(weeks: int) -> None:
    """Nothing is expected of a station that has not run for four weeks."""
    assert wait(rule(weeks), 0, 72) == []


def test_an_unknown_clock() -> None:
    """Which hour of the week it is nobody knows, so nothing is expected; the silence counts from when it is known."""
    it = rule()
    assert wait(it, 0, 72, good=False) == []
    (after,) = wait(it, 72 * 3600, 48)
    assert after > 10


def test_a_clock_that_jumps() -> None:
    """Hours that did not pass are no silence."""
    it = rule()
    wait(it, 0, 1)
    jumped = Moment(moment(4000).stamp, lambda _at: round((BEGIN.timestamp() + 20 * 86_400) * 1000))
    assert alarms(list(it.tick(jumped))) == []


def test_a_busy_station_is_left_alone() -> None:
    """Of most of a year with visits as before, no silence is called strange."""
    false = 0
    for seed in range(5):
        dice = random.Random(seed)
        it = rule(8)
        for minute in range(0, 60 * 24 * 60, 10):
            at = moment(minute * 60.0)
            hour = CALENDAR.hour(at.stamp.wall_ms)[1]
            if dice.random() < RATES[hour] / 6:
                list(it.take("door", Event("visit"), at))
            false += sum(alarms(list(it.tick(at))))
    assert false == 0


def test_the_chance_is_that_of_the_model() -> None:
    """One hour with k visits in n weeks: (n / (n + 1)) ** (k + 1/2)."""
    local = BEGIN.astimezone(CALENDAR.zone)
    hour = local.replace(minute=0, second=0, microsecond=0)
    past = {(f"{(local - timedelta(days=7 * week)).date()} {local.hour:02}", "visits"): 3 for week in range(1, 5)}
    it = ExpectedVisits(NoVisits(), CALENDAR, past, {})
    end = round((hour + timedelta(hours=1)).timestamp() * 1000)
    assert it.chance(end, 3600.0) == pytest.approx(0.8**12.5)
    assert it.chance(end, 1800.0) == pytest.approx(0.8**6.5)
    assert it.chance(end + 3_600_000, 3600.0) == pytest.approx(0.8**0.5)
