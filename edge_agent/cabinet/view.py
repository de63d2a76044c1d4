"""What a cabinet and its slots look like from outside: the points of the normalised model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from edge_agent.cabinet.slot import Slot
from edge_agent.records import Quality, Reading

SlotState = Literal["unknown", "empty", "charging", "full", "idle", "fault"]
BATTERY_POINTS = (
    "sn",
    "voltage_v",
    "current_a",
    "soc_pct",
    "soh_pct",
    "cycles",
    "remaining_ah",
    "full_ah",
    "cells_v",
    "temps_c",
    "temp_mos_c",
    "charge_mos",
    "discharge_mos",
    "protections",
    "production_date",
)
"""Points of a battery that its slot shows; absent when it is gone."""
SLOT_POINTS = (
    "enabled",
    "disabled_reason",
    "charger_state",
    "charger_fault",
    "charge_v",
    "charge_a",
    "slot_temp_c",
    "smoke",
    "fan_on",
    "heater_on",
    "light_on",
)
"""Points of a slot itself that a cabinet's controller may tell."""
CABINET_POINTS = (
    "mains_ok",
    "voltage_v",
    "current_a",
    "power_w",
    "energy_kwh",
    "temp_c",
    "humidity_pct",
    "signal_dbm",
    "smoke",
    "flooded",
    "back_door",
    "fan_on",
    "heater_on",
    "extinguisher",
)
"""Points of the whole cabinet that its controller may tell."""
_CHARGING_A = 0.2
"""A current above this charges: the boards show up to a tenth of an ampere around zero."""


def slot_state(slot: Slot, full_soc: float) -> SlotState:
    """Return the state of a slot; a fault hides everything else."""
    if slot.unreadable or slot.mismatch or slot.dangerous or _warned(slot):
        return "fault"
    charger = slot.fittings.get("charger_state")
    if charger is not None and charger.value == "fault":
        return "fault"
    if slot.occupied is None:
        return "unknown"
    if not slot.occupied:
        return "empty"
    if slot.soc_pct is not None and slot.soc_pct >= full_soc:
        return "full"
    if slot.soc_pct is None and charger is not None and charger.value in {"full", "charging"}:
        # A controller that shows states and no figures.
        return "full" if charger.value == "full" else "charging"
    return "charging" if _number(slot, "current_a") > _CHARGING_A else "idle"


def slot_readings(slot: Slot, full_soc: float) -> list[Reading]:
    """Return all points of a slot; a battery that does not answer at the moment keeps its last values as stale."""
    present = {True: "yes", False: "no", None: "unknown"}[slot.occupied]
    readings = [
        Reading("door", slot.door, prompt=True),
        Reading("state", slot_state(slot, full_soc), prompt=True),
        Reading("battery_present", present, prompt=True),
    ]
    for point in BATTERY_POINTS:
        reading = slot.readings.get(point, Reading(point, None))
        if slot.stale and reading.value is not None:
            reading = replace(reading, quality=Quality.STALE, why="the battery does not answer")
        readings.append(reading)
    return readings + list(slot.fittings.values())


def cabinet_readings(slots: Sequence[Slot], full_soc: float, *, swapping: bool) -> list[Reading]:
    """Return the points of the whole cabinet."""
    states = [slot_state(slot, full_soc) for slot in slots]
    available = sum(
        state == "full" and (slot.layout.lock is None or slot.door == "closed")
        for slot, state in zip(slots, states, strict=True)
    )
    return [
        Reading("state", _cabinet_state(slots, states, swapping=swapping), prompt=True),
        Reading("slots_total", len(slots)),
        Reading("slots_full", states.count("full")),
        Reading("slots_empty", states.count("empty")),
        Reading("slots_fault", states.count("fault")),
        Reading("slots_unknown", states.count("unknown")),
        Reading("batteries_available", available, prompt=True),
    ]


def _cabinet_state(slots: Sequence[Slot], states: Sequence[SlotState], *, swapping: bool) -> str:
    if swapping or any(slot.door == "open" for slot in slots):
        return "swapping"
    if all(state == "fault" for state in states):
        return "fault"
    return "unknown" if all(state == "unknown" for state in states) else "idle"


def _warned(slot: Slot) -> bool:
    """Return whether the battery itself calls for attention."""
    hot, protections = slot.readings.get("over_temp"), slot.readings.get("protections")
    return (hot is not None and hot.value is True) or (protections is not None and bool(protections.value))


def _number(slot: Slot, point: str) -> float:
    reading = slot.readings.get(point)
    value = reading.value if reading is not None and reading.quality is Quality.GOOD else None
    return value if isinstance(value, int | float) else 0.0
