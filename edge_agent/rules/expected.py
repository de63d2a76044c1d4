"""Nobody came when somebody should have: judged by the station's own past weeks, hour by hour of the week.

Visits that come independently are a Poisson process. Of an hour of the week that had `k` visits in `n` past weeks the
rate is not known but believed (gamma distribution, Jeffreys' prior), and the chance of none in the next week is
(n / (n + 1)) ** (k + 1/2). The hours of one silence are multiplied: few weeks, or few visits, make no alarm.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from edge_agent.config.alarms import NoVisits
from edge_agent.ledger import Calendar
from edge_agent.records import Alarm, Event, Record
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

_KEY = "rule/no_visits"
_CODE = "no_visits_expected_some"
_STATION = "station"
_BUCKET = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d)")
_LOOK_S = 600.0
_DAYS = 63
"""Nine weeks: longer ago a station was another one."""
_HOUR_MS = 3_600_000


class ExpectedVisits(Rule):
    """Counts visits by hour, beginning with the ledger's; says nothing while nobody knows the time."""

    def __init__(
        self,
        settings: NoVisits,
        calendar: Calendar,
        ledger: Mapping[tuple[str, str], int],
        state: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._raised = state.get(_KEY) == "true"
        self._changed = False
        self._quiet_since: float | None = None
        """Monotonic seconds of the last visit, or since when one would have been seen."""
        self._counts: dict[date, list[int]] = {}
        self._due = 0.0
        for (bucket, name), count in ledger.items():
            if (found := _BUCKET.fullmatch(bucket)) is not None:
                hours = self._counts.setdefault(date.fromisoformat(found[1]), [0] * 24)
                hours[int(found[2])] += count if name == "visits" else 0

    @property
    def due(self) -> float:
        """Return when the silence is looked at again."""
        return self._due

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Count a visit, and end the alarm."""
        yield device, record
        if not isinstance(record, Event) or record.type != "visit":
            return
        self._quiet_since = max(moment.mono, self._quiet_since or 0.0)
        if moment.at_ms is not None:
            day, hour = self._calendar.hour(moment.at_ms)
            self._counts.setdefault(day, [0] * 24)[hour] += 1
        if self._raised:
            yield self._turn(raised=False)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Look at the silence so far."""
        self._due = moment.mono + _LOOK_S
        now_ms = moment.at_ms
        if now_ms is None:
            self._quiet_since = None
            return
        if self._quiet_since is None:
            self._quiet_since = moment.mono
        self._forget(now_ms)
        silent = moment.mono - self._quiet_since
        chance = self.chance(now_ms, silent)
        if chance is not None and chance < self._settings.chance and not self._raised:
            yield self._turn(raised=True, silent=silent)

    def kept(self) -> Kept:
        """Return whether the alarm is up."""
        if not self._changed:
            return NOTHING
        self._changed = False
        return Kept({_KEY: "true" if self._raised else None})

    def chance(self, now_ms: int, seconds: float) -> float | None:
        """Return how probable it is that nobody comes in the `seconds` before `now_ms`; None with too few weeks."""
        today = self._calendar.hour(now_ms)[0]
        days = [day for day in self._counts if day < today]
        if not days:
            return None
        first = max(min(days), today - timedelta(days=_DAYS))
        weeks = (today - first).days // 7
        if weeks < self._settings.weeks:
            return None
        whole = today - timedelta(days=7 * weeks)
        visits = self._visits(now_ms, seconds, whole, weeks)
        return math.exp((visits + 0.5) * math.log(weeks / (weeks + 1)))

    def _visits(self, now_ms: int, seconds: float, whole: date, weeks: int) -> float:
        """Return how many came in the same hours of the `weeks` from `whole` on."""
        found, at = 0.0, now_ms - seconds * 1000
        while at < now_ms:
            step = min(now_ms, (math.floor(at / _HOUR_MS) + 1) * _HOUR_MS) - at
            day, hour = self._calendar.hour(round(at))
            ahead = timedelta(days=(day.weekday() - whole.weekday()) % 7)
            same = (whole + ahead + timedelta(days=7 * week) for week in range(weeks))
            found += step / _HOUR_MS * sum(self._counts[one][hour] for one in same if one in self._counts)
            at += step
        return found

    def _forget(self, now_ms: int) -> None:
        oldest = self._calendar.hour(now_ms)[0] - timedelta(days=_DAYS)
        for day in [day for day in self._counts if day < oldest]:
            del self._counts[day]

    def _turn(self, *, raised: bool, silent: float = 0.0) -> Said:
        self._raised = raised
        self._changed = True
        return _STATION, Alarm(_CODE, raised, {"silent_hours": round(silent / 3600, 1)} if raised else {})
