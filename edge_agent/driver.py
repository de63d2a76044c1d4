"""The contract between the agent and a driver: the only module of the agent that drivers import.

A driver knows one device's language: bytes or edges to Records and back. It has no thread, no clock, no logging and
parses no configuration; its constructor only stores. Only `LinkError` (the wire) and `DeviceError` (the device spoke
nonsense) may leave it.

A driver folder `drivers/NAME/` exports one class as `DRIVER`; outside packages offer theirs through the entry-point
group `edge_agent.drivers`.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from edge_agent.alarms import CATALOGUE
from edge_agent.capture import Capture, Decoder
from edge_agent.cards import CardKey
from edge_agent.crc import crc16
from edge_agent.errors import AgentError, DeviceError, LinkError, LinkTimeout
from edge_agent.records import (
    Alarm,
    CardRef,
    Event,
    Json,
    Memory,
    Quality,
    Reading,
    Record,
    Scalar,
    Severity,
    Value,
)
from edge_agent.units import Duration
from edge_agent.verbs import Arguments, Command, Verbs, arguments, takes

__all__ = [
    "ALARM_CODES",
    "Actor",
    "Alarm",
    "Arguments",
    "Capture",
    "CardKey",
    "CardRef",
    "Chunk",
    "Command",
    "Decoder",
    "DeviceError",
    "Driver",
    "DriverClass",
    "Duration",
    "Edge",
    "Event",
    "Json",
    "LineRequest",
    "Link",
    "LinkError",
    "LinkTimeout",
    "Listener",
    "Memory",
    "Options",
    "Quality",
    "Reading",
    "Record",
    "ReplyShape",
    "Scalar",
    "Scan",
    "Severity",
    "Simulator",
    "Site",
    "Timed",
    "Value",
    "Verbs",
    "Wire",
    "arguments",
    "crc16",
    "driver_names",
    "load_driver",
    "takes",
]

_GROUP = "edge_agent.drivers"

ALARM_CODES = frozenset(CATALOGUE)
"""Every alarm that may be raised; a code of one's own goes into edge_agent/alarms.py first."""


class Wire(StrEnum):
    """What kind of link a driver speaks over."""

    SERIAL = "serial"
    GPIO = "gpio"
    """Slow contacts and outputs through gpiozero. An output is asked in text: `17` for its level, `17=1` to drive it
    first; the answer is `0` or `1`, read back from the line."""
    EDGES = "gpiod"
    """Edges that must carry the kernel's timestamp, through gpiod."""
    HOST = "host"
    """The machine itself: its files and clock."""
    I2C = "i2c"
    """A question is the 7-bit address and the bytes to write; `ReplyShape.size` bytes are then read."""
    UDP = "udp"
    """Datagrams to one address: whole and undamaged, but perhaps lost, late or twice."""


class Options(BaseModel):
    """A driver's own keys of a `[[device]]` table; each field's docstring becomes its line in the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def modbus(self) -> bool:
        """Whether a device so configured is asked in Modbus frames, which a link of kind `modbus-tcp` can carry."""
        return False

    @property
    def known_points(self) -> frozenset[str] | None:
        """Names of all points a device so configured can have; None where only the device itself tells."""
        return None


@dataclass(frozen=True, slots=True)
class Site:
    """What a driver may need of the station beyond its own options.

    `memory` is what it asked to be remembered (`Memory`) before the last restart: key -> text. `local_time` returns the
    station's local time, naive as a wall clock shows it, or None while the agent's own clock is not known good.
    """

    card_key: CardKey | None = None
    memory: Mapping[str, str] = field(default_factory=dict)
    local_time: Callable[[], datetime | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Edge:
    """One change of one GPIO line (BCM number).

    `at` is monotonic seconds, the kernel's timestamp where there is one; `seqno` counts the events of the whole line
    request (a hole means lost edges), None where the kernel gives none. `initial` marks the level found at opening.
    """

    line: int
    high: bool
    at: float
    seqno: int | None = None
    initial: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """What came off a wire unasked: bytes or edges; `at` is the monotonic time (s) when it was taken.

    Its `repr` shows neither: both may be somebody's card.
    """

    at: float
    data: bytes = field(default=b"", repr=False)
    edges: tuple[Edge, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class LineRequest:
    """One GPIO line a driver needs: BCM number, bias, and which edges matter.

    With a `safe` level (True = high) it is an output: at that level from its opening on until it is driven, and again
    before it is let go of.
    """

    line: int
    pull: Literal["up", "down", "none"] = "up"
    edges: Literal["both", "falling"] = "both"
    safe: bool | None = None


@dataclass(frozen=True, slots=True)
class ReplyShape:
    """What a good answer looks like.

    `find` gets the bytes received so far and returns the first whole, checked frame that answers the request (leading
    noise skipped), or None while there is none; it must not raise. `key` names the set of frames that `find` would
    accept: after a timeout the link will not ask anything with an equal key until a late answer can no longer come;
    after a damaged answer that was asked for again, nothing that `find` would find in the answer to that.
    `size` is the length of the expected frame in bytes, 0 = unknown: once so much garbage has come, the answer
    is spent: waiting on is useless and the question may be repeated at once. `guard` is the silence in seconds that
    this device needs on the wire before the question, where the link's own pause is too short for it.
    """

    key: Hashable
    find: Callable[[bytes], bytes | None]
    size: int = 0
    guard: float = 0.0


class Link(Protocol):
    """What a polled driver sees of its wire."""

    def ask(self, request: bytes, *, reply: ReplyShape, within: float) -> bytes:
        """Send `request` and return the frame that `reply.find` accepted, waiting at most `within` seconds.

        Raises LinkTimeout (nothing came), DeviceError (bytes came but no good frame) or LinkError (the port failed).
        """

    def monotonic(self) -> float:
        """Return monotonic seconds: a driver without a clock of its own judges by them how fast a value changed."""


@dataclass(frozen=True, slots=True)
class Scan:
    """How to find devices of a protocol nobody has described, by reading alone.

    A driver folder whose devices can be found so exports `SCANS: Mapping[str, Scan]`, protocol name -> scan.
    """

    addresses: Sequence[int]
    """Every address there can be; one alone stands for a protocol without addresses."""
    candidates: Callable[[int, bytes], Sequence[Mapping[str, Json]]]
    """The keys of a `[[device]]` to try for whoever is at an address, given the answer to `question`.

    Each is polled; of several those are proposed that tell nothing but good values. A key `auto` takes the value of the
    point of its name. One with an empty key ("" or []) is proposed as something to be completed if nothing else fits.
    """
    question: Callable[[int], tuple[bytes, ReplyShape]] | None = None
    """Asked before that; without it the candidates are polled at once, for protocols with one an address."""
    lines: tuple[tuple[int, Literal["N", "E", "O"]], ...] = ((9600, "N"),)
    """The usual baud rates and parities, the most usual first."""
    usual: int = 32
    """How many of the addresses are tried unless told."""
    within: float = 0.15
    """How long (s) a device takes before it answers."""
    longest: int = 32
    """Bytes of the longest answer."""
    modbus: bool = False
    """Units are Modbus units: whoever one such protocol has found is not asked in another."""
    note: str = ""
    """Told to whoever takes the proposal."""


@runtime_checkable
class Driver(Protocol):
    """A device that is asked."""

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask the device for everything once; straight-line code."""


@runtime_checkable
class Listener(Protocol):
    """A device that speaks by itself."""

    settle: float
    """Seconds of silence after which `quiet` may complete something (end of a frame, debounce); 0 = never."""

    def lines(self) -> Sequence[LineRequest]:
        """GPIO lines it needs; empty for bytes."""

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Take bytes or edges as they come; any content at all."""

    def quiet(self, now: float) -> Iterable[Record]:
        """The wire has been silent until `now` (monotonic s)."""


@runtime_checkable
class Actor(Protocol):
    """A device that can be told to do something; never retried on the wire.

    What it yields belongs to the order; the device is polled right after it. A point with `commanded` in its name tells
    what was ordered, every other point what was observed. A Memory is durable before `act` goes on: what must be known
    again after a crash in the middle of the order is told before that is begun.
    """

    def verbs(self) -> Verbs:
        """What it can be told, and what each verb takes."""

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Carry out one command; raises DeviceError if the device refuses or `arguments` does."""


@runtime_checkable
class Timed(Protocol):
    """A polled device with something to end on time: a pulse. Its `poll` ends what is over."""

    def due(self) -> float:
        """Monotonic time (s) at which it must be polled, whatever its period; infinity = at no time in particular."""

    def release(self, link: Link) -> Iterable[Record]:
        """End at once what must not last: the agent is letting go of the wire."""


class Simulator(Protocol):
    """The same device seen from the other end of its wire."""

    def answer(self, request: bytes) -> bytes:
        """The bytes the device answers; b"" = silence, also for what is meant for another device."""

    def play(self) -> Iterable[Chunk]:
        """What it says unasked since the last call."""


class DriverClass(Protocol):
    """What `DRIVER` of a driver folder must be."""

    @property
    def Options(self) -> type[Options]:  # noqa: N802  (names a class)
        """Its own keys of a `[[device]]` table."""

    @property
    def Simulator(self) -> Callable[..., Any]:  # noqa: N802  (names a class)
        """Called as `Simulator(options, site)`; returns a `Simulator`."""

    @property
    def wire(self) -> Wire:
        """The kind of link it speaks over."""

    @property
    def sensitive(self) -> bool:
        """True if its bytes are personal: they never reach an error, `probe`, a log or a capture."""

    def __call__(self, options: Any, site: Site) -> Any:
        """Build the driver; stores its arguments and nothing else."""


def driver_names() -> tuple[str, ...]:
    """Return the names `load_driver` knows, sorted; loads nothing."""
    spec = importlib.util.find_spec("drivers")
    folders = pkgutil.iter_modules(spec.submodule_search_locations) if spec and spec.submodule_search_locations else ()
    outside = importlib.metadata.entry_points(group=_GROUP)
    return tuple(sorted({found.name for found in folders if found.ispkg} | {entry.name for entry in outside}))


def load_driver(name: str) -> DriverClass:
    """Return `DRIVER` of `drivers/NAME/`, or of the entry point NAME; raises AgentError naming what exists."""
    if name.isidentifier() and importlib.util.find_spec(f"drivers.{name}") is not None:
        found: DriverClass = importlib.import_module(f"drivers.{name}").DRIVER
        return found
    for entry in importlib.metadata.entry_points(group=_GROUP, name=name):
        loaded: DriverClass = entry.load()
        return loaded
    raise AgentError(f"there is no driver {name!r}; `edge-agent drivers` lists those installed")
