"""An alarm is raised once and cleared once, across restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Alarm, Severity, Stamp
from edge_agent.rules.alarms import ALARM, Alarms, AlarmState


def at(seconds: float, boot: int = 1) -> Stamp:
    """Return a stamp."""
    return Stamp(boot, round(seconds * 1000), 5_000_000 + round(seconds * 1000), good=True)


def test_life_of_an_alarm() -> None:
    """Raised, again, cleared, again, raised: four records, counted, with the moment it began."""
    alarms = Alarms({})
    smoke, clear = Alarm("smoke", active=True, detail={"where": "hall"}), Alarm("smoke", active=False)
    assert not alarms.changes("station", clear)
    assert alarms.changes("station", smoke)
    state, body = alarms.apply("station", smoke, at(1), 1, 7)
    assert (state.active, state.count, state.since, state.seq) == (True, 1, at(1), 7)
    assert body["state"] == "raised"
    assert body["severity"] == "critical"
    assert body["since"] == [1, 1000, 5_001_000, 1]
    assert body["detail"] == {"where": "hall"}
    assert not alarms.changes("station", smoke)
    assert alarms.changes("other", smoke)
    state, body = alarms.apply("station", clear, at(9), 1, 8)
    assert (body["state"], body["since"], body["count"]) == ("cleared", [1, 1000, 5_001_000, 1], 1)
    assert "detail" not in body
    assert not alarms.changes("station", clear)
    state, _ = alarms.apply("station", smoke, at(20), 1, 9)
    assert (state.count, state.since) == (2, at(20))


def test_alarms_survive_a_restart() -> None:
    """Nothing is raised twice because the agent was restarted; keys of others are left alone."""
    alarms = Alarms({})
    state, _ = alarms.apply("slot-01", Alarm("smoke", active=True), at(1), 2, 3)
    again = Alarms({f"{ALARM}slot-01/smoke": state.stored(), "swipes": "[]"})
    assert again.states == alarms.states
    assert not again.changes("slot-01", Alarm("smoke", active=True))


def test_an_alarm_cleared_without_being_known() -> None:
    """A clearing that is applied all the same (after lost state) is a record of its own moment."""
    state, body = Alarms({}).apply("x", Alarm("smoke", active=False), at(3), 1, 1)
    assert (state.count, body["since"]) == (0, at(3).stored())


@pytest.mark.parametrize("text", ["{}", "[1]", '[1,"dreadful",[1,2,3,1],1,[1,1],{}]', "null"])
def test_a_damaged_memory_of_an_alarm(text: str) -> None:
    """A state that makes no sense is forgotten: the alarm is raised anew."""
    assert Alarms({f"{ALARM}station/smoke": text, f"{ALARM}odd": "[]"}).states == {}


@given(st.booleans(), st.sampled_from(list(Severity)), st.integers(0, 99), st.integers(1, 2**40), st.booleans())
def test_a_state_is_stored_whole(active: bool, severity: Severity, count: int, seq: int, good: bool) -> None:
    """What is loaded equals what was stored."""
    state = AlarmState(active, severity, Stamp(3, 1, 2, good), count, 4, seq, {"a": [1, {"b": None}]})
    assert AlarmState.load(state.stored()) == state
