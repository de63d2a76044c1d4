"""One contact's level, freed of bounce by time stamps.

gpiozero's own `bounce_time` drops edges, and with them the level at which a contact came to rest. Here every edge is
looked at; a level counts once no edge has come for the debounce time, and it counts from its last edge.
"""

from dataclasses import dataclass

STORM_WINDOW = 1.0
"""Seconds over which edges are counted."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The line has come to rest: its level, since when (monotonic s), and whether another was known before."""

    high: bool
    at: float
    first: bool


class Debounced:
    """The state machine of one line; constant memory and a few steps an edge, however many come."""

    def __init__(self, debounce: float, storm: int) -> None:
        self.stormy = False
        self._debounce = debounce
        self._storm = storm
        self._level: bool | None = None
        self._raw: bool | None = None
        self._since = 0.0
        self._count = 0
        self._window = float("-inf")

    def edge(self, *, high: bool, at: float) -> Settled | None:
        """Take one edge at monotonic time `at` (s); returns the level that it ends, if that one had lasted."""
        self._roll(at)
        self._count += 1
        if self._count > self._storm:
            self.stormy = True
        settled = self.settle(at)
        if high != self._raw:  # equal if the edge between was lost below us: then the level has lasted since the first
            self._raw = high
            self._since = at
        return settled

    def found(self, *, high: bool, at: float) -> Settled | None:
        """Take the level found at opening the line: it counts at once, and how it came about is not known."""
        self._raw = high
        self._since = at
        return self._take(first=True)

    def settle(self, now: float) -> Settled | None:
        """Return the level if, at monotonic time `now` (s), it has just lasted long enough."""
        self._roll(now)
        if self.stormy or now < self._since + self._debounce:
            return None
        return self._take(first=self._level is None)

    def _take(self, *, first: bool) -> Settled | None:
        if self._raw is None or self._raw == self._level:
            return None
        self._level = self._raw
        return Settled(self._raw, self._since, first)

    def _roll(self, now: float) -> None:
        """Begin a new window; a storm is over after one with at most half of its edges, so that it does not flutter."""
        if now >= self._window + STORM_WINDOW:
            if self._count * 2 <= self._storm:
                self.stormy = False
            self._window = now
            self._count = 0
