"""How many different people came on a business day, without knowing who they are.

A card is remembered under the day's key (`day_keys.py`) until the day is over; then only the number is left. What came
while the clock was unknown waits under the newest key until it can be dated, so a key outlives its day only for as long
as the station does not know the time.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from edge_agent.ledger import RECENT, Calendar, Changes
from edge_agent.records import Event, Json, Record, Stamp
from edge_agent.rules.day_keys import UNNAMED, DayKeys
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

KEY = "rule/unique"
VISITORS = f"{RECENT}visitors/"
"""Buckets of the ledger's table that hold the visitors of a day, `VISITORS` + day; they are no counts."""
_GRACE_MS = 900_000
"""How long a day's key is kept behind its end, and behind the start of the agent: what a door controller has kept of
the last minutes, or of the hours without the agent, is read by then."""
_LOOK_MS = 900_000
"""Full hours of every time zone are multiples of this."""
_UNDATED_LOOK_S = 60.0
_HOUR_MS = 3_600_000
_KEPT_DAYS = 70
_MOST_WAITING = 5000


class Unique(Rule):
    """A day with fewer than `fewest` visitors does not say how many; `stored` and `ledger` are what was kept last."""

    def __init__(
        self,
        calendar: Calendar,
        fewest: int,
        keys: DayKeys,
        stored: str | None = None,
        ledger: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._calendar = calendar
        self._fewest = fewest
        self._keys = keys
        self._seen: dict[str, set[str]] = {}
        self._waiting: dict[tuple[str, int, int], int] = {}
        """(visitor, boot, hour of it) -> monotonic milliseconds of a visit whose day is not known."""
        self._figures: dict[str, tuple[int, int]] = {}
        """Day -> (visitors, visits nobody can say of whose they are); of a day in progress only the second counts."""
        self._changes: Changes = {}
        self._figures_changed = False
        self._due = -math.inf
        self._since: float | None = None
        self._told: tuple[str, int] = ("", -1)
        self._today: dict[str, Json] = {}
        self._load(stored, ledger or {})

    @property
    def due(self) -> float:
        """The next quarter of an hour."""
        return self._due

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Note who came; add the figure to the record of a day."""
        if isinstance(record, Event) and record.type == "visit" and "by" not in record.data:
            self._visit(None if record.card is None else record.card.ref, moment)
        elif isinstance(record, Event) and record.type == "day_closed":
            self._date(moment)
            record = replace(record, data={**record.data, **self._told_of(str(record.data.get("day")))})
        yield device, record

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Date what waited; destroy the keys of days that are over; see what can be told of today."""
        self._since = moment.mono if self._since is None else self._since
        self._date(moment)
        now = moment.at_ms
        if now is None:
            self._due = moment.mono + _UNDATED_LOOK_S
        else:
            self._end_days(now, moment.mono)
            self._due = moment.mono + (_LOOK_MS - now % _LOOK_MS) / 1000
            day, hour = self._calendar.hour(now)
            if self._told != (str(day), hour):
                # Not at every visit: whoever watches the figure must not see which of them was somebody's first.
                self._told = str(day), hour
                self._today = self._told_of(str(day))
        return iter(())

    def today(self) -> Mapping[str, Json]:
        """Return the figure as of the last full hour."""
        return self._today

    def kept(self) -> Kept:
        """Return the visitors that are new, and the figures of days that are over."""
        if not self._changes and not self._figures_changed:
            return NOTHING
        changes, self._changes = self._changes, {}
        state: dict[str, str | None] = {KEY: json.dumps(self._figures)} if self._figures_changed else {}
        self._figures_changed = False
        return Kept(state, changes)

    def _visit(self, card: str | None, moment: Moment) -> None:
        self._date(moment)
        at_ms = moment.at_ms
        if at_ms is None:
            self._wait(card, moment.stamp)
            return
        day = str(self._calendar.hour(at_ms)[0])
        # A day whose key is gone cannot tell its visitors apart any more.
        if card is None or (day not in self._keys.days and (day in self._seen or day in self._figures)):
            self._unmatched(day)
        else:
            self._see(day, self._keys.visitor(day, card))

    def _wait(self, card: str | None, stamp: Stamp) -> None:
        if card is None or len(self._waiting) >= _MOST_WAITING:
            return
        visitor = self._keys.visitor(self._keys.newest, card)
        key = (visitor, stamp.boot, stamp.mono_ms // _HOUR_MS)
        if key not in self._waiting:
            self._waiting[key] = stamp.mono_ms
            self._changes[f"{VISITORS}{UNNAMED}", _name(*key)] = stamp.mono_ms

    def _date(self, moment: Moment) -> None:
        """Give what waited to the days that it belongs to, once they are known."""
        newest = self._keys.newest
        if moment.at_ms is None or (not self._waiting and newest != UNNAMED):
            return
        today = str(self._calendar.hour(moment.at_ms)[0])
        known = set(self._seen) | set(self._figures)
        for (visitor, boot, hour), mono_ms in self._waiting.items():
            self._changes[f"{VISITORS}{UNNAMED}", _name(visitor, boot, hour)] = None
            at_ms = moment.dated(Stamp(boot, mono_ms, 0, good=False))
            # Of a boot that ended before its clock was good nobody will ever know the day.
            day = "" if at_ms is None else str(self._calendar.hour(at_ms)[0])
            if day and (day == newest or day not in known):
                self._see(day, visitor)
            elif day:
                self._unmatched(day)
        self._waiting.clear()
        if today not in self._keys.days and today not in known:
            self._keys.rename(newest, today)

    def _end_days(self, now_ms: int, mono: float) -> None:
        """Keep only the number of the visitors of days that are over."""
        if self._since is None or mono - self._since < _GRACE_MS / 1000:
            return
        first, last = (str(self._calendar.hour(ms)[0]) for ms in (now_ms - _GRACE_MS, now_ms))
        for day in self._keys.days:
            if not first <= day <= last:
                self._keys.destroy(day)
        # Also of days to come, which a clock that was wrong has shown.
        for day in [day for day in self._seen if not first <= day <= last]:
            visitors = self._seen.pop(day)
            self._changes |= {(f"{VISITORS}{day}", visitor): None for visitor in visitors}
            self._figures[day] = (len(visitors), self._figures.get(day, (0, 0))[1])
            self._figures_changed = True
        for day in sorted(self._figures)[:-_KEPT_DAYS]:
            del self._figures[day]

    def _see(self, day: str, visitor: str) -> None:
        seen = self._seen.setdefault(day, set())
        if visitor not in seen:
            seen.add(visitor)
            self._changes[f"{VISITORS}{day}", visitor] = 1

    def _unmatched(self, day: str) -> None:
        visitors, unmatched = self._figures.get(day, (0, 0))
        self._figures[day] = (visitors, unmatched + 1)
        self._figures_changed = True

    def _told_of(self, day: str) -> dict[str, Json]:
        """Return the figure of a day as it may be told; nothing of a day without any card."""
        visitors, unmatched = self._figures.get(day, (0, 0))
        visitors = len(self._seen[day]) if day in self._seen else visitors
        told: dict[str, Json] = {"visitors_unmatched": unmatched} if unmatched else {}
        if 0 < visitors < self._fewest:
            return {"unique_visitors_few": True, **told}
        return {"unique_visitors": visitors, **told} if visitors else told

    def _load(self, stored: str | None, ledger: Mapping[tuple[str, str], int]) -> None:
        """Take up what was kept; what makes no sense is forgotten."""
        with suppress(ValueError, TypeError, AttributeError):
            self._figures = {str(day): (int(v), int(u)) for day, (v, u) in json.loads(stored or "{}").items()}
        for (bucket, name), mono_ms in ledger.items():
            if not bucket.startswith(VISITORS):
                continue
            day = bucket.removeprefix(VISITORS)
            if day != UNNAMED:
                self._seen.setdefault(day, set()).add(name)
                continue
            with suppress(ValueError):
                visitor, boot, hour = name.split("@")
                self._waiting[visitor, int(boot), int(hour)] = mono_ms


def _name(visitor: str, boot: int, hour: int) -> str:
    return f"{visitor}@{boot}@{hour}"
