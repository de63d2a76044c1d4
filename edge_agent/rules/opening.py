"""Whether the station is open to the public, since when, and what stands against it.

A station is open day and night unless somebody closes it (`closed`, `opened` through the command gate), smoke is about,
or a device without which nobody comes in does not answer. It opens by itself once nothing stands against it any more.
"""

import json
from collections.abc import Collection, Iterator, Mapping

from edge_agent.records import Alarm, Event, Json, Reading, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

OPENING = "rule/opening"
STATION = "station"
_SMOKE = "smoke"
_SILENT = "device_silent"
_CLOSED_BY_HAND = "closed"


class Opening(Rule):
    """See the module; `doors` are the devices without which nobody comes in.

    Tells the readings `open` and `open_since_ms` of the device `station` (Unix milliseconds), and the events
    `station_closed` and `station_opened`.
    """

    def __init__(self, doors: Collection[str], state: Mapping[str, str]) -> None:
        self._doors = frozenset(doors)
        self._against, self._since = _load(state.get(OPENING))
        # A door that is no longer one stands against nothing.
        self._against = {why for why in self._against if not why.startswith(_SILENT) or why[14:] in self._doors}
        self._changed = False
        self._tell_at = 0.0

    @property
    def due(self) -> float:
        """Return when to tell: once at the start, then only by events."""
        return self._tell_at

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Note what begins or ceases to stand against it."""
        yield device, record
        if isinstance(record, Alarm):
            if record.code == _SMOKE:
                yield from self._turn(f"{_SMOKE}/{device}", moment, against=record.active, why=_SMOKE)
            elif record.code == _SILENT and device in self._doors:
                yield from self._turn(f"{_SILENT}/{device}", moment, against=record.active, why="door")
        elif isinstance(record, Event) and record.type == "maintenance":
            what = record.data.get("what")
            if what in {"closed", "opened"}:
                yield from self._turn(_CLOSED_BY_HAND, moment, against=what == "closed", why="maintenance")

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Tell how it stands, for a picture that begins empty."""
        self._tell_at = float("inf")
        if self._since is None:
            self._since, self._changed = moment.stamp, True
        yield from self._tell(moment)

    def kept(self) -> Kept:
        """Return what stands against it, and since when it is as it is."""
        if not self._changed or self._since is None:
            return NOTHING
        self._changed = False
        return Kept({OPENING: json.dumps([sorted(self._against), self._since.stored()])})

    def _turn(self, name: str, moment: Moment, *, against: bool, why: str) -> Iterator[Said]:
        before = bool(self._against)
        if against == (name in self._against):
            return
        self._changed = True
        (self._against.add if against else self._against.discard)(name)
        if bool(self._against) is before:
            return
        self._since = moment.stamp
        data: dict[str, Json] = {"why": why} if against else {}
        yield STATION, Event("station_closed" if against else "station_opened", data)
        yield from self._tell(moment)

    def _tell(self, moment: Moment) -> Iterator[Said]:
        yield STATION, Reading("open", not self._against, prompt=True)
        yield STATION, Reading("open_since_ms", None if self._since is None else moment.dated(self._since))


def _load(text: str | None) -> tuple[set[str], Stamp | None]:
    """Begin anew where a damaged journal has left nothing that makes sense."""
    try:
        against, (boot, mono_ms, wall_ms, good) = json.loads(text or "")
        return {str(why) for why in against}, Stamp(boot, mono_ms, wall_ms, bool(good))
    except (ValueError, TypeError):
        return set(), None
