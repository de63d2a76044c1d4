"""The battery-swap cabinet: one picture assembled from lock boards, batteries and contacts. Pure: no thread, no clock.

Readings of the devices named in the layout go in; out come the readings of virtual devices, `NAME` for the cabinet and
`NAME-01` … for its slots, and the events `battery_in`, `battery_out` and `swap`. The picture of the batteries and any
half-done swap are given out for storing whenever they changed, and belong in the transaction of those events: after a
restart a difference by serial number becomes an event with `"observed": false`. Only what was never known before takes
what it finds as its baseline, without events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.cabinet.layout import CabinetLayout, Door, SlotLayout
from edge_agent.cabinet.safety import Safety
from edge_agent.cabinet.slot import Slot
from edge_agent.cabinet.swaps import Change, Swap, Swaps
from edge_agent.cabinet.view import CABINET_POINTS, SLOT_POINTS, cabinet_readings, slot_readings
from edge_agent.records import Alarm, Event, Json, Quality, Reading

_BATTERY_TEMPERATURE = "temps_c"
_TEMPERATURES = (_BATTERY_TEMPERATURE, "slot_temp_c")
"""Points by which heat is seen: cells and air. A charger switched on warms transistors faster than any fire does."""
_BATTERY_ALARMS = ("battery_over_temp", "battery_protection")


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
        self._safety = {slot.index: Safety(layout.limits, _lock(stored, slot.index)) for slot in layout.slots}
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

    def ordered(self, device: str, order: Mapping[str, Json], moment: Moment) -> None:
        """Take the event `commanded` of a device: whether a lock obeys is judged by the doors that follow."""
        for slot in self._layout.slots:
            if slot.is_opened_by(device, order):
                self._safety[slot.index].on_order(moment.monotonic)

    def stored(self) -> dict[str, Json]:
        """The picture a restart needs, as JSON."""
        return {
            "slots": {str(index): slot.stored() for index, slot in self._slots.items()},
            "halves": self._swaps.stored(),
            "locks": {str(index): safety.lock for index, safety in self._safety.items() if safety.lock},
        }

    def update(self, device: str, readings: Sequence[Reading], moment: Moment) -> Outcome:
        """Take what one device said: all of its points of one poll, or `present` false after a silence.

        Readings that are not good count as not said.
        """
        outcome = Outcome()
        before = self.stored()
        self._swaps.expire(moment.boot_id, moment.monotonic)
        values = {reading.point: reading for reading in readings}
        touched = {index for index, slot in self._slots.items() if device in slot.layout.devices}
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
            door = _door(values[layout.lock[1]])
            ask |= slot.on_door(door, now)
            self._safety[layout.index].on_door(door, now)
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
        self._look_for_danger(slot, device, values, now)
        again = layout.battery == device and slot.wanted
        if layout.battery is not None and (ask or again):
            # The lock board is asked first: its answer is the witness that the silence was the battery's own.
            witness = (layout.lock[0],) if again and layout.lock is not None else ()
            outcome.poll_now = tuple(dict.fromkeys((*outcome.poll_now, *witness, layout.battery)))

    def _look_for_danger(self, slot: Slot, device: str, values: Mapping[str, Reading], now: float) -> None:
        """Take heat and smoke of a slot: of its battery's board, of its controller, of a detector's contact."""
        layout, safety = slot.layout, self._safety[slot.layout.index]
        if layout.battery == device:
            own = layout.own(values)
            for sensor in _TEMPERATURES:
                if (celsius := _hottest(own.get(sensor))) is not None:
                    safety.on_temperature(sensor, celsius, now)
            if isinstance(smoke := _good(own.get("smoke")), bool) and layout.prefix:
                safety.on_smoke(device, smoke=smoke)
        if layout.smoke is not None and layout.smoke[0] == device:
            smoke = _good(values.get(layout.smoke[1]))
            if isinstance(smoke, bool):
                safety.on_smoke(device, smoke=smoke)

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
        if changes:
            self._safety[index].on_battery_gone(_BATTERY_TEMPERATURE)
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
            slot.dangerous = self._safety[index].dangerous
            if index in touched | changed:
                outcome.readings[device] = slot_readings(slot, self._layout.full_soc)
            for code, active in (("slot_unreadable", slot.unreadable), ("sn_mismatch", slot.mismatch)):
                if slot.settled and self._told.get((index, code)) != active:
                    self._told[index, code] = active
                    outcome.alarms.append((device, Alarm(code, active, {"slot": index})))
            for found in self._safety[index].findings():
                if self._told.get((index, found.code)) != found.active:
                    self._told[index, found.code] = found.active
                    outcome.alarms.append((device, Alarm(found.code, found.active, {"slot": index, **found.detail})))
        outcome.readings[self.name] = self._fittings + cabinet_readings(
            list(self._slots.values()), self._layout.full_soc, swapping=self._swaps.waiting
        )


def _devices(slots: tuple[SlotLayout, ...]) -> frozenset[str]:
    return frozenset().union(*(slot.devices for slot in slots))


def _lock(stored: Mapping[str, Json] | None, index: int) -> str:
    """Return what was wrong with a slot's lock when the picture was stored, "" if nothing was."""
    locks = (stored or {}).get("locks")
    wrong = locks.get(str(index)) if isinstance(locks, dict) else None
    return wrong if isinstance(wrong, str) else ""


def _hottest(reading: Reading | None) -> float | None:
    """Return the temperature told, the highest of several."""
    value = _good(reading)
    values = value if isinstance(value, tuple) else (value,)
    return max((float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)), default=None)


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
