"""Who is on a wire: every question only reads, and what was found is what its driver read of it."""

import contextlib
import importlib
import importlib.util
import itertools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.clock import Clock, SystemClock
from edge_agent.driver import DriverClass, Json, Link, Quality, Reading, ReplyShape, Scan, Site, Value, load_driver
from edge_agent.errors import DeviceError, LinkError
from edge_agent.links.bytelink import ByteLink, Port, Timing
from edge_agent.links.line import Line, Parity
from edge_agent.links.serial import SerialSettings, open_serial
from edge_agent.units import format_duration

Opener = Callable[[SerialSettings], Port]
_LATE = 0.5
"""Seconds a late answer may come after a silence; only the profiles tried on one device wait for it, as each question
of a search has a key of its own."""
_UNREAD = ("what it is, by hand: it answers, but not as any of the kinds known",)


@dataclass(frozen=True, slots=True)
class Guess:
    """What somebody on the wire may be: the driver's own keys, and what it told when read so.

    `missing` says what is to be completed before it can be read; then it told nothing.
    """

    options: Mapping[str, Json]
    told: Mapping[str, Value]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody who answers; `guesses` has the likeliest first, `address` is None in protocols without."""

    line: Line
    protocol: str
    driver: str
    address: int | None
    guesses: tuple[Guess, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Step:
    """One protocol on one line; `within` is the longest wait (s) for the first byte of an answer."""

    line: Line
    protocol: str
    driver: str
    scan: Scan
    addresses: tuple[int, ...]
    within: float

    def wait(self, request: bytes, size: int) -> float:
        """Longest wait (s) for a whole answer of `size` bytes, counted from the end of the question."""
        return self.within + (len(request) + size) * self.line.character

    @property
    def seconds(self) -> float:
        """How long it takes if nobody is there."""
        return sum(self._silence(address) for address in self.addresses)

    def _silence(self, address: int) -> float:
        if self.scan.question is None:
            return self.wait(b"", self.scan.longest)
        request, shape = self.scan.question(address)
        return self.wait(request, shape.size or self.scan.longest)


def scans() -> dict[str, tuple[str, Scan]]:
    """Return protocol -> driver and scan, of every driver below `drivers`."""
    found: dict[str, tuple[str, Scan]] = {}
    spec = importlib.util.find_spec("drivers")
    for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else None):
        offered: Mapping[str, Scan] = getattr(importlib.import_module(f"drivers.{module.name}"), "SCANS", {})
        found |= {protocol: (module.name, scan) for protocol, scan in offered.items()}
    return found


def plan(
    wanted: Mapping[str, tuple[str, Scan]],
    *,
    bauds: Sequence[int] | None = None,
    parities: Sequence[Parity] | None = None,
    chosen: range | None = None,
    timeout: float | None = None,
) -> list[Step]:
    """Return what is to be tried, line by line; what is not given is as usual in each protocol.

    Whoever is quickly tried comes first on each line: those protocols know their devices better than the others.
    """
    steps = []
    for protocol, (driver, scan) in wanted.items():
        usual = bauds or dict.fromkeys(baud for baud, _ in scan.lines)
        for baud, parity in itertools.product(usual, parities or dict.fromkeys(parity for _, parity in scan.lines)):
            if bauds or parities or (baud, parity) in scan.lines:
                addresses = tuple(scan.addresses)[: None if chosen else scan.usual]
                if chosen and len(scan.addresses) > 1:
                    addresses = tuple(address for address in addresses if address in chosen)
                steps.append(Step(Line(baud, parity), protocol, driver, scan, addresses, timeout or scan.within))
    order = {line: index for index, line in enumerate(dict.fromkeys(step.line for step in sorted(steps, key=_usual)))}
    return sorted(steps, key=lambda step: (order[step.line], step.seconds))


def search(
    port: str,
    steps: Iterable[Step],
    say: Callable[[str], None],
    *,
    opener: Opener = open_serial,
    clock: Clock | None = None,
) -> Iterator[Found]:
    """Yield everyone who answers; raises LinkError if the port cannot be had, as when it is in use."""
    lines = [(line, list(group)) for line, group in itertools.groupby(steps, key=lambda step: step.line)]
    refusals: list[LinkError] = []
    for index, (line, group) in enumerate(lines):
        left = sum(step.seconds for _, later in lines[index:] for step in later)
        say(f"{index + 1} of {len(lines)}: {text_of(line)}, about {_minutes(left)} left")
        settings = SerialSettings(port, line.baud, line.parity)
        timing = Timing(guard=line.guard, max_reply_delay=_LATE)
        link = ByteLink(port, lambda settings=settings: opener(settings), clock or SystemClock(), timing)  # type: ignore[misc]
        try:
            link.open()
        except LinkError as error:
            # Some ports have no parity, or not every speed: that is no reason to leave the others out.
            refusals.append(error)
            continue
        try:
            yield from _on_line(link, group)
        finally:
            link.close()
    if refusals and len(refusals) == len(lines):
        raise refusals[0]


def text_of(line: Line) -> str:
    """Return a line as installers write it, like 9600 8N1."""
    return f"{line.baud} 8{line.parity}{line.stop_bits}"


def _usual(step: Step) -> int:
    """Where the step's line stands among those of its protocol."""
    line = (step.line.baud, step.line.parity)
    return step.scan.lines.index(line) if line in step.scan.lines else len(step.scan.lines)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _on_line(link: ByteLink, steps: Iterable[Step]) -> Iterator[Found]:
    units: set[int] = set()
    for step in steps:
        for address in step.addresses:
            if step.scan.modbus and address in units:
                continue
            if guesses := _guesses(link, step, address):
                known = address if len(step.scan.addresses) > 1 else None
                yield Found(step.line, step.protocol, step.driver, known, guesses, step.scan.note)
                if step.scan.modbus:
                    units.add(address)


def _guesses(link: ByteLink, step: Step, address: int) -> tuple[Guess, ...]:
    """Return what is at an address, () for nobody; the likeliest first, which is what tells most."""
    answer = b""
    if step.scan.question is not None:
        answer = _ask(link, step, *step.scan.question(address))
        if not answer:
            return ()
    kind = load_driver(step.driver)
    candidates = step.scan.candidates(address, answer)
    whole = [options for options in candidates if not _missing(options)]
    read = [guess for options in whole if (guess := _read(link, kind, options, step, strict=len(whole) > 1))]
    if read or step.scan.question is None:
        return tuple(sorted(read, key=lambda guess: -sum(1 for value in guess.told.values() if value)))
    return tuple(Guess(options, {}, _missing(options) or _UNREAD) for options in candidates[-1:])


def _missing(options: Mapping[str, Json]) -> tuple[str, ...]:
    return tuple(key for key, value in options.items() if value in ("", []))


def _ask(link: ByteLink, step: Step, request: bytes, shape: ReplyShape) -> bytes:
    """Return the answer, b"" for silence, and for bytes that are none twice: those of another speed look like that."""
    for _ in range(2):
        with contextlib.suppress(DeviceError):
            try:
                return link.ask(request, reply=shape, within=step.wait(request, shape.size or step.scan.longest))
            except LinkError as error:
                if error.gone:
                    raise
                return b""
    return b""


def _read(link: Link, kind: DriverClass, options: Mapping[str, Json], step: Step, *, strict: bool) -> Guess | None:
    """Return what a device so configured tells, None for nothing; `strict`: also if any of it cannot be true."""
    patience = {"timeout": format_duration(round(step.wait(b"", step.scan.longest), 3))}
    try:
        driver = kind(kind.Options.model_validate({**options, **patience}), Site())
        readings = [record for record in driver.poll(link) if isinstance(record, Reading)]
    except DeviceError as error:
        # One with a hint is the driver's own: an answer that passed all checks and cannot be understood.
        return Guess(options, {}, (f"{error.what} – {error.hint}",)) if error.hint and not strict else None
    except LinkError as error:
        if error.gone:
            raise
        return None
    told = {reading.point: reading.value for reading in readings if reading.value is not None}
    if not told or (strict and any(reading.quality is Quality.BAD for reading in readings)):
        return None
    found = {key: str(told.get(key, value)) for key, value in options.items() if value == "auto"}
    return Guess({**options, **found}, told)
