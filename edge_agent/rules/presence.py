"""How many people are inside: an estimate from who came and who was seen to leave.

Few leave by a reader or through beams, so each presence also fades: with a typical stay of `stay` seconds it counts
exp(-age/stay) of a person, which is right on average where stays vary as they usually do. Somebody who leaves takes the
oldest presence along; there are never fewer than none.
"""

import json
import math
from collections.abc import Iterator

from edge_agent.records import Event, Reading, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

KEY = "rule/presence"
POINT = "people_inside"
"""Point of the device `station`: people, rounded."""
_TELL_EVERY_S = 60.0
_MOST = 200
"""Presences kept; a station has no room for more people."""
_FADED = 6.0
"""Typical stays after which a presence is forgotten: e^-6 of a person."""


class Presence(Rule):
    """`leaving` are the types of event that say that somebody left; `stored` is what was kept last."""

    def __init__(self, stay: float, leaving: frozenset[str], stored: str | None = None) -> None:
        self._stay = stay
        self._leaving = leaving
        self._inside: list[Stamp] = []
        self._changed = False
        self._due = -math.inf
        self._told: int | None = None
        try:
            self._inside = [Stamp.load(stamp) for stamp in json.loads(stored or "[]")][-_MOST:]
        except (ValueError, TypeError):
            self._inside = []

    @property
    def due(self) -> float:
        """A minute after it was told last."""
        return self._due

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Count in and out; say at once what has changed."""
        yield device, record
        if not isinstance(record, Event):
            return
        if record.type == "visit":
            self._inside = [*self._inside, moment.stamp][-_MOST:]
            self._changed = True
        elif record.type in self._leaving and self._inside and "staff" not in record.data:
            oldest = max(self._inside, key=lambda stamp: self._age(stamp, moment))
            if self._age(oldest, moment) >= 0:
                self._inside.remove(oldest)
                self._changed = True
        else:
            return
        people = self._people(moment)
        # A swipe read late speaks of its own time, not of now.
        if people != self._told and moment.mono >= self._due - _TELL_EVERY_S:
            self._told = people
            yield "station", Reading(POINT, people, change=1.0)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Tell it anew: presences fade."""
        self._due = moment.mono + _TELL_EVERY_S
        kept = [stamp for stamp in self._inside if self._age(stamp, moment) < _FADED * self._stay]
        self._changed |= len(kept) < len(self._inside)
        self._inside = kept
        self._told = self._people(moment)
        yield "station", Reading(POINT, self._told, change=1.0)

    def kept(self) -> Kept:
        """Return who is inside."""
        if not self._changed:
            return NOTHING
        self._changed = False
        return Kept({KEY: json.dumps([stamp.stored() for stamp in self._inside])})

    def _people(self, moment: Moment) -> int:
        return round(sum(math.exp(-max(0.0, self._age(stamp, moment)) / self._stay) for stamp in self._inside))

    def _age(self, stamp: Stamp, moment: Moment) -> float:
        """Return for how many seconds somebody has been inside; at least as long as this boot, if nobody knows."""
        age = moment.since(stamp)
        if stamp.boot != moment.stamp.boot and (age is None or age < moment.mono):
            return moment.mono
        return math.inf if age is None else age
