"""Pulses of coils: switched back in time, also by a poll after trouble, a stop or a crash; never by surprise."""

import math
from collections.abc import Iterable

import pytest

from drivers.modbus.codec import Function
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.clock import FakeClock
from edge_agent.driver import (
    Command,
    DeviceError,
    Json,
    LinkTimeout,
    Memory,
    Quality,
    Reading,
    Record,
    Site,
    Timed,
)
from edge_agent.links import hostile
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort


class Board:
    """A relay board on a wire whose port can be exchanged; `restart` builds its driver anew from what it told."""

    def __init__(self) -> None:
        self.options = ModbusOptions.model_validate({"profile": "relay-waveshare-8", "address": 1})
        self.simulator = ModbusSimulator(self.options, Site(), lambda: 0.0)
        self.clock = FakeClock()
        self.clean = SimulatedPort([self.simulator], self.clock)
        self.wire = hostile.Wire(self.clean)
        self.link = ByteLink("pair", lambda: self.wire, self.clock)
        self.link.open()
        self.writes = 0
        self.link.tap = self._count
        self.memory: dict[str, str] = {}
        self.restart()

    def _count(self, way: str, data: bytes) -> None:
        self.writes += way == ">" and data[1] == Function.WRITE_COIL

    def restart(self) -> None:
        self.driver = ModbusDriver(self.options, Site(memory=self.memory))

    def keep(self, records: Iterable[Record]) -> list[Record]:
        """Remember what is to be remembered."""
        said = list(records)
        self.memory |= {record.key: record.text for record in said if isinstance(record, Memory)}
        return said

    def act(self, verb: str, **args: Json) -> list[Record]:
        return self.keep(self.driver.act(self.link, Command(verb, args)))

    def poll(self) -> dict[str, Reading]:
        return {r.point: r for r in self.keep(self.driver.poll(self.link)) if isinstance(r, Reading)}

    def relays(self) -> list[int]:
        """The relays that are on."""
        readings = self.poll()
        return [number for number in range(1, 9) if readings[f"relay_{number}"].value is True]


def test_a_pulse_ends_in_time() -> None:
    """The relay is on until the time is over; the poll asked for then switches it off and tells so."""
    board = Board()
    assert isinstance(board.driver, Timed)
    assert board.driver.due() == math.inf
    board.act("pulse_2", seconds=1.5)
    assert board.driver.due() == pytest.approx(board.clock.monotonic() + 1.5)
    assert board.relays() == [2]
    board.clock.advance(1.5)
    readings = board.poll()
    assert (readings["relay_2"].value, readings["commanded_2"].value) == (False, "off")
    assert board.driver.due() == math.inf
    assert board.writes == 2


def test_another_order_ends_what_a_pulse_was_to_do() -> None:
    """Whoever switches the relay on for good is not surprised by an earlier pulse; a second pulse counts anew."""
    board = Board()
    board.act("pulse_1", seconds=1)
    board.act("on_1")
    board.act("pulse_2", seconds=1)
    board.clock.advance(0.9)
    board.act("pulse_2", seconds=2)
    board.clock.advance(1)
    assert board.relays() == [1, 2]
    board.clock.advance(1)
    assert board.relays() == [1]


def test_the_agent_ends_pulses_when_it_stops() -> None:
    """What must not last does not outlast the agent."""
    board = Board()
    board.act("pulse_1", seconds=60)
    board.act("on_3")
    board.keep(board.driver.release(board.link))
    assert board.relays() == [3]
    assert board.memory["pulses"] == "[]"


def test_a_crash_in_a_pulse_is_made_good() -> None:
    """The first poll of the next run switches off what was left on."""
    board = Board()
    board.act("pulse_4", seconds=60)
    board.restart()
    assert board.relays() == []
    board.restart()
    writes = board.writes
    board.poll()
    assert board.writes == writes


def test_what_must_go_back_is_told_before_anything_is_written() -> None:
    """The order goes on only when the pulse's end is known; if that was the last it did, the next run switches off."""
    board = Board()
    board.act("on_1")
    writes = board.writes
    order = iter(board.driver.act(board.link, Command("pulse_1", {"seconds": 60})))
    board.keep([next(order)])
    assert board.writes == writes
    board.restart()
    assert board.relays() == []


def test_a_pulse_that_is_refused_changes_nothing() -> None:
    """The relay stays as it was ordered before, and a pulse that runs there already ends in its own time."""
    board = Board()
    board.act("on_1")
    board.act("pulse_2", seconds=1)
    board.simulator.refuse_writes = True
    for relay in (1, 2):
        with pytest.raises(DeviceError):
            board.act(f"pulse_{relay}", seconds=30)
    board.simulator.refuse_writes = False
    assert board.relays() == [1, 2]
    board.clock.advance(1)
    assert board.relays() == [1]
    assert board.memory["pulses"] == "[]"


@pytest.mark.parametrize("kept", ["", "nonsense", "[1]", '[["a", 0, "p", "off"]]', "7"])
def test_a_memory_that_makes_no_sense_is_no_pulse(kept: str) -> None:
    """Another device under the same name, or damage: nothing is switched."""
    board = Board()
    board.memory = {"pulses": kept}
    board.restart()
    board.poll()
    assert board.writes == 0


def test_a_pulse_that_may_have_happened_is_ended() -> None:
    """Without an answer the relay may be on: it is switched off all the same."""
    board = Board()
    board.poll()
    writes = board.writes

    class Deaf(hostile.Wire):
        """Hears reads only."""

        def read(self, within: float) -> bytes:
            answer = self.port.read(within)
            return b"" if board.writes > writes else answer

    board.wire.port = Deaf(board.clean)
    with pytest.raises(LinkTimeout):
        board.act("pulse_1", seconds=1)
    board.wire.port = board.clean
    board.clock.advance(5)
    assert board.relays() == []


def test_an_end_that_fails_is_tried_again() -> None:
    """While the wire is dead the pulse stays due; the next poll that gets through ends it."""
    board = Board()
    board.act("pulse_1", seconds=1)
    board.clock.advance(1)
    board.wire.port = hostile.Silence(board.clean)
    with pytest.raises(LinkTimeout):
        board.poll()
    assert board.driver.due() <= board.clock.monotonic()
    board.wire.port = board.clean
    board.clock.advance(5)
    assert board.relays() == []


def test_an_end_that_is_refused_is_told_and_does_not_stop_the_polls() -> None:
    """A board that will not switch back goes on being read, and the order's point is bad."""
    board = Board()
    board.act("pulse_1", seconds=1)
    board.clock.advance(1)
    board.simulator.refuse_writes = True
    readings = board.poll()
    assert readings["relay_1"].value is True
    assert readings["commanded_1"].quality is Quality.BAD
    assert board.driver.due() == math.inf


@pytest.mark.parametrize("args", [{}, {"seconds": 0}, {"seconds": 61}, {"seconds": "1"}, {"seconds": 1, "slot": 1}])
def test_a_pulse_has_a_sensible_length(args: dict[str, Json]) -> None:
    """Without seconds, or out of the profile's limits, nothing is sent."""
    board = Board()
    with pytest.raises(DeviceError, match="pulse_1: "):
        board.act("pulse_1", **args)
    assert board.writes == 0
