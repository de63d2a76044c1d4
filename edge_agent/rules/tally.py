"""Seconds of what was the case, in one piece for each local hour, so that they can be counted where they belong.

Time is the monotonic clock of this boot in whole seconds: what passes between two moments is the difference of two
whole numbers, so the pieces of any stretch add up to it exactly, however it is cut.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from edge_agent.ledger import Calendar

_UNDATED_MS = 3_600_000
"""A piece is as long as this where nobody knows the hour."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Seconds by subject and state that belong to one hour; `at` is a moment of that hour, monotonic milliseconds."""

    at: int
    seconds: Mapping[str, int]


@dataclass(slots=True)
class Tally:
    """Counted up to `at` (monotonic milliseconds); `seconds` is what has been counted since `began`."""

    calendar: Calendar
    at: int
    began: int
    seconds: dict[str, int] = field(default_factory=dict)
    dated: bool = False
    """Whether the hour was known when time last passed."""

    def turns(self, offset: int | None) -> int:
        """Return when the piece in progress ends; `offset` is Unix time minus monotonic time, ms, None = unknown."""
        if offset is None:
            return max(self.began + _UNDATED_MS, self.at)
        return self.calendar.next_hour(self.at + offset) - offset

    def let_pass(self, until: int, holding: Collection[str], offset: int | None) -> list[Piece]:
        """Count the time until `until` for everything `holding`; return the pieces that are complete."""
        pieces: list[Piece] = []
        if offset is not None and not self.dated and self.calendar.next_hour(self.began + offset) - offset <= self.at:
            # Counted while nobody knew the hour: it belongs before the hour that is now known to run.
            pieces += self.cut()
        self.dated = offset is not None
        while (turn := self.turns(offset)) <= until:
            self._count(turn, holding)
            pieces += self.cut()
        self._count(until, holding)
        return pieces

    def cut(self) -> list[Piece]:
        """End the piece in progress here; nothing if nothing was counted."""
        # Its last millisecond: the next hour begins with the next one.
        piece = Piece(self.at - 1, self.seconds)
        self.began, self.seconds = self.at, {}
        return [piece] if piece.seconds else []

    def _count(self, until: int, holding: Collection[str]) -> None:
        passed = until // 1000 - self.at // 1000
        if passed > 0:
            for key in holding:
                self.seconds[key] = self.seconds.get(key, 0) + passed
        self.at = max(until, self.at)
