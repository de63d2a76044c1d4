"""What has to be done again and again, like cleaning: when it is due, and whether it is overdue.

A round is due some time after it was done (`every`), or at times of day (`at`). At times of day it counts for a time if
it was done no earlier than `early` before it; without a known clock nothing is overdue. Before anybody has done it, it
counts as done at the first start.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from edge_agent.records import Alarm, Event, Reading, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

ROUND = "rule/round/"
_LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One round; `every`, `early` and `grace` in seconds, `at` in the local time of `zone`."""

    name: str
    every: float | None
    at: tuple[time, ...]
    early: float
    grace: float
    zone: ZoneInfo


class Rounds(Rule):
    """See the module; one for each round. Readings of a device of its name: `overdue`, and `done_by` while known."""

    def __init__(self, plan: Plan, state: Mapping[str, str]) -> None:
        self._plan = plan
        self._done, self._by = _load(state.get(ROUND + plan.name))
        self._changed = False
        self._overdue: bool | None = None
        self._told_by = ""
        self._look_at = 0.0

    @property
    def due(self) -> float:
        """Return when time must be looked at again."""
        return self._look_at

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Note that it was done."""
        yield device, record
        if isinstance(record, Event) and record.type == "maintenance" and record.data.get("round") == self._plan.name:
            self._note(moment.stamp, str(record.data.get("by", "")))
            yield from self._judge(moment)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Look whether it is overdue by now."""
        self._look_at = moment.mono + _LOOK_S
        if self._done is None:
            self._note(moment.stamp, "")
        yield from self._judge(moment)

    def kept(self) -> Kept:
        """Return when it was last done, and by whom."""
        if not self._changed or self._done is None:
            return NOTHING
        self._changed = False
        return Kept({ROUND + self._plan.name: json.dumps([self._done.stored(), self._by])})

    def _note(self, done: Stamp, by: str) -> None:
        self._done, self._by, self._changed = done, by, True

    def _judge(self, moment: Moment) -> Iterator[Said]:
        overdue = self._is_overdue(moment)
        name = self._plan.name
        if self._by != self._told_by:
            self._told_by = self._by
            yield name, Reading("done_by", self._by)
        if overdue is not None and overdue is not self._overdue:
            self._overdue = overdue
            yield name, Reading("overdue", overdue, prompt=True)
            yield name, Alarm("round_overdue", active=overdue)

    def _is_overdue(self, moment: Moment) -> bool | None:
        """Return None where that cannot be told."""
        plan = self._plan
        passed = None if self._done is None else moment.since(self._done)
        if passed is None:
            return None
        if plan.every is not None:
            return passed > plan.every + plan.grace
        now_ms = moment.at_ms
        if now_ms is None:
            return None
        now = datetime.fromtimestamp(now_ms / 1000, tz=UTC).astimezone(plan.zone)
        return now - timedelta(seconds=passed) < self._last_due(now) - timedelta(seconds=plan.early)

    def _last_due(self, now: datetime) -> datetime:
        """Return the newest time of `at` whose grace is over."""
        latest = now - timedelta(seconds=self._plan.grace)
        days = (latest.date() - timedelta(days=back) for back in range(2))
        return max(
            due
            for day in days
            for at in self._plan.at
            if (due := datetime.combine(day, at, tzinfo=self._plan.zone)) <= latest
        )


def _load(text: str | None) -> tuple[Stamp | None, str]:
    """Begin anew where a damaged journal has left nothing that makes sense."""
    try:
        (boot, mono_ms, wall_ms, good), by = json.loads(text or "")
        return Stamp(boot, mono_ms, wall_ms, bool(good)), str(by)
    except (ValueError, TypeError):
        return None, ""
