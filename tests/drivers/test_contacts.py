"""Contacts: each movement once, bounce never, alarms raised and cleared, storms survived."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from drivers.contacts import DRIVER, Options, Simulator
from edge_agent.clock import FakeClock
from edge_agent.driver import Alarm, Chunk, Edge, Event, Memory, Reading, Record, Site
from edge_agent.links.edges import EdgeLink, SimulatedLines
from edge_agent.links.gpio import GpioLink

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "drivers/contacts/vectors/contacts.jsonl").read_text().splitlines()
]
DOOR, EXIT, SOS, SMOKE, SMOKE_2, PULSE, PLAIN = 5, 6, 13, 19, 26, 20, 21


def options(**more: Any) -> Options:
    """One contact of each kind, and a second smoke detector."""
    inputs = [
        {"line": DOOR, "role": "door", "active": "open"},
        {"line": EXIT, "role": "exit_button", "active": "closed"},
        {"line": SOS, "role": "sos", "active": "open", "debounce": "20ms"},
        {"line": SMOKE, "role": "smoke", "active": "open"},
        {"line": SMOKE_2, "role": "smoke", "name": "smoke_2", "active": "closed", "pull": "down"},
        {"line": PULSE, "role": "pulse", "name": "water", "active": "closed", "debounce": "5ms"},
        {"line": PLAIN, "role": "input", "active": "closed"},
    ]
    return Options.model_validate({"inputs": inputs, **more})


class Bench:
    """Driver, link, simulated lines and simulator on a fake clock."""

    def __init__(self, *, bounce: int = 0, memory: Mapping[str, str] | None = None, **more: Any) -> None:
        self.clock = FakeClock()
        self.simulator = Simulator(options(**more), Site(), bounce=bounce)
        self.lines = SimulatedLines(self.clock)
        self.link = EdgeLink("gpio", self.lines, self.clock)
        self.driver = DRIVER(options(**more), Site(memory=memory or {}))
        self.lines.play(self.simulator)
        self.link.open(tuple(self.driver.lines()))

    def hear(self, *, seconds: float = 2.0) -> list[Record]:
        """Play what the simulator did, and listen for a while in steps."""
        self.lines.play(self.simulator)
        records: list[Record] = []
        for _ in range(20):
            self.clock.advance(seconds / 20)
            chunk = self.link.take()
            if chunk is not None:
                records += self.driver.feed(chunk)
            records += self.driver.quiet(self.clock.monotonic())
        return records


def test_its_points_are_known_before_it_speaks() -> None:
    """A rule that asks for a contact can be checked without the station: one point each, pulses as their count."""
    bench = Bench()
    assert set(values(bench.hear())) == options().known_points


def events(records: Iterable[Record]) -> list[str]:
    """Types of the events, in order."""
    return [record.type for record in records if isinstance(record, Event)]


def alarms(records: Iterable[Record]) -> list[tuple[str, bool]]:
    """Codes of the alarms and whether they were raised."""
    return [(record.code, record.active) for record in records if isinstance(record, Alarm)]


def values(records: Iterable[Record]) -> dict[str, object]:
    """The last value of each point."""
    return {record.point: record.value for record in records if isinstance(record, Reading)}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"].removeprefix("made by us: "))
def test_vectors(vector: dict[str, Any]) -> None:
    """Traces of contacts lead to the readings, events and alarms known; bounce leads to nothing."""
    contact = vector["contact"]
    driver = DRIVER(Options.model_validate({"inputs": [contact]}), Site())
    found = Edge(contact["line"], high=vector["initial"], at=0.5, initial=True)
    records = list(driver.feed(Chunk(0.5, edges=(found,))))
    assert events(records) == []
    moved: list[Record] = []
    for at, high in vector["edges"]:
        moved += driver.feed(Chunk(at, edges=(Edge(contact["line"], high=high, at=at),)))
    moved += driver.quiet(9.0)
    if not vector["valid"]:
        assert moved == []
        return
    want = vector["decoded"]
    assert values([*records, *moved])[contact["role"]] == want["value"]
    assert events(moved) == want["events"]
    raised = [code for code, active in alarms([*records, *moved]) if active]
    assert raised == want.get("alarms", [])


def test_the_first_look_is_a_baseline() -> None:
    """At the start every state is told once, alarms as cleared, and nothing has happened yet."""
    records = Bench().hear()
    assert events(records) == []
    assert values(records) == {
        "door": "closed",
        "exit_button": False,
        "sos": False,
        "smoke": False,
        "smoke_2": False,
        "water_pulses": 0,
        "input": False,
    }
    assert sorted(alarms(records)) == [("input_storm", False), ("smoke", False), ("sos", False)]


def test_an_alarm_that_is_active_at_the_start_is_raised() -> None:
    """A detector tripped before or during the start raises its alarm."""
    bench = Bench()
    bench.link.close()
    bench.simulator.set("smoke", True)
    bench.lines.play(bench.simulator)
    bench.clock.advance(1.0)
    bench.link.open(tuple(bench.driver.lines()))
    records = bench.hear()
    assert ("smoke", True) in alarms(records)
    assert values(records)["smoke"] is True


@given(st.lists(st.sampled_from(["door", "exit_button", "sos"]), max_size=8), st.integers(0, 6))
def test_every_movement_counts_exactly_once(moves: list[str], bounce: int) -> None:
    """However much contacts bounce, each movement is one event or one pair of alarm changes, in order."""
    bench = Bench(bounce=bounce)
    bench.hear()
    door = False
    wanted: list[str] = []
    heard: list[Record] = []
    for move in moves:
        if move == "door":
            door = not door
            bench.simulator.set("door", "open" if door else "closed")
            wanted.append("door_opened" if door else "door_closed")
        else:
            bench.simulator.press(move)
            wanted += ["exit_button"] if move == "exit_button" else []
        heard += bench.hear()
    assert events(heard) == wanted
    assert alarms(heard) == [("sos", True), ("sos", False)] * moves.count("sos")


def test_events_carry_the_time_of_the_movement() -> None:
    """An event is dated by the edge, not by the end of the debounce or by when it was looked at."""
    bench = Bench()
    bench.hear()
    bench.simulator.set("door", "open")
    moved_at = bench.clock.monotonic()
    event = next(record for record in bench.hear() if isinstance(record, Event))
    assert event.at == pytest.approx(moved_at)
    assert event.data == {"door": "door"}


def test_doors_and_safety_are_told_at_once() -> None:
    """Doors, buttons and detectors are prompt points; plain inputs are not."""
    records = Bench().hear()
    prompt = {record.point for record in records if isinstance(record, Reading) and record.prompt}
    assert prompt == {"door", "exit_button", "sos", "smoke", "smoke_2"}


def test_two_detectors_share_an_alarm() -> None:
    """The alarm of a role is raised with the first of its contacts and cleared with the last."""
    bench = Bench()
    bench.hear()
    heard: list[Record] = []
    for name, state in (("smoke", True), ("smoke_2", True), ("smoke", False), ("smoke_2", False)):
        bench.simulator.set(name, state)
        heard += bench.hear()
    assert alarms(heard) == [("smoke", True), ("smoke", False)]
    raised = next(record for record in heard if isinstance(record, Alarm))
    assert raised.detail == {"inputs": ["smoke"]}


@given(st.lists(st.integers(1, 20), max_size=4), st.integers(0, 1))
def test_pulses_are_counted_since_the_start(bursts: list[int], bounce: int) -> None:
    """Each pulse adds one, bounce adds none, and the count never falls."""
    bench = Bench(bounce=bounce)
    bench.hear()
    total = 0
    for burst in bursts:
        bench.simulator.pulse("water", burst)
        total += burst
        assert values(bench.hear(seconds=20.0))["water_pulses"] == total


def test_pulses_go_on_where_they_stood_before_a_restart() -> None:
    """The count is remembered with each change of it, and what makes no sense begins at 0."""
    bench = Bench()
    bench.hear()
    bench.simulator.pulse("water", 7)
    heard = bench.hear(seconds=20.0)
    memory = {record.key: record.text for record in heard if isinstance(record, Memory)}
    assert memory == {"water_pulses": "7"}
    again = Bench(memory=memory)
    assert values(again.hear())["water_pulses"] == 7
    again.simulator.pulse("water", 2)
    assert values(again.hear(seconds=20.0))["water_pulses"] == 9
    assert values(Bench(memory={"water_pulses": "many"}).hear())["water_pulses"] == 0


def test_a_door_that_moved_while_nobody_looked_is_no_event() -> None:
    """After the lines were lost the new state is told, but not as a movement that somebody saw."""
    bench = Bench()
    bench.hear()
    bench.link.close()
    bench.simulator.set("door", "open")
    bench.lines.play(bench.simulator)
    bench.clock.advance(5.0)
    bench.link.open(tuple(bench.driver.lines()))
    records = bench.hear()
    assert values(records)["door"] == "open"
    assert events(records) == []


def test_a_chattering_contact_keeps_no_other_from_settling() -> None:
    """While one contact never rests, a door that opens is told within its own debounce time."""
    bench = Bench()
    bench.hear()
    driver = bench.driver
    heard: list[Record] = list(driver.feed(Chunk(5000.0, edges=(Edge(DOOR, high=True, at=5000.0),))))
    for step in range(1, 60):
        at = 5000.0 + step / 1000
        heard += driver.feed(Chunk(at, edges=(Edge(EXIT, high=bool(step % 2), at=at),)))
        if events(heard):
            break
    assert events(heard) == ["door_opened"]
    assert at == pytest.approx(5000.03, abs=0.0015)


# ---- storms


def storm(line: int, begin: float, seconds: float, *, rate: int = 10_000) -> Iterable[Chunk]:
    """Edges at `rate` a second, in chunks of a tenth of a second."""
    count = round(seconds * rate)
    for start in range(0, count, rate // 10):
        stop = min(start + rate // 10, count)
        edges = tuple(Edge(line, high=bool(n % 2), at=begin + n / rate) for n in range(start, stop))
        yield Chunk(edges[-1].at, edges=edges)


@pytest.mark.parametrize("line", [DOOR, PULSE])
def test_a_storm_is_one_alarm_and_no_events(line: int) -> None:
    """10 kHz on a contact raises one alarm, moves nothing, counts nothing, and clears once it is over."""
    bench = Bench()
    bench.hear()
    heard: list[Record] = []
    for chunk in storm(line, 5000.0, 3.0):
        heard += bench.driver.feed(chunk)
    name = "door" if line == DOOR else "water"
    assert [record for record in heard if isinstance(record, Alarm)] == [
        Alarm("input_storm", active=True, detail={"inputs": [name]})
    ]
    assert events(heard) == []
    assert int(str(values(heard).get("water_pulses", 0))) <= 1
    after = [record for step in range(40) for record in bench.driver.quiet(5003.0 + step / 10)]
    assert alarms(after) == [("input_storm", False)]
    assert events(after) == (["door_opened"] if line == DOOR else [])


def test_a_storm_costs_little() -> None:
    """A second of a 10 kHz storm is worked off in a fraction of a second."""
    driver = DRIVER(options(), Site())
    chunks = list(storm(DOOR, 1.0, 1.0))
    begun = time.process_time()
    for chunk in chunks:
        list(driver.feed(chunk))
    assert time.process_time() - begun < 0.5


def test_a_storm_on_real_pins_is_bounded() -> None:
    """Through gpiozero's pins the queue stays bounded, the alarm comes and goes, and the last level holds."""
    pins = MockFactory()
    clock = FakeClock(monotonic=1e9)
    link = GpioLink("gpio", clock, pins)
    driver = DRIVER(options(), Site())
    link.open(tuple(driver.lines()))
    heard: list[Record] = []
    pin = pins.pin(DOOR)
    for _ in range(5000):
        pin.drive_low()
        pin.drive_high()
    pin.drive_low()
    for _ in range(50):
        clock.advance(0.1)
        chunk = link.take()
        heard += driver.feed(chunk) if chunk else driver.quiet(clock.monotonic())
    assert alarms(heard).count(("input_storm", True)) == 1
    assert alarms(heard)[-1] == ("input_storm", False)
    assert values(heard)["door"] == "closed"
    link.close()
    pins.close()


# ---- options


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "at least 1"),
        ([{"line": 5, "role": "door"}], "active"),
        ([{"line": 5, "role": "sos", "active": "open", "debounce": "60ms"}], "50 ms at most"),
        ([{"line": 5, "role": "door", "active": "open"}] * 2, "line 5 is used twice"),
        ([{"line": n, "role": "door", "active": "open"} for n in (5, 6)], "name door is used twice"),
        ([{"line": 5, "role": "door", "active": "open", "name": "Front Door"}], "pattern"),
        ([{"line": 5, "role": "window", "active": "open"}], "'door'"),
    ],
)
def test_impossible_options_are_refused(inputs: list[dict[str, Any]], words: str) -> None:
    """Mistakes in the station file are found with words that help."""
    with pytest.raises(ValueError, match=words):
        Options.model_validate({"inputs": inputs})


@pytest.mark.parametrize("pull", ["up", "down", "none"])
@pytest.mark.parametrize("active", ["open", "closed"])
def test_polarity_follows_wiring(pull: str, active: str) -> None:
    """With a pull-up a closed contact is low, with a pull-down high; `active` says which position matters."""
    contact = Options.model_validate({"inputs": [{"line": 5, "role": "door", "active": active, "pull": pull}]}).inputs[
        0
    ]
    closed_is_high = pull == "down"
    assert contact.is_active(high=closed_is_high) == (active == "closed")
    assert contact.is_active(high=not closed_is_high) == (active == "open")
    assert contact.is_active(high=contact.level(active=True))
    assert not contact.is_active(high=contact.level(active=False))
