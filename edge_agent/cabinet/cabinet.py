"""The battery-swap cabinet: one picture assembled from lock boards, batteries and contacts. Pure: no thread, no clock.

Readings of the devices named in the layout go in; out come the readings of virtual devices, `NAME` for the cabinet and
`NAME-01` … for its slots, and the events `battery_in`, `battery_out` and `swap`. The picture of the batteries and any
half-done swap are given out for storing whenever they changed, and belong in the transaction of those events: after a
restart a difference by serial number becomes an event with `"observed": false`. Only what was never known before takes
what it finds as its baseline, without events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.cabinet.slot import Change, Door, Slot, SlotLayout
from edge_agent.cabinet.swaps import Swap, Swaps
from edge_agent.cabinet.view import CABINET_POINTS, SLOT_POINTS, cabinet_readings, slot_readings
from edge_agent.records import Alarm, Event, Json, Quality, Reading

__all__ = ["Cabinet", "CabinetLayout", "Moment", "Outcome", "SlotLayout"]

_BATTERY_ALARMS = ("battery_over_temp", "battery_protection")


@dataclass(frozen=True, slots=True)
class CabinetLayout:
    """What a cabinet is made of.

    `full_soc` in percent makes a battery a charged one; a battery taken within `swap_window_s` of one brought is a
    swap; a battery has gone after `absent_after` silences. `wires` names the link of each device: a silence is believed
    only if something else on the same wire answered after it. Devices without an entry share one wire.
    """

    name: str
    slots: tuple[SlotLayout, ...]
    full_soc: float = 95.0
    swap_window_s: float = 120.0
    absent_after: int = 2
    wires: Mapping[str, str] = field(default_factory=dict)

    def slot_device(self, index: int) -> str:
        """Name of a slot's virtual device."""
        return f"{self.name}-{index:02d}"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was read: monotonic seconds, Unix seconds, and the boot that the former belong to."""

    monotonic: float
    wall: float
    boot_id: str


@dataclass(slots=True)
class Outcome:
    """What one update means.

    `readings` by virtual device; events and alarms with their device; `poll_now` names devices to ask at once, in this
    order; `changed` says that `Cabinet.stored()` must be written in the transaction that takes the rest.
    """

    readings: dict[str, list[Reading]] = field(default_factory=dict)
    events: list[tuple[str, Event]] = field(default_factory=list)
    alarms: list[tuple[str, Alarm]] = field(default_factory=list)
    poll_now: tuple[str, ...] = ()
    changed: bool = False


class Cabinet:
    """One cabinet; `stored` is what `stored()` gave in the previous run, None if there was none."""

    def __init__(self, layout: CabinetLayout, stored: Mapping[str, Json] | None) -> None:
        self.name = layout.name
        self._layout = layout
        self._slots = {slot.index: self._slot(slot) for slot in layout.slots}
        self._swaps = Swaps(layout.swap_window_s)
        self._told: dict[tuple[int, str], bool] = {}
        self._fittings: list[Reading] = []
        if stored is not None:
            slots = stored.get("slots")
            for index, slot in self._slots.items():
                slot.restore(slots.get(str(index)) if isinstance(slots, dict) else None)
            self._swaps.restore(stored.get("halves"))

    @property
    def devices(self) -> frozenset[str]:
        """Devices whose readings belong here."""
        return _devices(self._layout.slots)

    def stored(self) -> dict[str, Json]:
        """The picture a restart needs, as JSON."""
        return {
            "slots": {str(index): slot.stored() for index, slot in self._slots.items()},
            "halves": self._swaps.stored(),
        }

    def update(self, device: str, readings: Sequence[Reading], moment: Moment) -> Outcome:
        """Take what one device said: all of its points of one poll, or `present` false after a silence.

        Readings that are not good count as not said.
        """
        outcome = Outcome()
        before = self.stored()
        self._swaps.expire(moment.boot_id, moment.monotonic)
        values = {reading.point: reading for reading in readings}
        touched = {index for index, slot in self._slots.items() if device in _devices((slot.layout,))}
        for index in sorted(touched):
            self._take(self._slots[index], device, values, moment, outcome)
        if _answered(readings):
            self._witness(device, moment, outcome)
        if any(slot.layout.prefix and slot.layout.battery == device for slot in self._slots.values()):
            self._fittings = [values[point] for point in CABINET_POINTS if point in values]
        self._show(touched, outcome)
        outcome.changed = self.stored() != before
        return outcome

    def _slot(self, layout: SlotLayout) -> Slot:
        wires = self._layout.wires
        mine = wires.get(layout.battery or "")
        others = _devices(self._layout.slots) - {layout.battery}
        # A controller that says "no battery" has answered: that silence is nobody's but the battery's.
        alone = bool(layout.prefix) or all(wires.get(other) != mine for other in others)
        return Slot(layout, self._layout.absent_after, self._layout.swap_window_s, alone)

    def _take(self, slot: Slot, device: str, values: Mapping[str, Reading], moment: Moment, outcome: Outcome) -> None:
        now = moment.monotonic
        layout = slot.layout
        ask = False
        if layout.lock is not None and layout.lock[0] == device and layout.lock[1] in values:
            ask |= slot.on_door(_door(values[layout.lock[1]]), now)
        if layout.presence is not None and layout.presence[0] == device:
            inside = _good(values.get(layout.presence[1]))
            if isinstance(inside, bool):
                changes, moved = slot.on_presence(now, inside=inside)
                ask |= moved
                self._report(slot, changes, moment, outcome)
        if layout.battery == device:
            own = layout.own(values)
            if layout.prefix:
                slot.fittings = {point: own[point] for point in SLOT_POINTS if point in own}
            if _good(own.get("present")) is False:
                self._report(slot, slot.on_silence(now), moment, outcome)
            elif layout.prefix and _good(own.get("present")) is None:
                slot.on_doubt(own)
            elif _answered(own.values()):
                self._report(slot, slot.on_answer(list(own.values()), now), moment, outcome)
        again = layout.battery == device and slot.wanted
        if layout.battery is not None and (ask or again):
            # The lock board is asked first: its answer is the witness that the silence was the battery's own.
            witness = (layout.lock[0],) if again and layout.lock is not None else ()
            outcome.poll_now = tuple(dict.fromkeys((*outcome.poll_now, *witness, layout.battery)))

    def _witness(self, device: str, moment: Moment, outcome: Outcome) -> None:
        """An answer proves the wire for every silence before it."""
        wires = self._layout.wires
        batteries = {slot.layout.battery for slot in self._slots.values()}
        for slot in self._slots.values():
            battery = slot.layout.battery
            if battery is not None and battery != device and wires.get(battery) == wires.get(device):
                changes = slot.on_witness(battery=device in batteries, now=moment.monotonic)
                self._report(slot, changes, moment, outcome)

    def _report(self, slot: Slot, changes: list[Change], moment: Moment, outcome: Outcome) -> None:
        index = slot.layout.index
        for change in changes:
            outcome.events.append((self._layout.slot_device(index), _event(index, change)))
            if change.kind == "out" and change.observed and slot.layout.battery is not None and not slot.layout.prefix:
                # What was wrong with a battery left with it; its driver cannot say so, having nobody to ask.
                outcome.alarms += [(slot.layout.battery, Alarm(code, active=False)) for code in _BATTERY_ALARMS]
            if change.offered:
                swap = self._swaps.add(index, change, moment.boot_id, moment.monotonic)
                if swap is not None:
                    outcome.events.append((self.name, _swap_event(swap)))

    def _show(self, touched: set[int], outcome: Outcome) -> None:
        """Give the slots that may look different now, and the cabinet as a whole."""
        changed = {index for index in self._slots if self._layout.slot_device(index) in dict(outcome.events)}
        for index, slot in self._slots.items():
            device = self._layout.slot_device(index)
            if index in touched | changed:
                outcome.readings[device] = slot_readings(slot, self._layout.full_soc)
            for code, active in (("slot_unreadable", slot.unreadable), ("sn_mismatch", slot.mismatch)):
                if slot.settled and self._told.get((index, code)) != active:
                    self._told[index, code] = active
                    detail: dict[str, Json] = {"slot": index}
                    outcome.alarms.append((device, Alarm(code, active, detail)))
        outcome.readings[self.name] = self._fittings + cabinet_readings(
            list(self._slots.values()), self._layout.full_soc, swapping=self._swaps.waiting
        )


def _devices(slots: tuple[SlotLayout, ...]) -> frozenset[str]:
    points = {point[0] for slot in slots for point in (slot.lock, slot.presence) if point is not None}
    return frozenset(points | {slot.battery for slot in slots if slot.battery is not None})


def _good(reading: Reading | None) -> object:
    return reading.value if reading is not None and reading.quality is Quality.GOOD else None


def _answered(readings: Iterable[Reading]) -> bool:
    """Return whether the device itself said anything: neither old values nor the Worker's "not present"."""
    return any(
        _good(reading) is not None and (reading.point, reading.value) != ("present", False) for reading in readings
    )


def _door(reading: Reading) -> Door:
    value = _good(reading)
    return "open" if value == "open" else "closed" if value == "closed" else "unknown"


def _event(index: int, change: Change) -> Event:
    data: dict[str, Json] = {"slot": index, "observed": change.observed}
    if change.sn is not None:
        data["sn"] = change.sn
    if change.soc_pct is not None:
        data["soc_pct"] = change.soc_pct
    return Event("battery_in" if change.kind == "in" else "battery_out", data)


def _swap_event(swap: Swap) -> Event:
    data: dict[str, Json] = {"slots": [swap.brought.slot, swap.taken.slot], "observed": swap.observed}
    if swap.brought.sn is not None:
        data["returned_sn"] = swap.brought.sn
    if swap.taken.sn is not None:
        data["taken_sn"] = swap.taken.sn
    return Event("swap", data)
