"""What any battery-management board says, in one shape, and which of it can be true."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edge_agent.driver import Quality, Reading, Value

_CELL_V = (0.5, 5.0)
"""Volts a lithium cell can show to a board that still runs; 0 is a sense wire that is not connected."""
_TEMP_C = (-40.0, 120.0)
"""Range of the NTC tables; beyond it the sensor is open or shorted."""
_PACK_V_TOLERANCE = (0.03, 0.5)
"""The sum of the cells and the pack voltage differ by at most 3 % + 0.5 V (wiring, sampling at different times)."""
_NOT_PROTECTIONS = frozenset({"full_charge", "mosfet_software_lock"})
"""Bits beside the protections that are no fault: charging has ended; an operator switched the MOSFETs off."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One battery: volts, amperes (+ = charging), percent, ampere hours, °C; None = the board does not say."""

    voltage_v: float
    current_a: float | None
    soc_pct: float | None
    remaining_ah: float | None = None
    full_ah: float | None = None
    cycles: int | None = None
    charge_mos: bool | None = None
    discharge_mos: bool | None = None
    protections: tuple[str, ...] | None = ()
    """Names of the protections that act; None if this board has no way to say."""
    cells_v: tuple[float, ...] = ()
    temps_c: tuple[float, ...] = ()
    temp_mos_c: float | None = None
    soh_pct: float | None = None
    production_date: str | None = None
    label: str | None = None
    """Text the pack's maker wrote into the board; equal on many batteries of one make."""
    mode: Literal["stationary", "charging", "discharging"] | None = None
    """What the board says it does; on some makes the only way to know the current's direction."""
    dialect: str | None = None
    """Which dialect its answer was read in, if that was found out and not configured."""
    why_current: str = ""
    """Why the current cannot be told, if it was measured and cannot be."""

    def active_protections(self) -> tuple[str, ...]:
        """Names of the protections that act now."""
        return tuple(name for name in self.protections or () if name not in _NOT_PROTECTIONS)

    def hottest_c(self) -> float | None:
        """Highest temperature among the sensors that can be believed, °C."""
        temps = [*self.temps_c, *([] if self.temp_mos_c is None else [self.temp_mos_c])]
        return max((temp for temp in temps if _within(temp, _TEMP_C)), default=None)

    def traits(self) -> tuple[object, ...]:
        """What stays the same from one poll to the next as long as it is the same battery."""
        return (self.full_ah, self.cycles, len(self.cells_v), len(self.temps_c), self.production_date, self.label)

    def readings(self) -> Iterator[Reading]:
        """Yield the normalised points; what cannot be true is given as bad, without a value."""
        why_volts = self._why_volts()
        yield _reading("voltage_v", self.voltage_v, 0.1, why_volts)
        yield _reading("cells_v", self.cells_v or None, 0.02, why_volts)
        yield _reading("current_a", self.current_a, 0.5, self.why_current)
        yield from _told("soc_pct", self.soc_pct, 1.0, (0.0, 100.0))
        yield from _told("remaining_ah", self.remaining_ah, 0.5)
        yield from _told("full_ah", self.full_ah, 0.5)
        yield from _told("cycles", self.cycles)
        why_temps = next((why for temp in self.temps_c if (why := _why("sensor", temp, _TEMP_C))), "")
        yield _reading("temps_c", self.temps_c or None, 1.0, why_temps)
        yield from _told("temp_mos_c", self.temp_mos_c, 1.0, _TEMP_C)
        yield from _told("soh_pct", self.soh_pct, 1.0, (0.0, 100.0))
        yield from _told("charge_mos", self.charge_mos)
        yield from _told("discharge_mos", self.discharge_mos)
        if self.protections is not None:
            yield Reading("protections", self.active_protections(), prompt=True)
        yield from _told("dialect", self.dialect)
        yield _reading("production_date", self.production_date)

    def _why_volts(self) -> str:
        for number, cell in enumerate(self.cells_v, start=1):
            if why := _why(f"cell {number}", cell, _CELL_V):
                return why
        total = sum(self.cells_v)
        share, extra = _PACK_V_TOLERANCE
        if self.cells_v and abs(total - self.voltage_v) > self.voltage_v * share + extra:
            return f"cells add up to {total:.2f} V, pack says {self.voltage_v:.2f} V"
        return ""


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _why(what: str, value: float, limits: tuple[float, float]) -> str:
    return "" if _within(value, limits) else f"{what} {value:g} is outside {limits[0]:g} to {limits[1]:g}"


def _told(
    point: str, value: float | str | None, change: float = 0.0, limits: tuple[float, float] | None = None
) -> Iterator[Reading]:
    """Yield a point that only some boards have, if this one has it."""
    if value is not None:
        why = _why(point, float(value), limits) if limits else ""
        yield _reading(point, value, change, why)


def _reading(point: str, value: Value | None, change: float = 0.0, why: str = "") -> Reading:
    if why:
        return Reading(point, None, change, quality=Quality.BAD, why=why)
    return Reading(point, value, change)
