"""Consumables, rounds, maintenance staff and whether the station is open: by what was said, and by time alone."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from edge_agent.records import Alarm, Event, Quality, Reading, Record, Stamp
from edge_agent.rules.opening import Opening
from edge_agent.rules.rounds import Plan, Rounds
from edge_agent.rules.rule import Moment, Rule, Said
from edge_agent.rules.staff import StaffPresence
from edge_agent.rules.supplies import Supplies, Supply

HOUR = 3600.0
DAY = 24 * HOUR
SHANGHAI = ZoneInfo("Asia/Shanghai")
MIDNIGHT_MS = round(datetime(2026, 5, 29, tzinfo=SHANGHAI).timestamp() * 1000)
PER_VISIT = Supply("water", None, visits=100, seconds=None, low=20.0)
MEASURED = Supply("water", ("tank", "level_pct"), None, None, low=20.0)


def at(seconds: float, boot: int = 1, *, good: bool = True) -> Moment:
    """Return a moment so long after a local midnight, which is also the boot."""
    stamp = Stamp(boot, round(seconds * 1000), MIDNIGHT_MS + round(seconds * 1000), good)
    return Moment(stamp, lambda one: one.wall_ms if one.good else None)


class Life:
    """One rule through restarts."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.state: dict[str, str] = {}
        self.said: list[Said] = []

    def hear(self, device: str, record: Record, moment: Moment) -> list[Said]:
        """Let time pass and say something; return what the rule makes of it, without what was said."""
        heard = [*self.pass_time(moment), *self.rule.take(device, record, moment)]
        self._keep()
        return [one for one in heard if one != (device, record)]

    def pass_time(self, moment: Moment) -> list[Said]:
        """Let time pass."""
        heard = list(self.rule.tick(moment)) if self.rule.due <= moment.mono else []
        assert self.rule.due > moment.mono or math.isinf(self.rule.due)
        self._keep()
        self.said += heard
        return heard

    def _keep(self) -> None:
        self.state |= {key: text or "" for key, text in self.rule.kept().state.items()}


def alarms(said: Iterable[Said]) -> list[tuple[str, bool]]:
    """Return (code, active) of each alarm."""
    return [(record.code, record.active) for _, record in said if isinstance(record, Alarm)]


def values(said: Iterable[Said], point: str) -> list[object]:
    """Return the values told of a point."""
    return [record.value for _, record in said if isinstance(record, Reading) and record.point == point]


def done(**data: str | float) -> Event:
    """Return a maintenance event."""
    return Event("maintenance", dict(data))


def test_visits_use_a_consumable_up() -> None:
    """It counts down from full, raises its alarm at the threshold once, and a refill clears it."""
    life = Life(Supplies(PER_VISIT, {}))
    assert values(life.pass_time(at(1)), "level_pct") == [100.0]
    raised = [alarms(life.hear("door", Event("visit"), at(2 + n))) for n in range(100)]
    assert raised[79] == [("consumable_low", True)]
    assert sum(map(len, raised)) == 1
    said = life.hear("station", done(what="refilled", consumable="water", level_pct=100.0), at(200))
    assert alarms(said) == [("consumable_low", False)]
    assert values(said, "level_pct") == [100.0]


def test_a_restart_forgets_no_visit() -> None:
    """The count goes on where it was, and the level is told again."""
    life = Life(Supplies(PER_VISIT, {}))
    life.pass_time(at(1))
    for n in range(30):
        life.hear("door", Event("visit"), at(2 + n))
    again = Life(Supplies(PER_VISIT, life.state))
    assert values(again.pass_time(at(1, boot=2)), "level_pct") == [70.0]


def test_time_uses_a_consumable_up() -> None:
    """What lasts ten days at most is low after eight, without any visit, across a reboot too."""
    supply = Supply("medicine", None, visits=None, seconds=10 * DAY, low=20.0)
    life = Life(Supplies(supply, {}))
    assert alarms(life.pass_time(at(0))) == [("consumable_low", False)]
    assert alarms(life.pass_time(at(7.9 * DAY))) == []
    assert alarms(life.pass_time(at(8.1 * DAY))) == [("consumable_low", True)]
    assert alarms(Life(Supplies(supply, life.state)).pass_time(at(8.2 * DAY, boot=2))) == [("consumable_low", True)]


def test_a_measured_level_splashes() -> None:
    """At the threshold it is low; it must rise clearly before it is not; a bad value says nothing."""
    life = Life(Supplies(MEASURED, {}))
    assert life.rule.due == math.inf
    told = []
    for level in (50.0, 20.0, 20.5, 24.9, 26.0, 24.0):
        told += alarms(life.hear("tank", Reading("level_pct", level), at(1)))
    assert told == [("consumable_low", False), ("consumable_low", True), ("consumable_low", False)]
    assert life.hear("tank", Reading("level_pct", 1.0, quality=Quality.BAD), at(2)) == []
    assert life.hear("tank", Reading("level_pct", None), at(2)) == []
    assert life.hear("tank", Reading("level_pct", "full"), at(2)) == []


def test_an_unknown_time_uses_nothing_up() -> None:
    """After a reboot with an unset clock nobody knows how long it was: nothing is said until that is known."""
    supply = Supply("medicine", None, visits=None, seconds=10 * DAY, low=20.0)
    life = Life(Supplies(supply, {}))
    life.pass_time(at(0))
    again = Life(Supplies(supply, life.state))
    assert again.pass_time(at(9 * DAY, boot=2, good=False)) == []
    assert alarms(again.pass_time(at(9.1 * DAY, boot=2))) == [("consumable_low", True)]


@pytest.mark.parametrize("text", ["", "x", "[1]", '["a",[1,2,3,1],0]', "null"])
def test_a_damaged_memory(text: str) -> None:
    """It counts as full, as done, as open and as empty: a repair is no reason for an alarm."""
    damaged = dict.fromkeys(("rule/supply/water", "rule/round/floor", "rule/staff", "rule/opening"), text)
    assert values(Life(Supplies(PER_VISIT, damaged)).pass_time(at(0)), "level_pct") == [100.0]
    assert alarms(Life(Rounds(plan(every=DAY), damaged)).pass_time(at(0))) == [("round_overdue", False)]
    assert values(Life(Opening((), damaged)).pass_time(at(0)), "open") == [True]
    assert Life(StaffPresence(damaged)).pass_time(at(0)) == []


def plan(every: float | None = None, *times: time) -> Plan:
    """Return the plan of cleaning the floor."""
    return Plan("floor", every, times, early=2 * HOUR, grace=HOUR, zone=SHANGHAI)


def test_a_round_by_how_long_ago() -> None:
    """Overdue after its time and the grace; done, it is not."""
    life = Life(Rounds(plan(12 * HOUR), {}))
    assert alarms(life.pass_time(at(0))) == [("round_overdue", False)]
    assert life.pass_time(at(12.9 * HOUR)) == []
    assert alarms(life.pass_time(at(13.1 * HOUR))) == [("round_overdue", True)]
    said = life.hear("station", done(what="done", round="floor", by="li"), at(14 * HOUR))
    assert alarms(said) == [("round_overdue", False)]
    assert values(said, "done_by") == ["li"]
    again = Life(Rounds(plan(12 * HOUR), life.state))
    assert alarms(again.pass_time(at(26 * HOUR, boot=2))) == [("round_overdue", False)]
    assert alarms(again.pass_time(at(28 * HOUR, boot=2))) == [("round_overdue", True)]


def test_a_round_by_times_of_day() -> None:
    """It may be done a little early; what was done long before does not count for the next time."""
    life = Life(Rounds(plan(None, time(8), time(20)), {}))
    life.pass_time(at(7 * HOUR))
    assert life.pass_time(at(8.9 * HOUR)) == []
    assert life.pass_time(at(9.1 * HOUR)) == [], "it counted as done at the first start, at seven"
    assert alarms(life.pass_time(at(21.1 * HOUR))) == [("round_overdue", True)]
    assert alarms(life.hear("station", done(what="done", round="floor", by="li"), at(22 * HOUR))) == [
        ("round_overdue", False)
    ]
    life.hear("station", done(what="done", round="floor", by="li"), at(24 * HOUR + 5 * HOUR))
    assert alarms(life.pass_time(at(24 * HOUR + 9.1 * HOUR))) == [("round_overdue", True)]


def test_without_a_clock_no_time_of_day_has_passed() -> None:
    """A station that does not know the time accuses nobody."""
    life = Life(Rounds(plan(None, time(8)), {}))
    life.pass_time(at(0))
    assert Life(Rounds(plan(None, time(8)), life.state)).pass_time(at(40 * HOUR, boot=2, good=False)) == []
    assert life.pass_time(at(40 * HOUR, good=False)) == []


def test_how_long_staff_stayed() -> None:
    """The departure carries the seconds since the arrival, across a restart, and the reading says who is there."""
    life = Life(StaffPresence({}))
    arrived = life.hear("station", done(what="arrived", who="li", by="li"), at(100))
    assert values(arrived, "staff") == ["li"]
    again = Life(StaffPresence(life.state))
    said = again.hear("station", done(what="departed", who="li", by="li"), at(1000))
    assert ("station", done(what="departed", who="li", by="li", seconds=900)) in said
    assert values(said, "staff") == ["li", None]


def test_who_forgets_to_sign_off() -> None:
    """After half a day the stay is ended by itself, and marked as seen by nobody."""
    life = Life(StaffPresence({}))
    life.hear("station", done(what="arrived", who="li", by="li"), at(0))
    assert [record for _, record in life.pass_time(at(11 * HOUR))] == []
    said = life.pass_time(at(13 * HOUR))
    assert ("station", Event("maintenance", {"what": "departed", "who": "li", "observed": False})) in said
    assert life.hear("station", done(what="departed", who="li", by="li"), at(14 * HOUR)) == [
        ("station", Reading("staff", None, prompt=True))
    ]


def test_open_unless_something_stands_against_it() -> None:
    """Smoke, a dead door and a person close it; it opens again when the last of them is over, and says since when."""
    life = Life(Opening(("reader",), {}))
    assert values(life.pass_time(at(5)), "open") == [True]
    said = life.hear("entrance", Alarm("smoke", active=True), at(10))
    assert ("station", Event("station_closed", {"why": "smoke"})) in said
    assert values(said, "open_since_ms") == [MIDNIGHT_MS + 10_000]
    assert life.hear("reader", Alarm("device_silent", active=True), at(11)) == []
    assert life.hear("room", Alarm("device_silent", active=True), at(11)) == []
    assert life.hear("entrance", Alarm("smoke", active=False), at(12)) == []
    again = Life(Opening(("reader",), life.state))
    assert values(again.pass_time(at(13)), "open") == [False]
    said = again.hear("reader", Alarm("device_silent", active=False), at(14))
    assert ("station", Event("station_opened", {})) in said
    said = again.hear("station", done(what="closed", by="li"), at(15))
    assert ("station", Event("station_closed", {"why": "maintenance"})) in said
    assert values(again.hear("station", done(what="opened", by="li"), at(16)), "open") == [True]


def test_a_door_taken_out_of_the_file_closes_nothing() -> None:
    """What stood against it went with the station file."""
    life = Life(Opening(("reader",), {}))
    life.hear("reader", Alarm("device_silent", active=True), at(1))
    assert values(Life(Opening((), life.state)).pass_time(at(2)), "open") == [True]


def test_times_are_local() -> None:
    """Eight in the morning is that of the station, not of UTC."""
    assert datetime.fromtimestamp(MIDNIGHT_MS / 1000, tz=UTC).hour == 16
