"""The far ends of a station's wires for a rehearsal: its simulators, and what can be wrong with them."""

import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from edge_agent.clock import Clock
from edge_agent.config.device import Device
from edge_agent.config.links import GpiodLink, GpioLink, HostLink, I2cLink
from edge_agent.config.links import Link as LinkConfig
from edge_agent.config.model import Config
from edge_agent.driver import Chunk, Edge, LineRequest, LinkError, ReplyShape, Simulator, Site, load_driver
from edge_agent.errors import AgentError
from edge_agent.links.asked import SimulatedLink
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.edges import EdgeLink, SimulatedLines
from edge_agent.links.line import Line
from edge_agent.links.owned import OwnedLink
from edge_agent.links.simulated import SimulatedPort
from edge_agent.rehearse.clock import StationClock
from edge_agent.rehearse.script import Value

_HUMIDITY_PCT = 50.0
_REPLY_DELAY_S = 2.0
Trouble = Literal["silent", "garbage", "wrong_crc", "unplugged", ""]


class FarEnd:
    """A simulator whose device may be in trouble."""

    def __init__(self, simulator: Simulator, seed: str) -> None:
        self.simulator: Any = simulator
        self.trouble: Trouble = ""
        self._rng = random.Random(seed)  # noqa: S311  (repeatable, not secret)

    def answer(self, request: bytes) -> bytes:
        """Answer as the device does, if it does."""
        reply = bytes(self.simulator.answer(request))
        match self.trouble:
            case "":
                return reply
            case "garbage":
                return self._rng.randbytes(len(reply))
            case "wrong_crc":
                return reply[:-1] + bytes((reply[-1] ^ 1 << self._rng.randrange(8),)) if reply else b""
        return b""

    def play(self) -> Iterable[Chunk]:
        """Say what the device says unasked, if it does; what nobody hears is gone."""
        said: Iterable[Chunk] = list(self.simulator.play())
        match self.trouble:
            case "":
                return said
            case "garbage" | "wrong_crc":
                return [replace(chunk, data=self._rng.randbytes(len(chunk.data))) for chunk in said if chunk.data]
        return []


class _Port(SimulatedPort):
    """A byte wire whose adapter can be pulled; its line can be tuned, and the far ends do not mind."""

    pulled = False

    def taken(self) -> "_Port":
        """Return itself, if the adapter is there."""
        self._use()
        return self

    def write(self, data: bytes) -> None:
        """Send."""
        self._use()
        super().write(data)

    def read(self, within: float) -> bytes:
        """Receive."""
        self._use()
        return super().read(within)

    def tune(self, line: Line | None) -> None:
        """Any speed will do."""
        del line

    def _use(self) -> None:
        if self.pulled:
            raise LinkError("the adapter is unplugged", gone=True)


class _Lines(SimulatedLines):
    """GPIO lines that can be taken away; a read never waits."""

    pulled = False

    def open(self, lines: Sequence[LineRequest]) -> list[Edge]:
        """Take the lines, if they are there."""
        if self.pulled:
            raise LinkError("the lines are gone", gone=True)
        return super().open(lines)

    def read(self, within: float) -> list[Edge]:
        """Return what has come."""
        del within
        if self.pulled:
            raise LinkError("the lines are gone", gone=True)
        return super().read(0.0)


class _Asked(SimulatedLink):
    """A bus of the machine that can be taken away."""

    pulled = False

    def ask(self, request: bytes, *, reply: ReplyShape, within: float) -> bytes:
        """Ask, if the bus is there."""
        if self.pulled:
            raise LinkError("the bus is gone", gone=True)
        return super().ask(request, reply=reply, within=within)


class Wires:
    """All wires of a station; they outlive every restart of the agent."""

    def __init__(self, config: Config, clock: StationClock, seed: int) -> None:
        self._config = config
        self._clock = clock
        self.moved: Callable[[str], None] = lambda _device: None
        """Is told the device that somebody has moved."""
        self.ends: dict[str, FarEnd] = {}
        for device in config.device:
            self.ends[device.name] = FarEnd(self._simulator(device), f"{seed}/{device.name}")
        self._links: dict[str, _Port | _Lines | _Asked] = {link.name: self._wire(link) for link in config.link}
        self._carry()

    def make(self, link: LinkConfig, clock: Clock) -> OwnedLink:
        """Build the near end of a link, as `links.make.make_link` does."""
        wire = self._links[link.name]
        if isinstance(wire, _Asked):
            return wire
        if isinstance(wire, _Lines):
            return EdgeLink(link.name, wire, clock)

        delay: float = getattr(link, "max_reply_delay", _REPLY_DELAY_S)
        return ByteLink(link.name, wire.taken, clock, Timing(max_reply_delay=delay, echo="no"))

    def link_of(self, device: str) -> str:
        """Return the link of a device."""
        return next(one.link for one in self._config.device if one.name == device)

    def of(self, *drivers: str) -> Iterator[str]:
        """Yield the devices with these drivers, in the order of the file."""
        yield from (device.name for device in self._config.device if device.driver in drivers)

    def simulator(self, device: str) -> Any:
        """Return the simulator of a device."""
        return self.ends[device].simulator

    def move(self, device: str, act: Callable[[Any], object]) -> None:
        """Let somebody move a simulator."""
        act(self.simulator(device))
        self._carry()
        self.moved(device)

    def show(self, point: str, value: Value) -> None:
        """Let a device measure `value` at DEVICE.POINT; raises AgentError if it cannot."""
        device, _, name = point.partition(".")
        simulator = self.simulator(device)
        try:
            match self.driver_of(device):
                case "modbus":
                    simulator.hold(name, value)
                case "dlt645":
                    simulator.set(name, value)
                case "ds18b20":
                    simulator.set(value)
                case "sht3x":
                    simulator.set(value, _HUMIDITY_PCT)
                case driver:
                    raise AgentError(f"{point}: a script cannot tell the driver {driver!r} what to measure")
        except (StopIteration, ValueError, TypeError, OverflowError) as error:
            raise AgentError(f"{point} cannot be {value!r}: the device has no such point or value") from error

    def driver_of(self, device: str) -> str:
        """Return the driver of a device."""
        return next(one.driver for one in self._config.device if one.name == device)

    def pull(self, link: str, *, pulled: bool) -> None:
        """Take the port of a link away, or bring it back."""
        self._links[link].pulled = pulled
        for device in self._config.device:
            if device.link == link:
                self.moved(device.name)

    def hears(self, device: str) -> bool:
        """Return whether what a device says reaches the machine."""
        return not (self.ends[device].trouble or self._links[self.link_of(device)].pulled)

    def forget(self) -> None:
        """Nobody has listened: what was said meanwhile is lost, as bytes are to a port that nobody holds."""
        for wire in self._links.values():
            wire.close()
        for name, end in self.ends.items():
            if not isinstance(self._links[self.link_of(name)], _Lines):
                list(end.simulator.play())

    def _simulator(self, device: Device) -> Simulator:
        """Build a simulator; one that knows time is given ours, or no two rehearsals were the same."""
        build = load_driver(device.driver).Simulator
        timed: dict[str, Any] = {"now": self._true} if "now" in inspect.signature(build).parameters else {}
        simulator: Any = build(device.options, Site(), **timed)
        if hasattr(simulator, "clock"):
            simulator.clock = self._local
        found: Simulator = simulator
        return found

    def _true(self) -> float:
        return self._clock.true

    def _local(self) -> datetime:
        return datetime.fromtimestamp(self._clock.true, tz=self._config.station.zone).replace(tzinfo=None)

    def _wire(self, link: LinkConfig) -> _Port | _Lines | _Asked:
        ends = [self.ends[device.name] for device in self._config.device if device.link == link.name]
        if isinstance(link, GpioLink | GpiodLink):
            return _Lines(self._clock)
        if isinstance(link, HostLink | I2cLink):
            return _Asked(link.name, ends, self._clock)
        return _Port(ends, self._clock)

    def _carry(self) -> None:
        """Carry what simulators on GPIO lines have done onto the lines; an edge that nobody listens to is gone."""
        for name, end in self.ends.items():
            lines = self._links[self.link_of(name)]
            if isinstance(lines, _Lines):
                lines.play(end)
