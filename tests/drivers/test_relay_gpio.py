"""Relays on GPIO lines: off at the start, on no longer than allowed, off at the end; each line read back."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.relay_gpio import DRIVER, Options, Simulator, codec
from edge_agent.clock import FakeClock, SystemClock
from edge_agent.driver import Actor, Command, DeviceError, Driver, Json, Listener, Reading, Site, Timed
from edge_agent.links.asked import SimulatedLink
from edge_agent.links.edges import EdgeLink, SimulatedLines
from edge_agent.links.gpio import GpioLink
from edge_agent.slot import Slot
from edge_agent.worker import Worker
from tests.drivers import vectors
from tests.stations import wait_for
from tests.test_worker import FakeSink

OPTIONS = Options.model_validate(
    {
        "outputs": [
            {"line": 17, "name": "siren", "on": "high", "longest": "3m"},
            {"line": 5, "name": "strike", "on": "low", "longest": "10s"},
            {"line": 27, "name": "lamp", "on": "high", "longest": "0s"},
        ]
    }
)
LEVELS = {"siren": 17, "strike": 5, "lamp": 27}


class Bench:
    """A driver on lines whose levels can be seen, on a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lines = SimulatedLines(self.clock)
        self.link = EdgeLink("gpio", self.lines, self.clock)
        self.driver = DRIVER(OPTIONS, Site())
        self.link.open(self.driver.lines())

    def act(self, verb: str, **args: Json) -> dict[str, object]:
        return {r.point: r.value for r in self.driver.act(self.link, Command(verb, args)) if isinstance(r, Reading)}

    def poll(self) -> dict[str, object]:
        return {r.point: r.value for r in self.driver.poll(self.link) if isinstance(r, Reading)}

    def high(self) -> set[str]:
        """Names of the lines that are high."""
        return {name for name, line in LEVELS.items() if self.lines.level(line)}


def test_is_all_that_a_relay_must_be() -> None:
    """It is polled, takes lines as a listener does, acts, and has something to end."""
    driver = Bench().driver
    assert isinstance(driver, Driver)
    assert isinstance(driver, Listener)
    assert isinstance(driver, Actor)
    assert isinstance(driver, Timed)


def test_everything_is_off_from_the_first_moment() -> None:
    """Off is low for one board and high for another; the first poll says off."""
    bench = Bench()
    assert bench.high() == {"strike"}
    assert bench.poll() == {"siren": "off", "strike": "off", "lamp": "off"}


def test_each_relay_is_switched_by_its_own_verbs() -> None:
    """What was ordered is told at once, what the line is at by the poll."""
    bench = Bench()
    assert set(bench.driver.verbs()) == {f"{way}_{name}" for way in ("on", "off", "pulse") for name in LEVELS}
    assert bench.act("on_strike") == {"commanded_strike": "on"}
    assert bench.high() == set()
    assert bench.poll() == {"siren": "off", "strike": "on", "lamp": "off", "commanded_strike": "on"}
    bench.act("on_lamp")
    bench.act("off_strike")
    assert bench.high() == {"strike", "lamp"}


@pytest.mark.parametrize(("verb", "args", "seconds"), [("pulse_strike", {"seconds": 2.5}, 2.5), ("on_strike", {}, 10)])
def test_a_relay_is_on_no_longer_than_it_may(verb: str, args: dict[str, Json], seconds: float) -> None:
    """A pulse ends after its seconds, and what was simply switched on after `longest`."""
    bench = Bench()
    bench.act(verb, **args)
    assert bench.driver.due() == pytest.approx(bench.clock.monotonic() + seconds)
    bench.clock.advance(seconds - 0.1)
    assert bench.poll()["strike"] == "on"
    bench.clock.advance(0.1)
    assert bench.poll() == {"siren": "off", "strike": "off", "lamp": "off", "commanded_strike": "off"}
    assert bench.driver.due() == math.inf


def test_a_lamp_may_stay_on() -> None:
    """With `longest` 0 nothing ends by itself, but a pulse."""
    bench = Bench()
    bench.act("on_lamp")
    assert bench.driver.due() == math.inf
    bench.act("pulse_lamp", seconds=1)
    bench.clock.advance(1)
    assert bench.poll()["lamp"] == "off"


def test_the_later_order_counts() -> None:
    """A second pulse replaces the first, and switching off ends it."""
    bench = Bench()
    bench.act("pulse_siren", seconds=1)
    bench.act("pulse_siren", seconds=100)
    bench.clock.advance(50)
    assert bench.poll()["siren"] == "on"
    bench.act("off_siren")
    assert bench.driver.due() == math.inf
    assert bench.poll()["siren"] == "off"


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("pulse_strike", {}),
        ("pulse_strike", {"seconds": 11}),
        ("pulse_strike", {"seconds": 0}),
        ("on_strike", {"seconds": 1}),
        ("on_door", {}),
        ("strike", {}),
    ],
)
def test_what_is_no_order_switches_nothing(verb: str, args: dict[str, Json]) -> None:
    """Unknown relays, and times beyond what is allowed, are refused."""
    bench = Bench()
    with pytest.raises(DeviceError):
        bench.act(verb, **args)
    assert bench.high() == {"strike"}


def test_everything_is_off_when_the_agent_lets_go() -> None:
    """A stop switches off what is on and says so; closing the link alone does the same to the lines."""
    bench = Bench()
    bench.act("on_lamp")
    bench.act("on_siren")
    said = {r.point: r.value for r in bench.driver.release(bench.link) if isinstance(r, Reading)}
    assert said == {"commanded_lamp": "off", "commanded_siren": "off", "commanded_strike": "off"}
    assert bench.high() == {"strike"}
    bench.act("on_strike")
    bench.link.close()
    assert bench.high() == {"strike"}


@pytest.fixture(name="pins")
def _pins() -> Iterator[MockFactory]:
    factory = MockFactory()
    yield factory
    factory.close()


def test_a_worker_pulses_a_pin(pins: MockFactory) -> None:
    """Through the real Worker and gpiozero's pins: at once on, off by itself, off at the end."""
    clock = SystemClock()
    link = GpioLink("gpio", clock, pins)
    sink = FakeSink()
    worker = Worker(link, [Slot("relays", DRIVER(OPTIONS, Site()), every=60.0)], sink, clock)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(worker.run, lambda _deadline: None)
        try:
            assert worker.began.wait(10)
            siren = pins.pin(17)
            before = clock.monotonic()
            acted = worker.act("relays", Command("pulse_siren", {"seconds": 0.1}), 10.0)
            assert acted.observed["siren"] == "on"
            assert acted.commanded == {"commanded_siren": "on"}
            wait_for(lambda: not siren.state, "the pulse is over")
            assert 0.1 <= clock.monotonic() - before < 10
            wait_for(lambda: ("relays", Reading("siren", "off", prompt=True)) in sink.said[-8:], "and told")
            worker.act("relays", Command("on_lamp"), 10.0)
            assert pins.pin(27).state
        finally:
            worker.stop()
        working.result(10)
    assert [state.state for state in pins.pin(27).states][-2:] == [True, False]
    assert pins.pin(27).function == "input"


@pytest.mark.parametrize("vector", vectors.of_driver("relay_gpio"), ids=str)
def test_the_vectors_both_ways(vector: vectors.Vector) -> None:
    """What is asked and answered is text, a level is 0 or 1 and nothing else."""
    line = vector.decoded.get("line", 0)
    if vector.direction == "response":
        assert (codec.shape(17).find(vector.frame) == vector.frame) == vector.valid
        assert codec.is_high(vector.frame) == vector.decoded.get("high", False)
    elif "high" in vector.decoded:
        assert codec.drive(line, high=vector.decoded["high"]) == vector.frame
    else:
        assert codec.look(line) == vector.frame


def test_the_simulator_stands_for_the_lines() -> None:
    """On a simulated link the driver finds its relays off and switches them."""
    simulator = Simulator(OPTIONS, Site())
    link = SimulatedLink("gpio", [simulator], FakeClock())
    link.open()
    driver = DRIVER(OPTIONS, Site())
    list(driver.act(link, Command("on_strike")))
    assert simulator.is_on("strike")
    assert not simulator.is_on("siren")
    assert not list(simulator.play())
    for nonsense in (b"", b"99", b"17=2", b"x=1", b"\xff", "١٧".encode()):
        assert simulator.answer(nonsense) == b""


@pytest.mark.parametrize(
    "second", [{"line": 17, "name": "other", "on": "high"}, {"line": 18, "name": "siren", "on": "high"}]
)
def test_each_relay_has_its_own_line_and_name(second: dict[str, object]) -> None:
    """Two relays cannot share either."""
    with pytest.raises(ValueError, match="is used twice"):
        Options.model_validate({"outputs": [{"line": 17, "name": "siren", "on": "high"}, second]})
