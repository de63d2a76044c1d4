"""Maintenance visits: who is there, since when, and how long they stayed.

Whoever forgets to sign off is signed off after twelve hours, and the record says that nobody saw it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from edge_agent.records import Event, Json, Reading, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

STAFF = "rule/staff"
_LONGEST_S = 12 * 3600.0
_LOOK_S = 600.0
_STATION = "station"


class StaffPresence(Rule):
    """See the module. Adds `seconds` to a departure; the reading `staff` names who is there."""

    def __init__(self, state: Mapping[str, str]) -> None:
        self._there = _load(state.get(STAFF))
        self._changed = False
        self._look_at = 0.0

    @property
    def due(self) -> float:
        """Return when to look for those who forgot to sign off."""
        return self._look_at

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Note arrivals, and measure the stay at the departure."""
        what = record.data.get("what") if isinstance(record, Event) and record.type == "maintenance" else None
        if not isinstance(record, Event) or what not in {"arrived", "departed"}:
            yield device, record
            return
        who = str(record.data.get("who"))
        since = self._there.pop(who, None)
        if what == "arrived":
            self._there[who] = since or moment.stamp
            yield device, record
        else:
            stayed = None if since is None else moment.since(since)
            yield device, record if stayed is None else replace(record, data={**record.data, "seconds": round(stayed)})
        yield self._tell()

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Sign off who has been there too long to be still there."""
        begins, self._look_at = self._look_at == 0.0, moment.mono + _LOOK_S
        if begins and self._there:
            yield self._tell()
        for who, since in list(self._there.items()):
            stayed = moment.since(since)
            if stayed is not None and stayed > _LONGEST_S:
                del self._there[who]
                data: dict[str, Json] = {"what": "departed", "who": who, "observed": False}
                yield _STATION, Event("maintenance", data)
                yield self._tell()

    def kept(self) -> Kept:
        """Return who is there."""
        if not self._changed:
            return NOTHING
        self._changed = False
        return Kept({STAFF: json.dumps({who: since.stored() for who, since in self._there.items()})})

    def _tell(self) -> Said:
        self._changed = True
        return _STATION, Reading("staff", ", ".join(sorted(self._there)) or None, prompt=True)


def _load(text: str | None) -> dict[str, Stamp]:
    """Begin anew where a damaged journal has left nothing that makes sense."""
    try:
        found: dict[str, list[int]] = json.loads(text or "{}")
        return {who: Stamp(boot, mono, wall, bool(good)) for who, (boot, mono, wall, good) in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
