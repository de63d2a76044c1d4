"""What is known of each battery by its serial number: where it is, how often it came, how worn it is, what failed.

Kept by the station alone, to be looked up (`edge-agent batteries`); the events it is made from are published anyway.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace

from edge_agent.records import Event, Quality, Reading, Record
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

KEY = "rule/battery/"
"""Keys under which the history of each battery is kept, `KEY` + serial number."""
_MOST = 500
"""Batteries kept; those that were not seen for longest are forgotten."""
_MOST_FAULTS = 16
_POINTS = frozenset({"sn", "cycles", "soh_pct", "protections"})


@dataclass(frozen=True, slots=True)
class Battery:
    """One battery; times are Unix milliseconds, None = nobody knew. `order` grows with each sight of any battery."""

    order: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    slot: str = ""
    """Where it is: id of a slot such as `cabinet-03`; "" while it is out."""
    times_in: int = 0
    times_out: int = 0
    cycles: int | None = None
    """Charge cycles as its board counts them."""
    soh_pct: int | None = None
    """State of health (%) as its board tells it."""
    faults: dict[str, int] = field(default_factory=dict)
    """Name of a protection -> how often it set in here."""
    active: list[str] = field(default_factory=list)
    """Protections that were active when it was looked at last."""

    def stored(self) -> str:
        """Return JSON text from which `load` makes an equal one."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> "Battery":
        """Undo `stored`; raises TypeError and ValueError on anything else."""
        return cls(**json.loads(text))


class Batteries(Rule):
    """`slots` are the ids of all slots of all cabinets; `stored` holds what was kept last, by key."""

    def __init__(self, slots: Collection[str], stored: Mapping[str, str]) -> None:
        self._slots = frozenset(slots)
        self.known: dict[str, Battery] = {}
        """Serial number -> what is known of it."""
        self._in: dict[str, str] = {}
        self._changed: set[str] = set()
        for key, text in stored.items():
            if key.startswith(KEY):
                with suppress(ValueError, TypeError):
                    self.known[key.removeprefix(KEY)] = Battery.load(text)
        self._order = max((battery.order for battery in self.known.values()), default=0)

    def judges(self, device: str, point: str) -> bool:
        """See `Rule.judges`."""
        return device in self._slots and point in _POINTS

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Note what is said of a battery."""
        yield device, record
        if device not in self._slots:
            return
        if isinstance(record, Event) and record.type in {"battery_in", "battery_out"}:
            sn = record.data.get("sn")
            if isinstance(sn, str) and sn:
                self._moved(sn, device, moment, came=record.type == "battery_in")
        elif isinstance(record, Reading):
            self._told(device, record, moment)

    def kept(self) -> Kept:
        """Return the batteries of which something new is known."""
        if not self._changed:
            return NOTHING
        changed, self._changed = self._changed, set()
        known = {KEY + sn: self.known[sn].stored() if sn in self.known else None for sn in changed}
        return Kept(known)

    def _told(self, slot: str, reading: Reading, moment: Moment) -> None:
        value = reading.value if reading.quality is Quality.GOOD else None
        if reading.point == "sn":
            # Said before the other points of the same battery.
            if isinstance(value, str) and value:
                self._in[slot] = value
                if self.known.get(value, Battery()).slot != slot:
                    self._note(value, moment, slot=slot)
            elif reading.value is None:
                self._in.pop(slot, None)
            return
        sn = self._in.get(slot)
        if sn is None:
            return
        if reading.point == "cycles" and isinstance(value, int) and value != self.known[sn].cycles:
            self._note(sn, moment, cycles=value)
        elif reading.point == "soh_pct" and isinstance(value, int | float) and round(value) != self.known[sn].soh_pct:
            self._note(sn, moment, soh_pct=round(value))
        elif reading.point == "protections" and isinstance(value, tuple):
            self._failed(sn, sorted({str(name) for name in value})[:_MOST_FAULTS], moment)

    def _failed(self, sn: str, active: list[str], moment: Moment) -> None:
        """Count each protection once for each time it sets in."""
        before = self.known[sn]
        if active == before.active:
            return
        faults = dict(before.faults)
        for name in active:
            if name not in before.active and (name in faults or len(faults) < _MOST_FAULTS):
                faults[name] = faults.get(name, 0) + 1
        self._note(sn, moment, faults=faults, active=active)

    def _moved(self, sn: str, slot: str, moment: Moment, *, came: bool) -> None:
        before = self.known.get(sn, Battery())
        if came:
            self._in[slot] = sn
            self._note(sn, moment, slot=slot, times_in=before.times_in + 1)
        else:
            self._in.pop(slot, None)
            self._note(sn, moment, slot="", times_out=before.times_out + 1, active=[])

    def _note(self, sn: str, moment: Moment, **changes: object) -> None:
        self._order += 1
        before = self.known.get(sn, Battery(first_ms=moment.at_ms))
        # Late word of an earlier time does not make the last sight earlier.
        last = max((ms for ms in (before.last_ms, moment.at_ms) if ms is not None), default=None)
        self.known[sn] = replace(before, order=self._order, last_ms=last, **changes)  # type: ignore[arg-type]
        self._changed.add(sn)
        if len(self.known) > _MOST:
            oldest = min(self.known, key=lambda one: self.known[one].order)
            del self.known[oldest]
            self._in = {at: one for at, one in self._in.items() if one != oldest}
            self._changed.add(oldest)
