"""Two light beams: who passes wholly is counted once, in the right direction, and nobody else."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.people_counter import DRIVER, Options, Simulator
from drivers.people_counter.codec import Beam, Crossing
from edge_agent.driver import Alarm, Chunk, Edge, Event, LineRequest, Reading, Record, Site
from tests.drivers import vectors

LINES = {"outer": 17, "inner": 27}


def options(**others: Any) -> Options:
    """Two beams on the usual lines."""
    return Options.model_validate({**LINES, **others})


def play(driver: DRIVER, chunks: Iterable[Chunk]) -> list[Record]:
    """Feed chunks, each followed by the quiet that settles it."""
    records: list[Record] = []
    for chunk in chunks:
        records += [*driver.feed(chunk), *driver.quiet(chunk.at + driver.settle)]
    return records


def passages(records: Iterable[Record]) -> list[str]:
    """Types of the events."""
    return [record.type for record in records if isinstance(record, Event)]


def edges(*changes: tuple[str, bool, float]) -> Chunk:
    """Changes as (beam, broken, time) on lines that are high while broken."""
    found = tuple(Edge(LINES[beam], high=broken, at=at) for beam, broken, at in changes)
    return Chunk(changes[-1][2], edges=found)


@pytest.mark.parametrize("vector", vectors.of_driver("people_counter"), ids=str)
def test_vectors(vector: vectors.Vector) -> None:
    """Each sequence of changes counts whom it says."""
    crossing = Crossing(timeout=100.0)
    found = []
    for at, code in enumerate(vector.frame):
        beam: Beam = "outer" if code >> 4 == 1 else "inner"
        passage = crossing.change(beam, broken=bool(code & 1), at=float(at))
        found += [passage.direction] if passage else []
    assert found == vector.decoded["passages"]


@pytest.mark.parametrize("broken", ["open", "closed"])
@pytest.mark.parametrize("pull", ["up", "down", "none"])
@given(walks=st.lists(st.sampled_from(["enter", "leave", "turn_back"]), max_size=12))
def test_everyone_is_counted_once(broken: str, pull: str, walks: list[str]) -> None:
    """However the receivers are wired, each passage is one event, in order; whoever turns back is none."""
    chosen = options(broken=broken, pull=pull)
    simulator = Simulator(chosen, Site())
    for walk in walks:
        getattr(simulator, walk)()
    records = play(DRIVER(chosen, Site()), simulator.play())
    names = {"enter": "person_in", "leave": "person_out"}
    assert passages(records) == [names[walk] for walk in walks if walk in names]
    for point, walk in (("passed_in", "enter"), ("passed_out", "leave")):
        counts = [record.value for record in records if isinstance(record, Reading) and record.point == point]
        assert counts[-1] == walks.count(walk)
    assert simulator.answer(b"x") == b""


def test_a_whole_passage_within_one_chunk_counts() -> None:
    """The times of the edges decide, not the times of delivery; the event carries its own."""
    driver = DRIVER(options(), Site())
    play(driver, Simulator(options(), Site()).play())
    changes = [("outer", True, 5.0), ("inner", True, 5.1), ("outer", False, 5.2), ("inner", False, 5.3)]
    records = play(driver, [edges(*changes)])
    assert [(record.type, record.at) for record in records if isinstance(record, Event)] == [("person_in", 5.3)]


def test_flicker_is_nobody() -> None:
    """What does not last is no change."""
    driver = DRIVER(options(), Site())
    play(driver, Simulator(options(), Site()).play())
    changes = [
        (beam, broken, 5.0 + n * 0.004)
        for n, (beam, broken) in enumerate([("outer", True), ("inner", True), ("outer", False), ("inner", False)] * 20)
    ]
    assert passages(play(driver, [edges(*changes)])) == []


def test_whoever_stands_in_the_door_is_not_counted() -> None:
    """Longer than `timeout` is no passage, and the next one counts again."""
    driver = DRIVER(options(timeout="2s"), Site())
    play(driver, Simulator(options(), Site()).play())
    slow = [("outer", True, 5.0), ("inner", True, 5.1), ("outer", False, 8.0), ("inner", False, 8.1)]
    quick = [("inner", True, 9.0), ("outer", True, 9.1), ("inner", False, 9.2), ("outer", False, 9.3)]
    assert passages(play(driver, [edges(*slow), edges(*quick)])) == ["person_out"]


def test_what_stood_there_at_the_start_is_no_passage() -> None:
    """Half a passage seen is none."""
    driver = DRIVER(options(), Site())
    found = (Edge(17, high=True, at=1.0, initial=True), Edge(27, high=True, at=1.0, initial=True))
    records = play(driver, [Chunk(1.0, edges=found), edges(("outer", False, 2.0), ("inner", False, 2.2))])
    assert passages(records) == []


def test_a_blocked_beam_is_an_alarm() -> None:
    """It is raised once, named, and cleared; after a start it is said to be clear once."""
    driver = DRIVER(options(blocked_after="30s"), Site())
    records = play(driver, Simulator(options(), Site()).play())
    assert [r for r in records if isinstance(r, Alarm)] == [Alarm("device_fault", active=False)]
    play(driver, [edges(("inner", True, 10.0))])
    told = [r for now in (30.0, 40.1, 50.0) for r in driver.quiet(now)]
    assert told == [Alarm("device_fault", active=True, detail={"beams": ["inner"]})]
    assert Alarm("device_fault", active=False) in play(driver, [edges(("inner", False, 60.0))])


def test_both_lines_are_asked_for() -> None:
    """Both edges of both beams; other lines are passed over, and one line cannot be both."""
    driver = DRIVER(options(), Site())
    assert driver.lines() == (LineRequest(17, "up", "both"), LineRequest(27, "up", "both"))
    assert list(driver.feed(Chunk(1.0, edges=(Edge(99, high=True, at=1.0),)))) == []
    with pytest.raises(ValueError, match="each beam needs its own"):
        options(inner=17)
