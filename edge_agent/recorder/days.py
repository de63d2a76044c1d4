"""Closing business days: one record for each day that is over, written anew if something is counted into it later."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from edge_agent.ledger import Changes, Ledger
from edge_agent.records import Json, Stamp

CLOSED = "closed_until"
"""Key of the remembered text that says up to which day all are closed."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What the transaction that closes a day holds."""

    body: dict[str, Json]
    ledger: Changes
    until: str


class Days:
    """Used by the journal's thread only."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._hour: tuple[date, int] | None = None

    def turned(self, stamp: Stamp) -> bool:
        """Return, once, whether another hour has begun; a clock that is not good says nothing."""
        hour = self._ledger.today(stamp.wall_ms) if stamp.good else self._hour
        before, self._hour = self._hour, hour
        return hour != before

    def over(self, stamp: Stamp) -> Iterator[Closed]:
        """Yield each day that is over, once; never on a clock that is not good."""
        if stamp.good:
            for day in self._ledger.days_to_close(stamp.wall_ms):
                yield self._close(day)

    def reopened(self) -> Iterator[Closed]:
        """Yield each closed day into which something has been counted since."""
        for day in self._ledger.days_reopened():
            yield self._close(day, revised=True)

    def _close(self, day: date, **mark: Json) -> Closed:
        hours: dict[str, Json] = {name: list(counts) for name, counts in self._ledger.hours(day).items()}
        body: dict[str, Json] = {"day": str(day), "totals": dict(self._ledger.day(day)), "hours": hours, **mark}
        changes = self._ledger.close(day)
        return Closed(body, changes, self._ledger.closed_until)
