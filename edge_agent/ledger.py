"""The usage ledger (台账): totals that add up, written in the same transaction as the events they count.

Buckets: `life` (since the journal's first day), `2026-11-22 13` (business day and local hour), and `undated/N` for what
boot N counted while its clock was not known good. A day's figure is the sum of its hours, so hours and days cannot
disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from edge_agent.records import Event

LIFE = "life"
_UNDATED = "undated/"


def counter(event: Event) -> str | None:
    """Return the ledger's name for what `event` counts; None if it is told but not counted.

    What was only inferred after a restart (`observed` false) is counted apart from what was witnessed.
    """
    name = _COUNTERS.get(event.type)
    if name is not None and event.data.get("observed") is False:
        return f"{name}_inferred"
    return name


_COUNTERS = {
    "visit": "visits",
    "denied": "denied",
    "door_opened": "door_openings",
    "exit_button": "exits",
    "battery_in": "batteries_in",
    "battery_out": "batteries_out",
    "swap": "swaps",
}


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where and when a business day begins."""

    zone: ZoneInfo
    day_starts: time

    def hour(self, wall_ms: int) -> tuple[date, int]:
        """Return (business day, local hour of the clock) of a moment."""
        local = datetime.fromtimestamp(wall_ms / 1000, tz=UTC).astimezone(self.zone)
        begins = timedelta(hours=self.day_starts.hour, minutes=self.day_starts.minute)
        return (local.replace(tzinfo=None) - begins).date(), local.hour


class Ledger:
    """All counts in memory, as of the batch being prepared; the journal holds the same after its commit."""

    def __init__(self, calendar: Calendar, counts: Mapping[tuple[str, str], int]) -> None:
        self._calendar = calendar
        self._life: dict[str, int] = {}
        self._undated: dict[tuple[str, str], int] = {}
        self._days: dict[str, dict[str, list[int]]] = {}
        for (bucket, name), count in counts.items():
            if bucket == LIFE:
                self._life[name] = count
            elif bucket.startswith(_UNDATED):
                self._undated[bucket, name] = count
            else:
                self._hours_of(bucket[:10], name)[int(bucket[11:])] = count

    def add(self, name: str, wall_ms: int, *, good: bool, boot: int) -> dict[tuple[str, str], int]:
        """Count one `name`; return the changed (bucket, name) -> new count."""
        self._life[name] = self._life.get(name, 0) + 1
        changed = {(LIFE, name): self._life[name]}
        if good:
            day, hour = self._calendar.hour(wall_ms)
            hours = self._hours_of(str(day), name)
            hours[hour] += 1
            changed[f"{day} {hour:02}", name] = hours[hour]
        else:
            key = (f"{_UNDATED}{boot}", name)
            self._undated[key] = self._undated.get(key, 0) + 1
            changed[key] = self._undated[key]
        return changed

    def lifetime(self) -> dict[str, int]:
        """Return name -> count since the first day."""
        return dict(self._life)

    def undated(self) -> dict[str, int]:
        """Return name -> count of what no good clock has dated yet."""
        total: dict[str, int] = {}
        for (_, name), count in self._undated.items():
            total[name] = total.get(name, 0) + count
        return total

    def hours(self, day: date) -> dict[str, list[int]]:
        """Return name -> 24 counts of one business day, by local hour of the clock."""
        return {name: list(hours) for name, hours in self._days.get(str(day), {}).items()}

    def day(self, day: date) -> dict[str, int]:
        """Return name -> count of one business day."""
        return {name: sum(hours) for name, hours in self.hours(day).items()}

    def today(self, wall_ms: int) -> tuple[date, int]:
        """Return (business day, local hour) of a moment in this ledger's calendar."""
        return self._calendar.hour(wall_ms)

    def open_days(self, closed_until: str, wall_ms: int) -> list[date]:
        """Return the business days before the one of `wall_ms` that have counts and lie after `closed_until`."""
        today = str(self._calendar.hour(wall_ms)[0])
        return [date.fromisoformat(day) for day in sorted(self._days) if closed_until < day < today]

    def _hours_of(self, day: str, name: str) -> list[int]:
        return self._days.setdefault(day, {}).setdefault(name, [0] * 24)
