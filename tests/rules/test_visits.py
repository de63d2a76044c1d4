"""What a granted swipe is, by reader and card; and what is a visit where no card counts."""

import pytest

from edge_agent.records import CardRef, Event, Json, Reading
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.passages import Cycle, Passages
from edge_agent.rules.swipes import Swipes
from edge_agent.rules.visits import Cards, Readers, Visits
from tests.rules.rig import Play

GUEST, STAFF, COURIER = (CardRef(letter * 32, "k1") for letter in "abc")
CARDS = Cards(frozenset({STAFF}), {"courier": frozenset({COURIER, STAFF})})


def named(readers: Readers, device: str, event: Event, *, by_cards: bool = True) -> Event:
    """Return what a swipe becomes."""
    ((_, record),) = Play(lambda *_: [Visits(readers, CARDS, by_cards=by_cards)]).tell(device, event)
    assert isinstance(record, Event)
    return record


@pytest.mark.parametrize(
    ("device", "reader", "card", "kind", "data"),
    [
        ("front", "door", GUEST, "visit", {"reader": "door"}),
        ("front", "door", None, "visit", {"reader": "door"}),
        ("front", "door", COURIER, "visit", {"reader": "door", "group": "courier"}),
        ("front", "door", STAFF, "staff_entry", {"reader": "door"}),
        ("front", "locker", GUEST, "swipe", {"reader": "locker"}),
        ("back", "door", GUEST, "exit_swipe", {"reader": "door"}),
        ("back", "door", STAFF, "exit_swipe", {"reader": "door", "staff": True}),
    ],
)
def test_a_swipe_is_what_reader_and_card_make_of_it(
    device: str, reader: str, card: CardRef | None, kind: str, data: dict[str, Json]
) -> None:
    """Readers are named alone or within their device; staff are never visitors, nor in a group."""
    readers = Readers(frozenset({"front.door"}), frozenset({"back"}))
    found = named(readers, device, Event("visit", {"reader": reader}, card))
    assert (found.type, dict(found.data), found.card) == (kind, data, card)


def test_every_reader_counts_unless_said_otherwise() -> None:
    """Without a list of entries all readers are; what a controller calls leaving stays so."""
    assert named(Readers(), "any", Event("visit", card=GUEST)).type == "visit"
    assert named(Readers(), "any", Event("exit_swipe", card=STAFF)).data == {"staff": True}
    assert named(Readers(), "any", Event("denied", card=STAFF)).type == "denied"


def test_swipes_are_told_where_something_else_counts() -> None:
    """No visit is counted twice, once by its card and once by the door."""
    assert named(Readers(), "any", Event("visit", card=GUEST), by_cards=False).type == "swipe"
    assert named(Readers(), "any", Event("visit", card=STAFF), by_cards=False).type == "staff_entry"


def test_whoever_leaves_soon_is_no_double_swipe() -> None:
    """The window is one for coming and another for leaving; staff who swipe twice have come once."""
    keys = DayKeys(None)
    play = Play(lambda _, ledger: [Visits(Readers(exit=frozenset({"in"})), CARDS), Swipes(10.0, ledger, keys)])
    for device, card in (("out", GUEST), ("in", GUEST), ("in", GUEST), ("out", STAFF), ("out", STAFF), ("out", GUEST)):
        play.tell(device, Event("visit", card=card))
        play.restart()
    assert play.totals == {"visits": 1, "exits": 1, "staff_entries": 1}


def by_door(**limits: float) -> Play:
    """Give a station whose door counts."""
    cycle = Cycle(1.0, 120.0, int(limits.get("per_visit", 1)))
    return Play(lambda state, _: [Passages("door", frozenset({"entrance.door"}), cycle, state.get("rule/passages"))])


def cycle(play: Play, seconds: float, door: str = "door") -> None:
    """Open a door and close it again; the agent is restarted in between."""
    play.tell("entrance", Event("door_opened", {"door": door}))
    play.wait(seconds)
    play.restart()
    play.tell("entrance", Event("door_closed", {"door": door}))
    play.wait(30)


def test_a_door_that_opens_and_closes_is_a_visit() -> None:
    """Neither a door that bounced, nor one propped open, nor any other door; a restart in between changes nothing."""
    play = by_door()
    for seconds in (0.5, 1.0, 20.0, 120.0, 121.0):
        cycle(play, seconds)
    cycle(play, 20.0, "back")
    assert play.totals["visits"] == 3
    assert {record.data["by"] for _, record in play.said if isinstance(record, Event) and record.type == "visit"} == {
        "door"
    }


def test_a_door_that_lets_somebody_out_is_no_visit() -> None:
    """One press of the button excuses one opening soon behind it."""
    play = by_door()
    play.tell("entrance", Event("exit_button", {"button": "exit"}))
    play.restart()
    play.wait(3)
    cycle(play, 5.0)
    cycle(play, 5.0)
    play.tell("entrance", Event("exit_button", {"button": "exit"}))
    play.wait(60)
    cycle(play, 5.0)
    assert play.totals == {"exits": 2, "door_openings": 3, "visits": 2}


def test_a_door_closed_in_another_boot_is_no_visit_while_nobody_knows_when() -> None:
    """How long it was open cannot be told."""
    play = by_door()
    play.known = False
    play.tell("entrance", Event("door_opened", {"door": "door"}))
    play.restart(boot=True)
    play.tell("entrance", Event("door_closed", {"door": "door"}))
    assert play.totals["visits"] == 0


def test_in_and_out_by_one_door() -> None:
    """Where everybody leaves by the door, every second opening is a visit."""
    play = by_door(per_visit=2)
    for _ in range(7):
        cycle(play, 5.0)
    assert play.totals["visits"] == 3


def test_a_person_through_the_beams_is_a_visit() -> None:
    """Who leaves is not, and a door counts nothing then."""
    play = Play(lambda *_: [Passages("beams")])
    play.tell("beams", Event("person_in", {"door": "door"}), Event("person_out", {"door": "door"}))
    play.tell(
        "entrance", Event("door_opened", {"door": "door"}), Event("door_closed", {"door": "door"}), Reading("x", 1)
    )
    assert play.totals == {"people_in": 1, "visits": 1, "people_out": 1, "door_openings": 1}


@pytest.mark.parametrize("stored", ["", "[]", '[{"a": [1]}, {}, null]', "[1, 2, 3]"])
def test_a_damaged_memory_of_doors(stored: str) -> None:
    """What makes no sense is forgotten; the agent starts."""
    play = Play(lambda *_: [Passages("door", stored=stored)])
    cycle(play, 5.0)
    assert play.totals["door_openings"] == 1


def test_a_door_of_a_slot_counts_nobody() -> None:
    """Whoever takes a battery has not come in."""
    others = frozenset({"entrance.slot_01"})
    play = Play(lambda state, _: [Passages("door", stored=state.get("rule/passages"), others=others)])
    cycle(play, 5.0, "slot_01")
    cycle(play, 5.0)
    assert play.totals["visits"] == 1
