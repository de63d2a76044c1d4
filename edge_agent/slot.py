"""A device's slot in its Worker: what is asked how often, and what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.driver import Driver, Link, Listener, Timed
from edge_agent.records import Record
from edge_agent.use import UseDetector


class Sink(Protocol):
    """Where a Worker hands what it heard: the Recorder."""

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Hand over records heard at monotonic time `at`."""

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Hand over records, and wait until they are durable; False if that is not possible in time."""

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """Say that a device does not answer."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What became of one device's polls since the start; `last_good` in monotonic seconds."""

    polls: int = 0
    good: int = 0
    failed: int = 0
    silent: bool = False
    last_good: float | None = None
    last_error: str = ""


@dataclass(slots=True)
class Slot:
    """One device on the link, with the Worker's memory of it."""

    name: str
    driver: Driver | Listener
    every: float = 5.0
    may_be_absent: bool = False
    use: UseDetector | None = None
    link: Link | None = None
    """The Worker's link as this device needs it, where it speaks at a baud rate or parity of its own."""
    due: float = 0.0
    misses: int = 0
    statistics: Statistics = field(default_factory=Statistics)

    def hasten(self, not_before: float) -> None:
        """Be polled in time for what the driver has to end, but not before `not_before` (monotonic s)."""
        if isinstance(self.driver, Timed):
            self.due = min(self.due, max(self.driver.due(), not_before))
