"""Conditions over points become alarms: with delays and hysteresis, from good readings only, across restarts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.alarms import AlarmRule
from edge_agent.records import Alarm, Quality, Reading
from edge_agent.rules.conditions import Conditions
from edge_agent.rules.own import spec_of
from edge_agent.rules.rule import Said
from tests.rules.moments import Desk, moment

TEXT = {"zh": "热", "en": "Hot"}
HOT: dict[str, Any] = {"point": "room.temperature_c", "above": 30.0, "hysteresis": 2.0}


def rule(name: str = "hot", **keys: Any) -> AlarmRule:
    """Return a rule as the station file has it."""
    return AlarmRule.model_validate({"name": name, "text": TEXT, **keys})


def desk(*rules: AlarmRule, stored: dict[str, str] | None = None) -> Desk:
    """Return the rule with those conditions."""
    return Desk(Conditions([spec_of(one) for one in rules], stored or {}))


def temp(value: float | None, *, good: bool = True) -> Reading:
    """Return a reading of the room."""
    return Reading("temperature_c", value, quality=Quality.GOOD if good else Quality.BAD)


def alarms(said: Sequence[Said]) -> list[tuple[str, bool]]:
    """Return what was raised and cleared."""
    return [(record.code, record.active) for _, record in said if isinstance(record, Alarm)]


UP, OVER = [("hot", True)], [("hot", False)]


def test_a_limit_with_hysteresis() -> None:
    """Raised above, over only once back below the band; the detail says what was read."""
    it = desk(rule(**HOT))
    assert alarms(it.say(0, "room", temp(30.0))) == []
    (_, raised) = it.say(1, "room", temp(30.1))[-1]
    assert isinstance(raised, Alarm)
    assert (raised.active, raised.detail) == (True, {"room.temperature_c": 30.1})
    assert alarms(it.say(2, "room", temp(28.1))) == []
    assert alarms(it.say(3, "room", temp(30.5))) == []
    assert alarms(it.say(4, "room", temp(28.0))) == OVER


def test_below_a_limit() -> None:
    """The same from the other side."""
    it = desk(rule("cold", point="room.temperature_c", below=5.0, hysteresis=1.0))
    assert alarms(it.say(0, "room", temp(4.9))) == [("cold", True)]
    assert alarms(it.say(1, "room", temp(5.9))) == []
    assert alarms(it.say(2, "room", temp(6.0))) == [("cold", False)]


def test_delays() -> None:
    """It must last to be raised, and be over for long enough to be cleared; a pause begins anew."""
    it = desk(rule(**HOT, after="60s", clear_after="30s"))
    it.say(0, "room", temp(31.0))
    it.say(50, "room", temp(29.0))
    assert alarms(it.say(100, "room", temp(31.0))) == []
    assert alarms(it.until(159)) == []
    assert alarms(it.until(160.1)) == UP
    it.say(200, "room", temp(27.0))
    it.say(220, "room", temp(29.0))
    assert alarms(it.say(240, "room", temp(27.0))) == []
    assert alarms(it.until(269)) == []
    assert alarms(it.until(271)) == OVER


def test_only_good_readings_count() -> None:
    """A bad one neither raises nor clears, and a delay does not end on it: the next good one decides."""
    it = desk(rule(**HOT, after="60s"))
    assert alarms(it.say(0, "room", temp(40.0, good=False))) == []
    it.say(10, "room", temp(31.0))
    it.say(20, "room", temp(31.0, good=False))
    assert alarms(it.until(500)) == []
    assert alarms(it.say(501, "room", temp(31.0))) == UP
    assert alarms(it.say(502, "room", temp(1.0, good=False), temp(None))) == []
    assert alarms(it.say(503, "room", temp(20.0))) == OVER


def test_a_condition_of_several_points() -> None:
    """Any condition over points will do; where it cannot be told nothing changes."""
    it = desk(rule(when='aircon.state == "stopped" and room.temperature_c > 28', after="10s"))
    it.say(0, "room", temp(30.0))
    assert alarms(it.until(100)) == []
    it.say(100, "aircon", Reading("state", "stopped"))
    assert alarms(it.until(111)) == [("hot", True)]
    it.say(120, "aircon", replace(Reading("state", "stopped"), quality=Quality.BAD))
    assert alarms(it.say(121, "room", temp(30.0))) == []
    assert alarms(it.say(122, "room", temp(20.0))) == OVER


def test_a_rise() -> None:
    """Faster than allowed within the window, however slowly it is looked at; over when it has calmed down."""
    it = desk(rule(point="room.temperature_c", rises=5.0, within="600s"))
    said = []
    for second in range(0, 1200, 10):
        said += it.say(second, "room", temp(20.0 + second * 0.004))
    assert alarms(said) == []
    for second in range(1200, 1800, 10):
        said += it.say(second, "room", temp(25.0 + (second - 1200) * 0.02))
    assert alarms(said) == UP
    for second in range(1800, 3000, 10):
        said += it.say(second, "room", temp(37.0))
    assert alarms(said) == [*UP, *OVER]


def test_a_rise_over_a_pause() -> None:
    """What happened while nobody looked proves nothing about how fast it was."""
    it = desk(rule(point="room.temperature_c", rises=5.0, within="600s"))
    it.say(0, "room", temp(20.0))
    assert alarms(it.say(200, "room", temp(40.0))) == []


def test_two_points_disagree() -> None:
    """Numbers by more than allowed, words at all; what is not known disagrees with nothing."""
    it = desk(rule(point="room.temperature_c", differs_from="spare.temperature_c", by=3.0, after="5s"))
    it.say(0, "room", temp(20.0))
    it.say(1, "spare", temp(23.0))
    assert alarms(it.until(10)) == []
    it.say(10, "spare", temp(23.1))
    assert alarms(it.until(16)) == UP
    words = desk(rule(point="relay.commanded_1", differs_from="relay.relay_1"))
    assert alarms(words.say(0, "relay", Reading("commanded_1", "on"))) == []
    assert alarms(words.say(0, "relay", Reading("relay_1", "off"))) == UP
    assert alarms(words.say(0, "relay", Reading("relay_1", "on"))) == OVER


def test_silence() -> None:
    """No good reading for too long, also when none ever came; the first good one ends it."""
    it = desk(rule(point="room.temperature_c", silent="300s"))
    assert alarms(it.until(299)) == []
    assert alarms(it.until(301)) == UP
    assert alarms(it.say(310, "room", temp(None, good=False))) == []
    assert alarms(it.say(320, "room", temp(20.0))) == OVER
    it.say(400, "room", temp(20.0))
    it.say(500, "room", temp(20.0, good=False))
    assert alarms(it.until(699)) == []
    assert alarms(it.until(701)) == UP


def test_a_frozen_value() -> None:
    """The same to the last digit for too long, as long as it is really read; any other ends it."""
    it = desk(rule(point="room.temperature_c", frozen="600s"))
    for second in range(0, 600, 60):
        it.say(second, "room", temp(20.1 if second < 120 else 20.2))
    assert alarms(it.until(5000)) == []
    assert alarms(it.say(5000, "room", temp(20.2))) == UP
    assert alarms(it.say(5010, "room", temp(20.2))) == []
    assert alarms(it.say(5020, "room", temp(20.3))) == OVER


def test_only_while() -> None:
    """Outside of its time a rule judges nothing, and what it had raised is over."""
    it = desk(rule(point="room.temperature_c", frozen="600s", only_while="aircon.running"))
    for second in range(0, 2000, 100):
        assert alarms(it.say(second, "room", temp(20.1))) == []
    it.say(2000, "aircon", Reading("running", value=True))
    said = [one for second in range(2100, 3000, 100) for one in it.say(second, "room", temp(20.1))]
    assert alarms(said) == UP
    assert alarms(it.say(3000, "aircon", Reading("running", value=False))) == OVER


def test_an_alarm_with_several_causes() -> None:
    """It is up as long as one of them holds, the driver's own word included, across restarts."""
    contact = rule("smoke-b", when="hall.loft", code="smoke")
    it = desk(contact)
    up, over = Alarm("smoke", active=True), Alarm("smoke", active=False)
    assert alarms(it.say(0, "hall", up)) == [("smoke", True)]
    it.say(1, "hall", Reading("loft", value=True))
    assert alarms(it.say(2, "hall", over)) == []
    assert alarms(it.say(3, "hall", Reading("loft", value=False))) == [("smoke", False)]
    it.say(4, "hall", up, Reading("loft", value=True))
    again = desk(contact, stored=it.kept())
    assert alarms(again.say(5, "hall", Reading("loft", value=False))) == []
    assert alarms(again.say(6, "hall", over)) == [("smoke", False)]
    assert alarms(again.say(7, "attic", over)) == [("smoke", False)]


def test_a_rule_that_is_gone_clears_its_alarm() -> None:
    """Whoever takes a rule out of the station file is rid of its alarm at the next start, once."""
    it = desk(rule(**HOT))
    it.say(0, "room", temp(31.0))
    state = it.kept()
    assert alarms(desk(rule(**HOT), stored=state).until(100)) == []
    without = desk(stored=state)
    assert without.until(1) == [("room", Alarm("hot", active=False))]
    assert without.kept() == {}
    assert without.memory == dict.fromkeys(state)


@pytest.mark.parametrize("text", ["{}", "nonsense", "[true]", '[true,"x",[]]', "null"])
def test_a_damaged_memory(text: str) -> None:
    """What makes no sense is as good as nothing."""
    it = desk(rule(**HOT), stored={"rule/alarm/room/hot/hot": text})
    assert alarms(it.say(0, "room", temp(31.0))) == UP


def test_a_delay_survives_a_restart_in_another_boot() -> None:
    """What had waited for most of its time waits no longer than the rest, as far as clocks can tell."""
    it = desk(rule(**HOT, after="600s"))
    it.say(1000, "room", temp(31.0))
    for good, due in ((True, True), (False, False)):
        again = desk(rule(**HOT, after="600s"), stored=it.kept()).rule
        now = moment(20.0, boot=2, good=good, began=1600.0)
        assert alarms(list(again.take("room", temp(31.0), now))) == (UP if due else [])


KINDS: list[dict[str, Any]] = [
    HOT,
    {**HOT, "after": "45s", "clear_after": "20s"},
    {"when": "room.temperature_c > 30", "after": "30s"},
    {"point": "room.temperature_c", "differs_from": "spare.temperature_c", "by": 2.0, "clear_after": "40s"},
]
COURSE = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from(["room", "spare"]), st.floats(25, 35), st.integers(0, 9)), max_size=40
)


@given(st.sampled_from(KINDS), COURSE, st.sets(st.integers(0, 39)))
def test_any_course(keys: dict[str, Any], course: list[tuple[int, str, float, int]], restarts: set[int]) -> None:
    """Raised and cleared take turns, and restarts at any record give the same alarms once the devices have spoken."""
    whole, cut = desk(rule(**keys)), desk(rule(**keys))
    last: dict[str, Reading] = {}
    now = 0.0
    for number, (pause, device, value, doubt) in enumerate(course):
        now += pause
        last[device] = temp(round(value, 2), good=doubt > 0)
        whole.say(now, device, last[device])
        cut.say(now, device, last[device])
        if number in restarts:
            before, cut = cut, desk(rule(**keys), stored=cut.kept())
            cut.said, cut.memory = before.said, before.memory
            # A device says again how it is: listeners when their lines are opened, all others when asked.
            for name, reading in last.items():
                cut.say(now, name, reading)
    assert alarms(whole.said) == alarms(cut.said)
    turns = [active for _, active in alarms(whole.said)]
    assert turns == [number % 2 == 0 for number in range(len(turns))]


@given(st.lists(st.floats(28.01, 30.0), max_size=60), st.booleans())
def test_nothing_flaps_inside_the_band(values: list[float], begin: bool) -> None:
    """Whatever moves between the limit and its hysteresis changes nothing."""
    it = desk(rule(**HOT))
    it.say(0, "room", temp(31.0 if begin else 20.0))
    before = len(alarms(it.said))
    for second, value in enumerate(values, 1):
        it.say(second, "room", temp(value))
    assert len(alarms(it.said)) == before
