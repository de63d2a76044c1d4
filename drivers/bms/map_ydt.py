"""What batteries say in YD/T 1363 frames: four dialects of the "analogue values" (CID2 42).

Same frame, same command, three scales: which dialect a battery speaks must be configured, or found out by which reading
of its answer makes sense. Every dialect lists cells (mV) and temperatures (0.1 K) first; what follows differs.
Sources: "RS485-protocol-pylon-low-voltage-V3.3" by way of Frankkkkk/python-pylontech; nkinnan/esphome-pace-bms
`pace_bms_protocol_v20` and `_v25`; syssi/esphome-seplos-bms "SEPLOS BMS Communication Protocol V2.0" and
`tests/components/seplos_bms/frames.h`; frames in `vectors/bms_pylontech.jsonl`, `vectors/bms_pace_seplos.jsonl`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from edge_agent.driver import DeviceError

ANALOGUE = 0x42
ALARMS = 0x44
KELVIN_ZERO = 2731
"""0 °C in tenths of a kelvin."""
_MAX_CELLS = 32
_MAX_TEMPS = 16
_MAX_MODULES = 16
_ABSENT = 0xFFFF
_CELL_V = (1.5, 4.6)
"""Volts a cell has on average; outside of it the answer was read in the wrong dialect."""

Name = Literal["pylontech", "pace", "eg4", "seplos"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of batteries fills the frames.

    `current_a`, `voltage_v` and `capacity_ah` are what one count stands for; `numbered` says that a question carries
    the pack's number as INFO; `serial` is the CID2 that asks for the serial number, 0 = there is none.
    """

    name: Name
    ver: int
    cid1: int
    current_a: float
    voltage_v: float
    capacity_ah: float
    numbered: bool = True
    serial: int = 0
    temp_mos: int = -1
    """Which of six temperatures is the MOSFETs'; -1 = none."""


DIALECTS: Mapping[Name, Dialect] = MappingProxyType(
    {
        "pylontech": Dialect("pylontech", 0x20, 0x46, 0.1, 0.001, 0.001, serial=0x93),
        "pace": Dialect("pace", 0x25, 0x46, 0.01, 0.001, 0.01, serial=0xC2, temp_mos=4),
        "eg4": Dialect("eg4", 0x20, 0x4A, 0.01, 0.01, 0.01, numbered=False, temp_mos=5),
        "seplos": Dialect("seplos", 0x20, 0x46, 0.01, 0.01, 0.01, temp_mos=5),
    }
)


@dataclass(frozen=True, slots=True)
class Module:
    """One battery of an answer; V, A (+ = charging), Ah, %, temperatures in tenths of a kelvin. None = not said."""

    number: int
    cells_v: tuple[float, ...]
    temps_dk: tuple[int, ...]
    current_a: float
    voltage_v: float
    remaining_ah: float | None
    full_ah: float | None
    cycles: int | None = None
    design_ah: float | None = None
    soc_pct: float | None = None
    soh_pct: float | None = None

    def temps_c(self) -> tuple[float, ...]:
        """Return the temperatures in °C."""
        return tuple(round((raw - KELVIN_ZERO) / 10, 1) for raw in self.temps_dk)

    def is_plausible(self) -> bool:
        """Return whether voltage and cells fit together."""
        if not self.cells_v:
            return False
        low, high = _CELL_V
        total = sum(self.cells_v)
        fits = abs(total - self.voltage_v) <= self.voltage_v * 0.03 + 0.5
        return fits and low <= self.voltage_v / len(self.cells_v) <= high


class Cursor:
    """Takes numbers off INFO, high byte first; DeviceError when it is too short."""

    def __init__(self, info: bytes) -> None:
        self._info = info
        self._at = 0

    def left(self) -> int:
        """Return how many bytes are left."""
        return len(self._info) - self._at

    def take(self, size: int = 1, *, signed: bool = False) -> int:
        """Return the next number of `size` bytes."""
        if self.left() < size:
            raise DeviceError(f"length: {len(self._info)} bytes of INFO are too few", raw=self._info)
        self._at += size
        return int.from_bytes(self._info[self._at - size : self._at], "big", signed=signed)

    def word(self) -> int:
        """Return the next two bytes."""
        return self.take(2)

    def rest(self) -> bytes:
        """Return what is left, and take it."""
        rest = self._info[self._at :]
        self._at = len(self._info)
        return rest


def decode_modules(info: bytes, dialect: Dialect) -> tuple[Module, ...]:
    """Decode INFO of an answer to 42: one module, or all those behind a master. Raises DeviceError if it is none."""
    cursor = Cursor(info)
    cursor.take()
    number = cursor.take()
    modules = [_module(cursor, dialect, number)]
    if cursor.left() and dialect.name in {"pylontech", "pace"} and 1 < number <= _MAX_MODULES:
        # To a question for all packs the number is how many there are.
        modules = [replace(modules[0], number=1)]
        while cursor.left() and len(modules) < number:
            modules.append(_module(cursor, dialect, len(modules) + 1))
        if len(modules) != number:
            raise DeviceError(f"length: {len(modules)} modules of {number} fit", raw=info)
    if cursor.left() and dialect.name == "pylontech":
        raise DeviceError(f"length: {cursor.left()} bytes of INFO are left over", raw=info)
    return tuple(modules)


def encode_module(module: Module, dialect: Dialect) -> bytes:
    """Return INFO of an answer to 42 as one battery would send it."""

    def counts(value: float | None, unit: float) -> bytes:
        return (round((value or 0.0) / unit) & 0xFFFF).to_bytes(2, "big")

    cells = b"".join(counts(cell, 0.001) for cell in module.cells_v)
    temps = b"".join(raw.to_bytes(2, "big") for raw in module.temps_dk)
    flag = 0x10 if dialect.name == "eg4" else 0
    # Six sensors of an EG4 are said to be four: surroundings and MOSFETs are not counted.
    sensors = 4 if dialect.name == "eg4" and len(module.temps_dk) == 6 else len(module.temps_dk)
    head = bytes((flag, module.number, len(module.cells_v))) + cells + bytes((sensors,)) + temps
    head += counts(module.current_a, dialect.current_a) + counts(module.voltage_v, dialect.voltage_v)
    remaining, full = (counts(value, dialect.capacity_ah) for value in (module.remaining_ah, module.full_ah))
    cycles = (module.cycles or 0).to_bytes(2, "big")
    soc, soh = module.soc_pct or 0.0, module.soh_pct or 0.0
    match dialect.name:
        case "pylontech":
            long = b"".join(round((v or 0.0) * 1000).to_bytes(3, "big") for v in (module.remaining_ah, module.full_ah))
            return head + b"\xff\xff\x04\xff\xff" + cycles + long
        case "pace":
            return head + remaining + b"\x03" + full + cycles + counts(module.design_ah, dialect.capacity_ah)
        case "eg4":
            tail = counts(soc, 1) + counts(soh, 1) + bytes(38)
            return head + remaining + full + cycles + b"\x0f" + tail
        case "seplos":
            rated, port = counts(module.design_ah, dialect.capacity_ah), counts(module.voltage_v, dialect.voltage_v)
            tail = full + counts(soc, 0.1) + rated + cycles + counts(soh, 0.1) + port + bytes(8)
            return head + remaining + b"\x0a" + tail


def _module(cursor: Cursor, dialect: Dialect, number: int) -> Module:
    cells = cursor.take()
    if not 0 < cells <= _MAX_CELLS:
        raise DeviceError(f"{cells} cells do not fit")
    cells_v = tuple(cursor.word() / 1000 for _ in range(cells))
    sensors = cursor.take()
    if sensors > _MAX_TEMPS:
        raise DeviceError(f"{sensors} temperatures do not fit")
    if dialect.name == "eg4" and sensors == 4:
        sensors = 6
    temps_dk = tuple(cursor.word() for _ in range(sensors))
    current = round(cursor.take(2, signed=True) * dialect.current_a, 2)
    voltage = round(cursor.word() * dialect.voltage_v, 3)
    fields = {"pylontech": _pylontech, "pace": _pace, "eg4": _eg4, "seplos": _seplos}[dialect.name](cursor, dialect)
    return Module(number, cells_v, temps_dk, current, voltage, **fields)


Fields = dict[str, Any]


def _capacity(raw: int, dialect: Dialect) -> float | None:
    return None if raw == _ABSENT else round(raw * dialect.capacity_ah, 3)


def _pylontech(cursor: Cursor, dialect: Dialect) -> Fields:
    """Read the rest of a module: with more than two user-defined items the capacities follow in 24 bits."""
    remaining, items, full, cycles = cursor.word(), cursor.take(), cursor.word(), cursor.word()
    if items > 2:
        remaining_ah, full_ah = (round(cursor.take(3) * dialect.capacity_ah, 3) for _ in range(2))
        return {"remaining_ah": remaining_ah, "full_ah": full_ah, "cycles": cycles}
    return {"remaining_ah": _capacity(remaining, dialect), "full_ah": _capacity(full, dialect), "cycles": cycles}


def _pace(cursor: Cursor, dialect: Dialect) -> Fields:
    remaining, items = cursor.word(), cursor.take()
    words = [cursor.word() for _ in range(min(items, 3))] + [_ABSENT] * 3
    return {
        "remaining_ah": _capacity(remaining, dialect),
        "full_ah": _capacity(words[0], dialect),
        "cycles": None if words[1] == _ABSENT else words[1],
        "design_ah": _capacity(words[2], dialect),
    }


def _eg4(cursor: Cursor, dialect: Dialect) -> Fields:
    remaining, full, cycles, items = cursor.word(), cursor.word(), cursor.word(), cursor.take()
    fields: Fields = {
        "remaining_ah": _capacity(remaining, dialect), "full_ah": _capacity(full, dialect), "cycles": cycles
    }  # fmt: skip
    if items >= 2:
        fields |= {"soc_pct": float(cursor.word()), "soh_pct": float(cursor.word())}
    cursor.rest()
    return fields


def _seplos(cursor: Cursor, dialect: Dialect) -> Fields:
    """Read the rest: full, SOC, rated, cycles, SOH, port voltage; older boards stop earlier."""
    remaining, items = cursor.word(), cursor.take()
    words: list[int | None] = [cursor.word() if cursor.left() >= 2 else None for _ in range(min(items, 6))]
    full, soc, rated, cycles, soh, _ = [*words, *[None] * 6][:6]
    cursor.rest()
    return {
        "remaining_ah": _capacity(remaining, dialect),
        "full_ah": None if full is None else _capacity(full, dialect),
        "soc_pct": None if soc is None else soc / 10,
        "design_ah": None if rated is None else _capacity(rated, dialect),
        "cycles": cycles,
        "soh_pct": None if soh is None else soh / 10,
    }
