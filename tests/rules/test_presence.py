"""People inside are an estimate: who came, less who was seen to leave, each fading with time."""

import pytest

from edge_agent.records import Event, Reading
from edge_agent.rules.presence import KEY, Presence
from tests.rules.rig import DAY_S, Play


def room() -> Play:
    """Give a room in which people stay half an hour as a rule."""
    return Play(lambda state, _: [Presence(1800.0, frozenset({"exit_swipe"}), state.get(KEY))])


def inside(play: Play) -> object:
    """Return how many are told to be inside."""
    return play.last("station", "people_inside")


def test_people_come_leave_and_fade() -> None:
    """Whoever leaves takes one presence along; whoever does not is forgotten after some time."""
    play = room()
    assert inside(play) == 0
    for _ in range(3):
        play.tell("door", Event("visit"))
    assert inside(play) == 3
    play.tell("door", Event("exit_swipe"))
    assert inside(play) == 2
    play.wait(1800)
    assert inside(play) == 1
    play.wait(3 * 3600)
    assert inside(play) == 0
    assert play.state[KEY] == "[]"


def test_nobody_is_never_fewer() -> None:
    """More leave than came, because two came by one swipe; the next to come is one."""
    play = room()
    for kind in ("visit", "exit_swipe", "exit_swipe", "visit"):
        play.tell("door", Event(kind))
    assert inside(play) == 1
    play.tell("door", Event("exit_swipe", {"staff": True}), Reading("x", 1))
    assert inside(play) == 1


def test_a_restart_forgets_nobody() -> None:
    """Of the agent, or of a machine that knows the time."""
    play = room()
    play.tell("door", Event("visit"), Event("visit"))
    play.restart()
    assert inside(play) == 2
    play.wall += 1800
    play.restart(boot=True)
    assert inside(play) == 1
    play.wall += DAY_S
    play.restart(boot=True)
    assert inside(play) == 0


@pytest.mark.parametrize("skew", [0.0, -10 * DAY_S])
def test_a_clock_that_is_unknown_or_went_back(skew: float) -> None:
    """Then a presence of before is as old as this boot, at least, and fades all the same."""
    play = room()
    play.tell("door", Event("visit"), Event("visit"))
    play.known = skew != 0.0
    play.wall += skew
    play.restart(boot=True)
    assert inside(play) == 2
    play.wait(3 * 3600)
    assert inside(play) == 0


def test_a_swipe_read_late_counts_for_what_is_left_of_it() -> None:
    """Who came an hour ago has mostly left, and does not change what was told of then."""
    play = room()
    play.wait(120)
    play.tell("door", Event("visit"), Event("visit"), ago=3600)
    assert inside(play) == 0
    play.wait(60)
    assert inside(play) == 0


@pytest.mark.parametrize("stored", ["{", "[[1]]", "7"])
def test_a_damaged_memory_of_presence(stored: str) -> None:
    """What makes no sense is forgotten; the agent starts."""
    play = Play(lambda *_: [Presence(60.0, frozenset(), stored)])
    assert inside(play) == 0
