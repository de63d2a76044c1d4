"""Counts are held against a controller's own numbering and against the door; a difference is told, not corrected."""

import pytest

from edge_agent.records import Event
from edge_agent.rules.reconcile import CODE, KEY, SLOTS, Controllers, Doors
from tests.rules.rig import CALENDAR, DAY_S, Play

DAY = "2026-11-22"


def controllers() -> Play:
    """Give a station with a door controller."""
    return Play(lambda state, _: [Controllers(CALENDAR, state.get(KEY))])


def tell(play: Play, *indexes: int, ago: float = 0.0) -> None:
    """Let the controller's events be told, through a restart before each."""
    for index in indexes:
        play.restart()
        play.tell("gate", Event("visit", {"index": index}), ago=ago)


def test_a_controller_whose_events_were_all_told() -> None:
    """The first index known is where the counting begins."""
    play = controllers()
    tell(play, 41, 42, 43)
    assert play.close_day(DAY)["controllers"] == {"gate": {"told": 3, "missing": 0}}
    assert play.alarms() == {("gate", CODE): False}


def test_events_that_nobody_told() -> None:
    """An index that was left out, and events that were overwritten, are missing of the day on which that was seen."""
    play = controllers()
    tell(play, 41, 44)
    play.tell("gate", Event("events_lost", {"from_index": 45, "to_index": 49, "count": 5}))
    tell(play, 50)
    assert play.close_day(DAY)["controllers"] == {"gate": {"told": 3, "missing": 7}}
    assert play.alarms() == {("gate", CODE): True}
    play.wait(DAY_S)
    tell(play, 51)
    play.close_day("2026-11-23")
    assert play.alarms() == {("gate", CODE): False}


def test_a_store_that_began_anew() -> None:
    """Counts from 1 again; what may have been told before is not missing."""
    play = controllers()
    tell(play, 900)
    play.tell("gate", Event("event_log_reset", {"last_index": 900, "index": 3}))
    play.tell("gate", Event("events_skipped", {"from_index": 1, "to_index": 2, "count": 2}))
    tell(play, 3)
    assert play.close_day(DAY)["controllers"] == {"gate": {"told": 2, "missing": 0}}


def test_events_read_late_belong_to_their_day() -> None:
    """The record of that day, written anew, has them; devices without an index have no such figures."""
    play = controllers()
    tell(play, 1)
    play.wait(DAY_S)
    tell(play, 2, 3, ago=DAY_S)
    tell(play, 4)
    play.tell("door", Event("visit"))
    assert play.close_day(DAY)["controllers"] == {"gate": {"told": 3, "missing": 0}}
    assert play.close_day("2026-11-23")["controllers"] == {"gate": {"told": 1, "missing": 0}}
    assert "controllers" not in play.close_day("2026-11-21")


@pytest.mark.parametrize("stored", ["", "[[], 1]", '[{}, {"2026-11-22": {"gate": [1]}}]'])
def test_a_damaged_memory_of_controllers(stored: str) -> None:
    """What makes no sense is forgotten; the agent starts."""
    play = Play(lambda *_: [Controllers(CALENDAR, stored)])
    play.tell("gate", Event("visit", {"index": 8}))
    assert play.close_day(DAY)["controllers"] == {"gate": {"told": 1, "missing": 0}}


@pytest.mark.parametrize(
    ("totals", "difference", "raised"),
    [
        ({"visits": 40, "staff_entries": 2, "exits": 38, "door_openings": 78}, -2, False),
        ({"visits": 40, "exits": 40, "door_openings": 50}, -30, True),
        ({"visits": 40, "exits": 40, "door_openings": 120}, 40, True),
        ({"visits": 4, "exits": 4, "door_openings": 0}, -8, False),
        ({"door_openings": 12}, 12, True),
    ],
)
def test_the_door_opens_for_whoever_comes_or_leaves(totals: dict[str, int], difference: int, raised: bool) -> None:
    """Too few openings (a contact that is dead) and too many (a door that is not locked) are both worth an alarm."""
    play = Play(lambda *_: [Doors(30, {"door_openings": 9, "exits": 9}, CALENDAR)])
    closed = play.close_day(DAY, **totals)["door"]
    assert isinstance(closed, dict)
    assert closed["difference"] == difference
    assert play.alarms() == {("station", CODE): raised}


def test_where_nobody_is_seen_to_leave() -> None:
    """The door may open once more for each who came; as soon as somebody is seen to leave it may not."""
    play = Play(lambda *_: [Doors(30, {}, CALENDAR)])
    assert "door" not in play.close_day(DAY, visits=40)
    play.tell("entrance", Event("door_opened"))
    play.close_day(DAY, visits=40, door_openings=80)
    assert not play.alarms()["station", CODE]
    play.tell("entrance", Event("exit_button"))
    play.close_day(DAY, visits=40, exits=1, door_openings=80)
    assert play.alarms()["station", CODE]


def test_doors_of_slots_are_no_doors_of_the_station() -> None:
    """They are counted with the others, and taken off before the comparison; restarts change nothing."""
    slots = frozenset({"inputs.door_01"})
    play = Play(lambda state, _: [Doors(30, {"door_openings": 9}, CALENDAR, slots, state.get(SLOTS))])
    for _ in range(20):
        play.tell("inputs", Event("door_opened", {"door": "door_01"}))
        play.restart()
    assert "door" not in play.close_day(DAY, visits=0, door_openings=20)
    play.tell("entrance", Event("door_opened", {"door": "door"}))
    assert play.close_day(DAY, visits=1, door_openings=21)["door"] == {
        "came": 1,
        "left": 0,
        "opened": 1,
        "difference": 0,
    }
    for _ in range(9):
        play.wait(DAY_S, step=DAY_S)
        play.tell("inputs", Event("door_opened", {"door": "door_01"}))
    assert play.state[SLOTS].count(":") == 8
