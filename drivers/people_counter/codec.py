"""Two light beams one behind the other: who breaks them in which order has come or gone.

A passage begins with the first beam broken and ends when both are clear again. The beam broken first and the one
cleared last say the direction; whoever turns back clears last the beam that was broken first, and is not counted.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Beam: TypeAlias = Literal["outer", "inner"]
Direction: TypeAlias = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Passage:
    """Somebody has passed, wholly, at monotonic time `at` (s)."""

    direction: Direction
    at: float


class Settling:
    """One beam freed of flicker: a change counts once it has lasted `debounce` seconds, from when it began."""

    def __init__(self, debounce: float) -> None:
        self.broken: bool | None = None
        self._debounce = debounce
        self._next: bool | None = None
        self._since = 0.0

    def found(self, *, broken: bool) -> None:
        """Take the state at opening: how it came about is not known."""
        self.broken = self._next = broken

    def edge(self, *, broken: bool, at: float) -> None:
        """Take one change at monotonic time `at` (s); settle first what has lasted until then."""
        if broken != self._next:
            self._next = broken
            self._since = at

    def due(self, now: float) -> float | None:
        """Return since when (monotonic s) a change has lasted long enough by `now`, None without one."""
        waiting = self._next is not None and self._next != self.broken
        return self._since if waiting and now >= self._since + self._debounce else None

    def settle(self) -> bool:
        """Take the change that is due; returns the new state."""
        self.broken = bool(self._next)
        return self.broken


class Crossing:
    """The two beams together; a passage longer than `timeout` seconds is something standing there and not counted."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._broken: dict[Beam, bool] = {"outer": False, "inner": False}
        self._first: Beam | None = None
        self._seen: set[Beam] = set()
        self._began = 0.0

    def set(self, beam: Beam, *, broken: bool) -> None:
        """Take the state at opening: what had begun before is no passage."""
        self._broken[beam] = broken
        self._first = None

    def change(self, beam: Beam, *, broken: bool, at: float) -> Passage | None:
        """Take one settled change in order of time; returns the passage that it completes."""
        idle = not any(self._broken.values())
        self._broken[beam] = broken
        if broken:
            if idle:
                self._first, self._seen, self._began = beam, set(), at
            self._seen.add(beam)
            return None
        if any(self._broken.values()):
            return None
        first, self._first = self._first, None
        if first is None or len(self._seen) < 2 or first == beam or at - self._began > self._timeout:
            return None
        return Passage("in" if first == "outer" else "out", at)
