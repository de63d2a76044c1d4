"""A clock that nobody sets is an alarm, also where no device tells of it."""

from edge_agent.records import Alarm, Event
from edge_agent.rules.clock_watch import ClockWatch
from edge_agent.rules.rule import Said
from tests.rules.moments import moment


def alarms(said: list[Said]) -> list[bool]:
    """Return what was said of the station's clock."""
    return [record.active for device, record in said if device == "station" and isinstance(record, Alarm)]


def test_a_clock_that_stays_bad() -> None:
    """Raised after a quarter of an hour, over as soon as it is good."""
    it = ClockWatch(900.0)
    assert [alarms(list(it.tick(moment(at, good=False)))) for at in (0, 899, 900)] == [[], [], [True]]
    assert alarms(list(it.tick(moment(960)))) == [False]
    assert it.due == 1020.0


def test_a_device_that_tells_of_it() -> None:
    """Has the word from then on; what the station had said itself is taken back."""
    it = ClockWatch(900.0)
    assert alarms(list(it.take("pi", Event("visit"), moment(1)))) == []
    told = list(it.take("pi", Alarm("clock_bad", active=True), moment(2, good=False)))
    assert told == [("station", Alarm("clock_bad", active=False)), ("pi", Alarm("clock_bad", active=True))]
    assert list(it.take("pi", Alarm("clock_bad", active=True), moment(3))) == [told[1]]
    assert [alarms(list(it.tick(moment(at, good=False)))) for at in (0, 2000)] == [[], []]
