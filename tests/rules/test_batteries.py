"""Each battery has a history under its serial number, bounded and kept through restarts."""

import pytest

from edge_agent.records import Event, Quality, Reading
from edge_agent.rules.batteries import KEY, Batteries, Battery
from tests.rules.rig import NOON_MS, Play


def station() -> Play:
    """Give a station with two slots."""
    return Play(lambda state, _: [Batteries({"cabinet-01", "cabinet-02"}, state)])


def known(play: Play, sn: str) -> Battery:
    """Return what is kept of a battery."""
    return Battery.load(play.state[KEY + sn])


def move(play: Play, kind: str, slot: int, sn: str) -> None:
    """Let a battery come or go."""
    play.tell(f"cabinet-{slot:02}", Event(f"battery_{kind}", {"slot": slot, "sn": sn}))


def look(play: Play, slot: int, sn: str | None, cycles: int | None = None, protections: tuple[str, ...] = ()) -> None:
    """Let a slot be read."""
    readings = [
        Reading("sn", sn),
        Reading("cycles", cycles),
        Reading("soh_pct", 98.4),
        Reading("protections", protections),
    ]
    play.tell(f"cabinet-{slot:02}", *readings)


def test_a_battery_comes_wears_and_goes() -> None:
    """Where it is, how often it came, cycles, health, and each fault once for each time it sets in."""
    play = station()
    move(play, "in", 1, "A")
    look(play, 1, "A", 120)
    for protections in ((), ("over_temp",), ("over_temp",), (), ("over_temp", "cell_over_voltage")):
        look(play, 1, "A", 121, protections)
        play.restart()
    play.wait(60)
    move(play, "out", 1, "A")
    move(play, "in", 2, "A")
    battery = known(play, "A")
    assert (battery.slot, battery.times_in, battery.times_out) == ("cabinet-02", 2, 1)
    assert (battery.cycles, battery.soh_pct) == (121, 98)
    assert battery.faults == {"cell_over_voltage": 1, "over_temp": 2}
    assert (battery.first_ms, battery.last_ms) == (NOON_MS, NOON_MS + 60_000)


def test_one_that_was_there_before_the_agent() -> None:
    """It is known from its first answer, with no coming; values that are old or without a number say nothing."""
    play = station()
    look(play, 1, None, 5)
    play.tell("cabinet-01", Reading("sn", "old", quality=Quality.STALE))
    assert play.state == {}
    look(play, 1, "B", 7)
    assert (known(play, "B").slot, known(play, "B").times_in, known(play, "B").cycles) == ("cabinet-01", 0, 7)
    writes = dict(play.state)
    look(play, 1, "B", 7)
    assert play.state == writes
    look(play, 1, None)
    look(play, 1, None, 9)
    assert known(play, "B").cycles == 7


def test_others_are_none_of_its_business() -> None:
    """A battery without a number has no history, nor have devices that are no slots."""
    play = station()
    play.tell("cabinet-01", Event("battery_in", {"slot": 1}), Event("door_opened", {"sn": "X"}))
    play.tell("battery-01", Reading("sn", "X"))
    assert play.state == {}


def test_the_oldest_are_forgotten() -> None:
    """The newest five hundred stay."""
    play = station()
    look(play, 2, "first")
    for number in range(520):
        move(play, "in", 1, f"N{number:03}")
        move(play, "out", 1, f"N{number:03}")
    look(play, 2, "first", 3)
    assert len(play.state) == 500
    assert KEY + "N519" in play.state
    assert KEY + "N010" not in play.state
    play.restart()
    move(play, "in", 1, "new")
    assert len(play.state) == 500


@pytest.mark.parametrize("text", ["{", "[]", '{"colour": 1}'])
def test_a_damaged_history(text: str) -> None:
    """What makes no sense is forgotten; the agent starts."""
    play = station()
    play.state[KEY + "A"] = text
    play.restart()
    move(play, "in", 1, "A")
    assert known(play, "A").times_in == 1
