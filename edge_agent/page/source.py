"""What the page is given to look at, and the desk where it may ask for something."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.config.model import Config
from edge_agent.machine import Machine
from edge_agent.page.desk import Desk
from edge_agent.picture import Picture


class Polls(Protocol):
    """What became of one device's polls since the start; `last_good` in monotonic seconds."""

    @property
    def polls(self) -> int:
        """Questions asked, or unasked messages heard."""

    @property
    def good(self) -> int:
        """Those that brought something usable."""

    @property
    def failed(self) -> int:
        """Those that did not."""

    @property
    def silent(self) -> bool:
        """True while the device counts as silent."""

    @property
    def last_good(self) -> float | None:
        """When it was last heard, None if never."""


@dataclass(frozen=True, slots=True)
class Source:
    """The station as the page sees it; every callable may be called from the page's thread and returns at once."""

    picture: Picture
    clock: Clock
    config: Config
    statistics: Callable[[], Mapping[str, Polls]]
    machine: Callable[[], Machine]
    version: str
    started: float
    """When the agent started, monotonic seconds."""
    boot: int
    """Number of this boot in the journal: stamps of the same boot can be dated by the monotonic clock."""
    desk: Desk | None = None
    """Where somebody who has shown the PIN can have things done; None: nowhere."""
    flight: Path | None = None
    """Directory of the flight records, the last bytes of a link around a fault; None = there are none."""
