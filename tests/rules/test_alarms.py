"""The life of an alarm: raised once, seen to by people, cleared once, across restarts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alarms import AlarmKind
from edge_agent.records import Alarm, AlarmState, Decision, Event, Record, Severity, Shelf
from edge_agent.rules.alarm_state import ALARM, load, stored, told
from edge_agent.rules.alarms import AlarmLife, LifeSettings
from tests.rules.moments import Desk, moment, stamp, states, word

UP, OVER = Alarm("smoke", active=True, detail={"where": "hall"}), Alarm("smoke", active=False)
HOT, COOL = Alarm("battery_over_temp", active=True), Alarm("battery_over_temp", active=False)


def desk(stored: dict[str, str] | None = None, **settings: Any) -> Desk:
    """Return a life of alarms that begins with what is stored."""
    return Desk(AlarmLife(stored or {}, LifeSettings(**settings)))


def kept(it: Desk) -> dict[str, str]:
    """Return what the journal holds of everything said so far."""
    last = {f"{ALARM}{device}/{r.code}": r for device, r in it.said if isinstance(r, AlarmState)}
    return {key: json.dumps(stored(state)) for key, state in last.items()}


def ack(by: str = "li", code: str = "smoke") -> Decision:
    """Return an acknowledgement."""
    return Decision(code, "acknowledge", by)


def test_life_of_an_alarm() -> None:
    """Raised, again, cleared, again, raised: what says nothing new is swallowed, every other one counted."""
    it = desk()
    assert it.say(0, "b1", COOL) == []
    assert states(it.say(1, "b1", HOT, HOT)) == ["raised"]
    assert states(it.say(2, "b2", HOT)) == ["raised"]
    assert states(it.say(9, "b1", COOL, COOL)) == ["cleared"]
    (_, again), *_ = it.say(20, "b1", HOT)
    assert isinstance(again, AlarmState)
    assert (again.count, again.since) == (2, stamp(20))


def test_what_is_told() -> None:
    """The record's body has everything the centre needs, and nothing that is not so."""
    it = desk()
    (_, raised), *_ = it.say(1, "hall", UP)
    assert isinstance(raised, AlarmState)
    assert told(raised) == {
        "state": "raised",
        "severity": "critical",
        "since": stamp(1).stored(),
        "text": {"zh": "烟雾报警", "en": "Smoke detected"},
        "count": 1,
        "detail": {"where": "hall"},
    }
    it.say(2, "hall", Decision("smoke", "shelve", "wang", 60.0))
    (_, over), *_ = it.say(3, "hall", OVER)
    assert isinstance(over, AlarmState)
    shelved = {"by": "wang", "until": stamp(62).stored()}
    assert told(over) == {
        "state": "raised",
        "severity": "critical",
        "since": stamp(1).stored(),
        "text": {"zh": "烟雾报警", "en": "Smoke detected"},
        "count": 1,
        "latched": True,
        "shelved": shelved,
    }


def test_everything_else_passes() -> None:
    """The life of alarms is nobody else's business."""
    assert desk().say(0, "door", Event("visit")) == [("door", Event("visit"))]


def test_a_latched_alarm_waits_for_a_person() -> None:
    """Smoke that is gone stays up until acknowledged; one acknowledged before goes with its cause."""
    it = desk()
    assert states(it.say(1, "hall", UP, OVER)) == ["raised", "raised latched"]
    assert states(it.say(5, "hall", UP, OVER)) == ["raised", "raised latched"]
    assert states(it.say(9, "hall", ack())) == ["cleared"]
    assert states(it.say(10, "hall", UP, ack(), OVER)) == ["raised", "acknowledged", "cleared"]
    assert [record.by for _, record in it.said[-2:] if isinstance(record, AlarmState)] == ["li", "li"]
    assert [record.by for _, record in it.say(11, "hall", UP) if isinstance(record, AlarmState)] == [""]


def test_a_latched_alarm_is_cleared_by_a_person() -> None:
    """But none whose cause still stands, and none that is not up."""
    it = desk()
    clear = Decision("smoke", "clear", "li")
    assert states(it.say(1, "hall", clear, UP, clear)) == ["raised"]
    assert states(it.say(2, "hall", OVER, clear, clear)) == ["raised latched", "cleared"]


def test_acknowledging() -> None:
    """Once, by whoever was first; nothing that is not up."""
    it = desk()
    assert states(it.say(1, "b1", ack(code="battery_over_temp"))) == []
    assert states(it.say(2, "b1", HOT, ack(code="battery_over_temp"), ack("wu", "battery_over_temp"))) == [
        "raised",
        "acknowledged",
    ]
    assert states(it.say(3, "b1", COOL)) == ["cleared"]


def test_what_latches_is_configured() -> None:
    """And what is switched off is never raised, and cleared if it was."""
    it = desk(latched=frozenset({"battery_over_temp"}), off=frozenset({"water_leak"}))
    assert states(it.say(1, "b1", HOT, COOL)) == ["raised", "raised latched"]
    assert states(it.say(1, "hall", UP, OVER)) == ["raised", "cleared"]
    leak = Alarm("water_leak", active=True)
    assert it.say(2, "hall", leak) == []
    before = desk()
    before.say(1, "hall", leak)
    after = desk(kept(before), off=frozenset({"water_leak"}))
    assert states(after.say(2, "hall", leak)) == ["cleared"]


def test_a_shelf_ends_by_itself() -> None:
    """While shelved everything is recorded, marked; afterwards the state is told once more without the mark."""
    it = desk()
    shelve = Decision("battery_over_temp", "shelve", "wang", 600.0)
    assert states(it.say(0, "b1", shelve)) == ["cleared shelved"]
    assert states(it.say(60, "b1", HOT)) == ["raised shelved"]
    assert states(it.until(599.9)) == []
    assert states(it.until(601)) == ["raised"]
    assert states(it.say(700, "b1", shelve, Decision("battery_over_temp", "unshelve", "wang"))) == [
        "raised shelved",
        "raised",
    ]
    assert states(it.say(701, "b1", Decision("battery_over_temp", "unshelve", "wang"))) == []
    assert states(it.until(2000)) == []


@pytest.mark.parametrize(
    ("after", "good", "left"),
    [(100.0, True, 495.0), (1000.0, True, 0.0), (100.0, False, 600.0), (-5000.0, True, 600.0)],
    ids=["a good clock", "over meanwhile", "an unknown clock", "a clock that went back"],
)
def test_a_shelf_survives_a_restart(after: float, good: bool, left: float) -> None:
    """By the clock where it is good; else from the boot on, so that it never lasts longer than that."""
    it = desk()
    it.say(0, "b1", HOT, Decision("battery_over_temp", "shelve", "wang", 600.0))
    again = AlarmLife(kept(it))
    here = moment(5.0, boot=2, good=good, began=after)
    assert states(again.tick(here)) == (["raised"] if left == 0 else [])
    if left:
        assert again.due == pytest.approx(5.0 + left - (0 if left < 600 else 5.0))


def test_flapping_is_damped() -> None:
    """The sixth raise within ten minutes holds the alarm up, silent but counted, until ten minutes were quiet."""
    it = desk()
    for second in range(0, 50, 10):
        assert states(it.say(second, "b1", HOT, COOL)) == ["raised", "cleared"]
    assert states(it.say(60, "b1", HOT)) == ["raised flapping"]
    for second in range(70, 600, 10):
        assert states(it.say(second, "b1", COOL, HOT)) == []
    assert states(it.say(600, "b1", COOL)) == []
    assert states(it.until(1199)) == []
    assert states(it.until(1201)) == ["cleared"]
    (_, last) = it.said[-1]
    assert isinstance(last, AlarmState)
    assert (last.count, last.since) == (59, stamp(60))


def test_flapping_that_ends_raised() -> None:
    """What is quiet because it stands for good is raised like any other; a person may clear it before."""
    it = desk(often=1, window=60.0)
    assert states(it.say(0, "b1", HOT, COOL, HOT, COOL, HOT)) == ["raised", "cleared", "raised flapping"]
    assert states(it.until(61)) == ["raised"]
    it = desk(often=1, window=60.0)
    it.say(0, "b1", HOT, COOL, HOT, COOL)
    assert states(it.say(1, "b1", Decision("battery_over_temp", "clear", "li"))) == ["cleared"]
    assert states(it.until(100)) == []


def test_alarms_survive_a_restart() -> None:
    """Nothing is raised twice because the agent was restarted; keys of others are left alone."""
    it = desk()
    it.say(1, "hall", UP, ack())
    again = desk(kept(it) | {"swipes": "[]"})
    assert again.say(2, "hall", UP) == []
    assert states(again.say(3, "hall", OVER)) == ["cleared"]


def test_a_kind_of_the_station_file() -> None:
    """Severity and texts are those of the device's own kind, also for what was raised before it was changed."""
    kind = AlarmKind(Severity.INFO, "热", "Hot")
    it = desk(kinds={("b1", "own"): kind, ("b1", "battery_over_temp"): kind})
    for code in ("own", "battery_over_temp"):
        (_, state), *_ = it.say(1, "b1", Alarm(code, active=True))
        assert isinstance(state, AlarmState)
        assert (state.severity, state.zh, state.en) == (Severity.INFO, "热", "Hot")
    later = desk(kept(it))
    (_, gone), *_ = later.say(2, "b1", Alarm("own", active=False))
    assert isinstance(gone, AlarmState)
    assert (gone.active, gone.en) == (False, "Hot")


@pytest.mark.parametrize("text", ["{}", "[1]", '{"severity":"dreadful"}', "null", "nonsense", '"x"'])
def test_a_damaged_memory_of_an_alarm(text: str) -> None:
    """A state that makes no sense is forgotten: the alarm is raised anew."""
    assert load({f"{ALARM}station/smoke": text, f"{ALARM}odd": "[]"}) == {}


@given(st.booleans(), st.sampled_from(list(Severity)), st.integers(0, 99), st.booleans(), st.booleans())
def test_a_state_is_stored_whole(stands: bool, severity: Severity, count: int, good: bool, put: bool) -> None:
    """What is loaded equals what was stored."""
    at = stamp(1, 3, good=good)
    state = AlarmState(
        "smoke",
        severity,
        "烟",
        "Smoke",
        at,
        stands,
        True,
        count,
        "li",
        {"a": [1, {"b": None}]},
        Shelf("wu", at, 9.5) if put else None,
        (at, at),
        at if put else None,
    )
    assert load({f"{ALARM}hall/smoke": json.dumps(stored(state))}) == {("hall", "smoke"): state}


STIMULI = st.lists(
    st.tuples(
        st.floats(0.1, 400.0),
        st.sampled_from(
            [
                UP,
                OVER,
                UP,
                OVER,
                ack(),
                Decision("smoke", "clear", "li"),
                Decision("smoke", "shelve", "wu", 300.0),
                Decision("smoke", "unshelve", "wu"),
            ]
        ),
    ),
    max_size=40,
)


@given(STIMULI, st.booleans(), st.sets(st.integers(0, 39)))
def test_any_history(history: list[tuple[float, Record]], latch: bool, restarts: set[int]) -> None:
    """No record says what the one before said; nothing is up without a cause; restarts at any record change nothing."""
    settings: dict[str, Any] = {"latched": frozenset({"smoke"} if latch else ()), "often": 2, "window": 500.0}
    whole, cut = desk(**settings), desk(**settings)
    now = 0.0
    for number, (pause, record) in enumerate(history):
        now = round(now + pause, 3)
        whole.say(now, "hall", record)
        cut.say(now, "hall", record)
        if number in restarts:
            cut = _restarted(cut, settings)
    whole.until(now + 5000)
    cut.until(now + 5000)
    assert [word(s) for _, s in whole.said if isinstance(s, AlarmState)] == [
        word(s) for _, s in cut.said if isinstance(s, AlarmState)
    ]
    before = None
    for _, state in whole.said:
        assert isinstance(state, AlarmState)
        assert state.active or not state.stands
        assert before is None or before.count <= state.count <= before.count + 1
        assert before is None or not state.told or told(before) != told(state)
        before = state
    assert states(whole.said).count("raised flapping") <= len(history) // 3


def _restarted(it: Desk, settings: dict[str, Any]) -> Desk:
    again = desk(kept(it), **settings)
    again.said = it.said
    return again
