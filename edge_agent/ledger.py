"""The usage ledger (台账): totals that add up, written in the same transaction as the events they count.

Buckets: `life` (since the journal's first day), `2026-11-22 13` (business day and local hour), and `undated/N` for what
boot N counted while its clock was not known good. A day's figure is the sum of its hours, so hours and days cannot
disagree. `recent/…` holds no counts but what rules must know of the latest swipes (see `rules/swipes.py`, `unique.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from edge_agent.records import Event, Json

LIFE = "life"
RECENT = "recent/"
_UNDATED = "undated/"
_KEPT_DAYS = 70
"""Days whose hours stay at hand after they are closed: last month's report is read until the end of this one."""

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_LAST_MS = 253_370_764_800_000
"""A year before the calendar of `datetime` ends: a broken clock may show anything."""

Counts: TypeAlias = Mapping[str, int]
"""Name -> how much of it."""

Changes: TypeAlias = dict[tuple[str, str], int | None]
"""(bucket, name) -> new count; None where the bucket is gone."""


def counts(event: Event) -> Counts:
    """Return what `event` adds to the ledger; empty if it is told but not counted.

    What was only inferred after a restart (`observed` false) is counted apart from what was witnessed.
    """
    if event.type == "correction":
        return _correction(event.data)
    if event.type == "no_charged":
        seconds = event.data.get("seconds")
        return {"no_charged_s": seconds} if isinstance(seconds, int) else {}
    if event.type == "service":
        return _seconds(event.data.get("seconds"))
    name = _MAINTENANCE.get(event.data.get("what")) if event.type == "maintenance" else _COUNTERS.get(event.type)
    if name is None:
        return {}
    if event.data.get("observed") is False:
        return {f"{name}_inferred": 1}
    group = event.data.get("group") if event.type == "visit" else None
    return {name: 1} if group is None else {name: 1, f"{name}_{group}": 1}


def _correction(data: Mapping[str, Json]) -> Counts:
    """A correction stands beside the count it corrects and never changes it."""
    name, amount = data.get("name"), data.get("amount")
    return {f"{name}_corrected": amount} if isinstance(name, str) and isinstance(amount, int) else {}


_MAINTENANCE: dict[Json, str] = {
    "arrived": "maintenance_visits",
    "refilled": "refills",
    "done": "rounds_done",
    "replaced": "devices_replaced",
}
_COUNTERS = {
    "visit": "visits",
    "staff_entry": "staff_entries",
    "swipe": "swipes",
    "denied": "denied",
    "door_opened": "door_openings",
    "exit_button": "exits",
    "exit_swipe": "exits",
    "person_in": "people_in",
    "person_out": "people_out",
    "battery_in": "batteries_in",
    "battery_out": "batteries_out",
    "swap": "swaps",
    "outage": "outages",
    "uplink_outage": "uplink_outages",
    "mains_outage": "mains_outages",
}


def _seconds(subjects: Json) -> Counts:
    """Return `{"coolness": {"unknown_agent": 20, "unknown_device": 1}}` as `coolness_unknown_s`: 21."""
    found: dict[str, int] = {}
    for subject, states in subjects.items() if isinstance(subjects, dict) else ():
        for state, seconds in states.items() if isinstance(states, dict) else ():
            name = f"{subject}_{state.partition('_')[0]}_s"
            found[name] = found.get(name, 0) + (seconds if isinstance(seconds, int) else 0)
    return found


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where and when a business day begins."""

    zone: ZoneInfo
    day_starts: time

    def hour(self, wall_ms: int) -> tuple[date, int]:
        """Return (business day, local hour of the clock) of a moment (Unix milliseconds)."""
        return _hour_of_minute(self.zone, self.day_starts, min(max(wall_ms, 0), _LAST_MS) // _MINUTE_MS)

    def next_hour(self, wall_ms: int) -> int:
        """Return the first moment after `wall_ms` (both Unix milliseconds) at which `hour` may return another one."""
        local = datetime.fromtimestamp(min(max(wall_ms, 0), _LAST_MS) / 1000, tz=UTC).astimezone(self.zone)
        into = (local.minute * 60 + local.second) * 1000 + wall_ms % 1000
        ends = _HOUR_MS
        if local.hour == self.day_starts.hour and into < self.day_starts.minute * _MINUTE_MS:
            ends = self.day_starts.minute * _MINUTE_MS
        return wall_ms + ends - into


@lru_cache(maxsize=16)
def _hour_of_minute(zone: ZoneInfo, day_starts: time, minute: int) -> tuple[date, int]:
    """Return `Calendar.hour` of a whole minute (since 1970): each visit asks for the same one half a dozen times."""
    local = datetime.fromtimestamp(minute * 60, tz=UTC).astimezone(zone)
    begins = timedelta(hours=day_starts.hour, minutes=day_starts.minute)
    return (local.replace(tzinfo=None) - begins).date(), local.hour


class Ledger:
    """All counts in memory, as of the batch being prepared; the journal holds the same after its commit.

    Methods that count return what changed: (bucket, name) -> new count, None where a bucket is gone.
    """

    def __init__(self, calendar: Calendar, counts: Mapping[tuple[str, str], int], closed_until: str = "") -> None:
        self._calendar = calendar
        self._life: dict[str, int] = {}
        self._undated: dict[tuple[str, str], int] = {}
        self._days: dict[str, dict[str, list[int]]] = {}
        self._reopened: set[str] = set()
        self.closed_until = closed_until
        """The newest business day that has been closed, "" if none."""
        for (bucket, name), count in counts.items():
            if bucket == LIFE:
                self._life[name] = count
            elif bucket.startswith(_UNDATED):
                self._undated[bucket, name] = count
            elif not bucket.startswith(RECENT):
                self._hours_of(bucket[:10], name)[int(bucket[11:])] = count

    def add(self, counts: Counts, at_ms: int | None, boot: int) -> Changes:
        """Count what happened at `at_ms` (Unix milliseconds; None = nobody knows yet, in boot `boot`)."""
        changed: Changes = {}
        for name, count in counts.items():
            self._life[name] = self._life.get(name, 0) + count
            changed[LIFE, name] = self._life[name]
            if at_ms is not None:
                changed |= self._enter(name, count, at_ms)
            else:
                key = (f"{_UNDATED}{boot}", name)
                self._undated[key] = changed[key] = self._undated.get(key, 0) + count
        return changed

    def settle(self, boot: int, moments: Iterable[tuple[Counts, int]]) -> Changes:
        """Move counts of `boot` from the undated to the hours they belong to: (counts, Unix milliseconds) of each."""
        changed: Changes = {}
        for counts, at_ms in moments:
            for name, count in counts.items():
                key = (f"{_UNDATED}{boot}", name)
                left = self._undated.get(key, 0) - count
                if left < 0:
                    continue
                self._undated[key] = left
                changed[key] = left or None
                changed |= self._enter(name, count, at_ms)
        self._undated = {key: count for key, count in self._undated.items() if count}
        return changed

    def lifetime(self) -> dict[str, int]:
        """Return name -> count since the first day."""
        return dict(self._life)

    def regain(self, lost: Counts, moments: Iterable[tuple[Counts, int]] = ()) -> Changes:
        """Add to the lifetime totals, and to the hours, what records prove that a damaged ledger did not hold."""
        changed: Changes = {}
        for name, count in lost.items():
            self._life[name] = self._life.get(name, 0) + count
            changed[LIFE, name] = self._life[name]
        for counts, at_ms in moments:
            for name, count in counts.items():
                changed |= self._enter(name, count, at_ms)
        return changed

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

    def days_to_close(self, wall_ms: int) -> list[date]:
        """Return the days over at `wall_ms` that are not closed yet, oldest first."""
        today = str(self._calendar.hour(wall_ms)[0])
        return [date.fromisoformat(day) for day in sorted(day for day in self._days if self.closed_until < day < today)]

    def days_reopened(self) -> list[date]:
        """Return, once, the closed days that have been counted into since: their record must be written anew."""
        reopened, self._reopened = self._reopened, set()
        return [date.fromisoformat(day) for day in sorted(reopened)]

    def close(self, day: date) -> Changes:
        """Note that `day` is closed; counts of days long closed are forgotten, their records hold them."""
        self.closed_until = max(self.closed_until, str(day))
        changed: Changes = {}
        # By number and not by age: a clock that jumps ten years ahead and back must still find yesterday's hours.
        for old in sorted(self._days)[:-_KEPT_DAYS]:
            for name, hours in self._days.pop(old).items():
                changed |= {(f"{old} {hour:02}", name): None for hour, count in enumerate(hours) if count}
        return changed

    def _enter(self, name: str, count: int, at_ms: int) -> Changes:
        day, hour = self._calendar.hour(at_ms)
        hours = self._hours_of(str(day), name)
        hours[hour] += count
        if str(day) <= self.closed_until:
            self._reopened.add(str(day))
        return {(f"{day} {hour:02}", name): hours[hour]}

    def _hours_of(self, day: str, name: str) -> list[int]:
        return self._days.setdefault(day, {}).setdefault(name, [0] * 24)
