"""For how long a cabinet had no charged battery: riders who came then were turned away."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from edge_agent.ledger import Calendar
from edge_agent.records import Alarm, Event, Quality, Reading, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

KEY = "rule/charged/"
CODE = "no_charged_batteries"
_ALARM_AFTER_S = 600.0
_NOTE_MS = 300_000
"""How often it is noted that there still is none; full hours of every time zone are multiples of it."""
_SHORTEST_S = 60
"""While a rider's door is open its slot offers nothing: that is no lack."""
_GAP_S = 1200.0
"""Nobody looked for longer than this: what was between is not counted."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A cabinet without a charged battery: from when it is to be counted, when that was certain last, since when."""

    since: Stamp
    until: Stamp
    began: Stamp

    def stored(self) -> str:
        """Return JSON text from which `load` makes an equal one."""
        return json.dumps([stamp.stored() for stamp in (self.since, self.until, self.began)])

    @classmethod
    def load(cls, text: str) -> "Stretch":
        """Undo `stored`; raises TypeError and ValueError on anything else."""
        since, until, began = json.loads(text)
        return cls(Stamp.load(since), Stamp.load(until), Stamp.load(began))


class Charged(Rule):
    """Says `no_charged` with the `seconds`, at the end of a stretch and at every full hour in between.

    `stored` holds what was kept last, by key.
    """

    def __init__(self, cabinets: Collection[str], calendar: Calendar, stored: Mapping[str, str]) -> None:
        self._cabinets = frozenset(cabinets)
        self._calendar = calendar
        self._unknown: dict[str, bool] = {}
        self._stretches: dict[str, Stretch] = {}
        self._alarmed: dict[str, bool] = {}
        self._changed: set[str] = set()
        self._due = math.inf
        for name in self._cabinets:
            with suppress(ValueError, TypeError):
                self._stretches[name] = Stretch.load(stored.get(KEY + name, ""))
        if self._stretches:
            self._due = -math.inf

    @property
    def due(self) -> float:
        """The next five minutes of the clock while a cabinet has none."""
        return self._due

    def judges(self, device: str, point: str) -> bool:
        """See `Rule.judges`."""
        return device in self._cabinets and point in {"slots_unknown", "batteries_available"}

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Judge how many there are."""
        yield device, record
        if device not in self._cabinets or not isinstance(record, Reading):
            return
        if record.point == "slots_unknown":
            self._unknown[device] = record.value != 0
        elif record.point == "batteries_available":
            known = record.quality is Quality.GOOD and isinstance(record.value, int)
            if known and record.value == 0 and not self._unknown.get(device, True):
                yield from self._none(device, moment)
            elif device in self._stretches:
                # Charged ones are there, or nobody can say: then it counts up to when it was certain.
                yield from self._end(device, moment, seen=known and record.value != 0)
            elif known and record.value:
                yield from self._alarm(device, active=False)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Count what belongs to an hour that is about to end; raise the alarm in time."""
        now = moment.at_ms
        for cabinet, stretch in list(self._stretches.items()):
            until = moment.dated(stretch.until)
            # Said as of the last look, so that it is counted in the hour, and the day, that is just over.
            if now is not None and until is not None and self._calendar.hour(now) != self._calendar.hour(until):
                yield from self._count(cabinet, stretch, moment)
            yield from self._lasted(cabinet, moment)
            self._changed.add(cabinet)
        self._plan(moment)

    def kept(self) -> Kept:
        """Return the stretches that have begun, gone on or ended."""
        if not self._changed:
            return NOTHING
        changed, self._changed = self._changed, set()
        return Kept({KEY + name: s.stored() if (s := self._stretches.get(name)) else None for name in changed})

    def _none(self, cabinet: str, moment: Moment) -> Iterator[Said]:
        stretch = self._stretches.get(cabinet)
        gap = None if stretch is None else moment.since(stretch.until)
        if stretch is not None and (gap is None or not 0 <= gap <= _GAP_S):
            yield from self._end(cabinet, moment, seen=False)
            stretch = None
        if stretch is None:
            self._stretches[cabinet] = Stretch(moment.stamp, moment.stamp, moment.stamp)
            self._changed.add(cabinet)
            self._plan(moment)
        else:
            self._stretches[cabinet] = replace(stretch, until=moment.stamp)
            yield from self._lasted(cabinet, moment)

    def _end(self, cabinet: str, moment: Moment, *, seen: bool) -> Iterator[Said]:
        stretch = self._stretches[cabinet]
        gap = moment.since(stretch.until)
        if seen and gap is not None and 0 <= gap <= _GAP_S:
            stretch = replace(stretch, until=moment.stamp)
        yield from self._count(cabinet, stretch, moment)
        del self._stretches[cabinet]
        if seen:
            yield from self._alarm(cabinet, active=False)
        self._plan(moment)

    def _count(self, cabinet: str, stretch: Stretch, moment: Moment) -> Iterator[Said]:
        """Say the whole seconds that are not said yet, as of their end."""
        self._changed.add(cabinet)
        seconds = _between(stretch.since, stretch.until)
        if seconds > 0 and _between(stretch.began, stretch.until) >= _SHORTEST_S:
            later = seconds * 1000
            since = replace(stretch.since, mono_ms=stretch.since.mono_ms + later, wall_ms=stretch.since.wall_ms + later)
            self._stretches[cabinet] = replace(stretch, since=since)
            ago = moment.since(stretch.until)
            yield cabinet, Event("no_charged", {"seconds": seconds}, at=None if ago is None else moment.mono - ago)

    def _lasted(self, cabinet: str, moment: Moment) -> Iterator[Said]:
        lasted = moment.since(self._stretches[cabinet].began)
        if lasted is not None and lasted >= _ALARM_AFTER_S:
            yield from self._alarm(cabinet, active=True)

    def _alarm(self, cabinet: str, *, active: bool) -> Iterator[Said]:
        if self._alarmed.get(cabinet) is not active:
            self._alarmed[cabinet] = active
            yield cabinet, Alarm(CODE, active)

    def _plan(self, moment: Moment) -> None:
        wall = moment.at_ms if moment.at_ms is not None else moment.stamp.mono_ms
        pause = (_NOTE_MS - wall % _NOTE_MS) / 1000
        self._due = moment.mono + pause if self._stretches else math.inf


def _between(since: Stamp, until: Stamp) -> int:
    """Return the whole seconds between two stamps; both are of one boot, or of clocks that were good."""
    if since.boot == until.boot:
        return (until.mono_ms - since.mono_ms) // 1000
    return (until.wall_ms - since.wall_ms) // 1000
