"""What is used up: how much is left, by measuring or by counting, and when it has to be refilled.

A measured level is believed as it is. Otherwise what a full one lasts is counted down from the last time somebody
refilled it or looked (`maintenance` events `refilled`, `measured`): by visits, by time, or by whichever says less.
Before anybody has said anything it counts as full at the first start.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edge_agent.records import Alarm, Event, Quality, Reading, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

SUPPLY = "rule/supply/"
_LOOK_S = 3600.0
"""How often time alone is looked at."""
_FULL = 100.0
_REFILLED_BY = 5.0
"""Percent by which a measured level must rise above `low` before the alarm clears: a float switch splashes."""


@dataclass(frozen=True, slots=True)
class Supply:
    """One consumable: the point (device, name) that measures it, or how many visits and seconds a full one lasts."""

    name: str
    level: tuple[str, str] | None
    visits: int | None
    seconds: float | None
    low: float


@dataclass(frozen=True, slots=True)
class _Known:
    """The level (percent) somebody has seen, when, and the visits since."""

    level: float
    at: Stamp
    visits: int = 0

    def stored(self) -> str:
        return json.dumps([self.level, self.at.stored(), self.visits])

    @classmethod
    def load(cls, text: str | None) -> "_Known | None":
        """Undo `stored`; None where a damaged journal has left nothing that makes sense."""
        try:
            level, (boot, mono_ms, wall_ms, good), visits = json.loads(text or "")
            return cls(float(level), Stamp(boot, mono_ms, wall_ms, bool(good)), int(visits))
        except (ValueError, TypeError):
            return None


class Supplies(Rule):
    """See the module; one for each consumable. Its level is the reading `level_pct` of a device of its name."""

    def __init__(self, supply: Supply, state: Mapping[str, str]) -> None:
        self._supply = supply
        self._known = _Known.load(state.get(SUPPLY + supply.name))
        self._changed = False
        self._told: float | None = None
        self._low: bool | None = None
        self._look_at = 0.0

    @property
    def due(self) -> float:
        """Return when time must be looked at again; never, where it is measured."""
        return math.inf if self._supply.level is not None else self._look_at

    def judges(self, device: str, point: str) -> bool:
        """See `Rule.judges`."""
        return (device, point) == self._supply.level

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Note a visit, a refill, a look, or a measured level."""
        yield device, record
        supply = self._supply
        if isinstance(record, Reading):
            if record.quality is Quality.GOOD:
                yield from self._tell(record.value)
            return
        if not isinstance(record, Event):
            return
        if record.type == "maintenance" and record.data.get("consumable") == supply.name:
            level = record.data.get("level_pct")
            self._know(_Known(float(level) if isinstance(level, int | float) else _FULL, moment.stamp))
        elif record.type == "visit" and supply.visits is not None and self._known is not None:
            self._know(replace(self._known, visits=self._known.visits + 1))
        else:
            return
        if supply.level is None:
            yield from self._tell(self._left(moment))

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Count time down."""
        self._look_at = moment.mono + _LOOK_S
        if self._known is None:
            self._know(_Known(_FULL, moment.stamp))
        yield from self._tell(self._left(moment))

    def kept(self) -> Kept:
        """Return what was last known."""
        if not self._changed or self._known is None:
            return NOTHING
        self._changed = False
        return Kept({SUPPLY + self._supply.name: self._known.stored()})

    def _know(self, known: _Known) -> None:
        self._known, self._changed = known, True

    def _left(self, moment: Moment) -> float | None:
        """Return percent left; None while neither way of counting can tell."""
        known, supply = self._known, self._supply
        if known is None:
            return None
        used = [] if supply.visits is None else [known.visits / supply.visits]
        passed = moment.since(known.at)
        if supply.seconds is not None and passed is not None:
            used.append(max(passed, 0.0) / supply.seconds)
        return max(0.0, known.level - _FULL * max(used)) if used else None

    def _tell(self, level: object) -> Iterator[Said]:
        if not isinstance(level, int | float) or isinstance(level, bool):
            return
        supply = self._supply
        if self._told is None or round(level) != round(self._told):
            self._told = level
            yield supply.name, Reading("level_pct", round(level, 1), change=1.0)
        margin = _REFILLED_BY if supply.level is not None and self._low else 0.0
        low = level <= supply.low + margin
        if low is not self._low:
            self._low = low
            yield supply.name, Alarm("consumable_low", active=low, detail={"level_pct": round(level, 1)} if low else {})
