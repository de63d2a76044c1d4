"""A door that nobody had leave to open raises an alarm; all others do not."""

import pytest

from edge_agent.config.alarms import DoorForced
from edge_agent.records import Alarm, Event
from edge_agent.rules.forced import ForcedDoors
from edge_agent.rules.rule import Said
from tests.rules.moments import Desk, moment

OPENED = Event("door_opened", {"door": "front"})
SLOT = Event("door_opened", {"door": "door_01"})


def desk(stored: dict[str, str] | None = None) -> Desk:
    """Return the rule; `stored` is what a restart finds."""
    return Desk(ForcedDoors(DoorForced(), {"hall.door_01"}, stored or {}))


def learnt() -> Desk:
    """Return one that has seen a swipe and an exit button, a while ago."""
    it = desk()
    it.say(0, "reader", Event("visit"))
    it.say(1, "hall", Event("exit_button"))
    return it


def alarms(said: list[Said]) -> list[bool]:
    """Return what was raised and cleared."""
    return [record.active for _, record in said if isinstance(record, Alarm)]


def test_an_opening_without_leave() -> None:
    """Raised once the controllers have had their time to tell of a swipe; over ten minutes after the last one."""
    it = learnt()
    it.say(100, "hall", OPENED)
    assert alarms(it.until(104.9)) == []
    said = it.until(105.1)
    assert said == [("hall", Alarm("door_forced", active=True, detail={"door": "front"}))]
    it.say(300, "hall", OPENED)
    assert alarms(it.until(899)) == [True]
    assert alarms(it.until(901)) == [False]


@pytest.mark.parametrize("leave", ["visit", "swipe", "staff_entry", "exit_button", "exit_swipe", "commanded"])
@pytest.mark.parametrize("late", [-14.0, 4.0])
def test_an_opening_with_leave(leave: str, late: float) -> None:
    """Before the opening, or told a little after it by a controller that is asked only now and then."""
    it = learnt()
    for at, event in sorted([(100.0, OPENED), (100.0 + late, Event(leave))], key=lambda one: one[0]):
        it.say(at, "hall", event)
    assert alarms(it.until(500)) == []


def test_leave_that_is_too_old() -> None:
    """A swipe opens the door for a while only."""
    it = learnt()
    it.say(100, "reader", Event("visit"))
    it.say(120, "hall", OPENED)
    assert alarms(it.until(130)) == [True]


def test_what_is_not_judged() -> None:
    """A station without an exit button, the slots of a cabinet, and everything else."""
    it = desk()
    it.say(0, "reader", Event("visit"))
    it.say(100, "hall", OPENED)
    assert alarms(it.until(500)) == []
    it = learnt()
    it.say(100, "hall", SLOT, Event("door_closed"))
    assert alarms(it.until(500)) == []


def test_the_word_of_a_controller() -> None:
    """A controller that saw it itself is believed at once."""
    it = desk()
    assert alarms(it.say(0, "gate", Event("door_forced", {"door": "front"}))) == [True]


def test_a_restart() -> None:
    """What was learnt and what is up is known again."""
    it = learnt()
    it.say(100, "hall", OPENED)
    it.until(110)
    again = desk(it.kept())
    assert alarms(again.until(699)) == []
    assert alarms(again.until(701)) == [False]
    again.say(800, "hall", OPENED)
    assert alarms(again.until(810)) == [True]
    later = desk(again.kept()).rule
    assert alarms(list(later.tick(moment(601.0, boot=2, good=False)))) == [False]


@pytest.mark.parametrize("text", ["{}", "nonsense", "[1]", '[true,true,{"hall":"x"}]', "null"])
def test_a_damaged_memory(text: str) -> None:
    """What makes no sense is learnt again."""
    assert alarms(desk({"rule/door_forced": text}).say(0, "hall", OPENED)) == []
