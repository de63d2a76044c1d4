"""Counts people through a door by two light beams on GPIO lines, without knowing who they are."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.people_counter.codec import Beam, Crossing, Settling
from drivers.people_counter.simulator import PeopleCounterSimulator
from edge_agent.driver import Alarm, Chunk, Duration, Event, LineRequest, Options, Reading, Record, Site, Wire


class PeopleCounterOptions(Options):
    """Keys of a `[[device]]` with `driver = "people_counter"`."""

    outer: int = Field(ge=0, le=63)
    """GPIO line (BCM number) of the beam on the side of the street."""
    inner: int = Field(ge=0, le=63)
    """GPIO line (BCM number) of the beam on the side of the room."""
    broken: Literal["open", "closed"] = "open"
    """The receiver's contact while its beam is broken; `open` also notices a cut wire."""
    pull: Literal["up", "down", "none"] = "up"
    """`up`: the contact joins the line to ground; `down`: to 3.3 V; `none`: an outside resistor pulls up."""
    debounce: Duration = Field(0.015, ge=0.001, le=0.2)
    """A beam counts as broken once it has been for so long."""
    timeout: Duration = Field(10.0, ge=1, le=120)
    """Whoever takes longer has stood in the door; nobody is counted."""
    blocked_after: Duration = Field(60.0, ge=5, le=3600)
    """A beam broken for so long raises the alarm `device_fault`: dirt, a parcel, or a failed sender."""
    door: str = "door"
    """The name that passages carry."""

    @model_validator(mode="after")
    def _two_lines(self) -> Self:
        if self.outer == self.inner:
            raise ValueError(f"outer and inner are both line {self.outer} – each beam needs its own")
        return self

    def level(self, *, broken: bool) -> bool:
        """Return the level of a line (True = high) that means this state of its beam."""
        closed = broken == (self.broken == "closed")
        return closed if self.pull == "down" else not closed

    @property
    def beams(self) -> dict[int, Beam]:
        """Line -> beam."""
        return {self.outer: "outer", self.inner: "inner"}


class PeopleCounter:
    """Two beams at one door."""

    Options: ClassVar[type[PeopleCounterOptions]] = PeopleCounterOptions
    Simulator: ClassVar[type[PeopleCounterSimulator]] = PeopleCounterSimulator
    wire: ClassVar[Wire] = Wire.GPIO
    sensitive: ClassVar[bool] = False

    def __init__(self, options: PeopleCounterOptions, site: Site) -> None:
        del site
        self.settle = options.debounce
        self._options = options
        self._lines = {line: Settling(options.debounce) for line in options.beams}
        self._crossing = Crossing(options.timeout)
        self._broken_since: dict[Beam, float] = {}
        self._counts = {"in": 0, "out": 0}
        self._blocked: list[Beam] | None = None

    def lines(self) -> tuple[LineRequest, ...]:
        """Both beams, both edges."""
        return tuple(LineRequest(line, pull=self._options.pull, edges="both") for line in self._lines)

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Take edges as they come."""
        for edge in sorted(chunk.edges, key=lambda edge: edge.at):
            if edge.line not in self._lines:
                continue
            broken = edge.high == self._options.level(broken=True)
            if edge.initial:
                yield from self._begin(edge.line, broken=broken, at=edge.at)
            else:
                yield from self._settle(edge.at)
                self._lines[edge.line].edge(broken=broken, at=edge.at)
        yield from self.quiet(chunk.at)

    def quiet(self, now: float) -> Iterable[Record]:
        """Settle what has lasted long enough, and look for blocked beams."""
        yield from self._settle(now)
        known = all(line.broken is not None for line in self._lines.values())
        blocked = [b for b, since in self._broken_since.items() if now - since >= self._options.blocked_after]
        if known and blocked != self._blocked:
            # Also said once after a start: a crash may have left the alarm raised.
            self._blocked = blocked
            yield Alarm("device_fault", bool(blocked), {"beams": [str(beam) for beam in blocked]} if blocked else {})

    def _begin(self, line: int, *, broken: bool, at: float) -> Iterator[Record]:
        beam = self._options.beams[line]
        self._lines[line].found(broken=broken)
        self._crossing.set(beam, broken=broken)
        self._note(beam, broken=broken, at=at)
        for direction, count in self._counts.items():
            yield Reading(f"passed_{direction}", count)

    def _settle(self, now: float) -> Iterator[Record]:
        """Take the changes that are due, in the order in which they began."""
        while due := [(at, line) for line, beam in self._lines.items() if (at := beam.due(now)) is not None]:
            at, line = min(due)
            beam = self._options.beams[line]
            broken = self._lines[line].settle()
            self._note(beam, broken=broken, at=at)
            passage = self._crossing.change(beam, broken=broken, at=at)
            if passage is not None:
                self._counts[passage.direction] += 1
                yield Event(f"person_{passage.direction}", {"door": self._options.door}, at=passage.at)
                yield Reading(f"passed_{passage.direction}", self._counts[passage.direction])

    def _note(self, beam: Beam, *, broken: bool, at: float) -> None:
        if broken:
            self._broken_since.setdefault(beam, at)
        else:
            self._broken_since.pop(beam, None)
