"""What batteries say in YD/T 1363 frames of their warnings, protections and switches: "alarms" (CID2 44).

Every dialect lists one byte for each cell and temperature (0 fine, 1 below, 2 above its limit, F0 other), then levels
for current and voltage, then bytes of single bits whose meaning differs. Sources: as in `map_ydt.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers.bms.map_ydt import Cursor, Dialect, Name
from edge_agent.driver import DeviceError

Bits = Mapping[int, tuple[str, ...]]
"""Byte number among the bytes of bits -> names of its bits, bit 0 first; "" = no protection."""

_VOLTAGE_PAIRS = ("", "cell_over_voltage", "", "cell_under_voltage", "", "pack_over_voltage", "", "pack_under_voltage")
_TEMPERATURE_PAIRS = (
    *("", "charge_over_temperature", "", "charge_under_temperature"),
    *("", "discharge_over_temperature", "", "discharge_under_temperature"),
)
_CURRENT_PAIRS = (
    *("", "charge_over_current", "", "discharge_over_current"),
    *("transient_over_current", "short_circuit", "transient_over_current_lockout", "short_circuit_lockout"),
)
_PROTECTIONS: Mapping[Name, Bits] = {
    "pylontech": {
        0: (
            *("pack_over_voltage", "cell_under_voltage", "charge_over_current", ""),
            *("discharge_over_current", "discharge_temperature", "charge_temperature", "pack_under_voltage"),
        ),
        3: tuple(f"cell_{number}_fault" for number in range(1, 9)),
        4: tuple(f"cell_{number}_fault" for number in range(9, 17)),
    },
    "pace": {
        0: (
            *("cell_over_voltage", "cell_under_voltage", "pack_over_voltage", "pack_under_voltage"),
            *("charge_over_current", "discharge_over_current", "short_circuit", "charger_over_voltage"),
        ),
        1: (
            *("charge_over_temperature", "discharge_over_temperature"),
            *("charge_under_temperature", "discharge_under_temperature", "mosfet_over_temperature"),
            *("ambient_over_temperature", "ambient_under_temperature", "full_charge"),
        ),
        2: ("", "", "", "", "reverse_polarity", "", "", ""),
        4: (
            *("charge_mosfet_fault", "discharge_mosfet_fault", "temperature_sensor_fault", "communication_fault"),
            *("cell_fault", "frontend_ic_error", "", "heater_fault"),
        ),
    },
    "eg4": {
        0: ("", "", "", "", "", "charge_mosfet_fault", "discharge_mosfet_fault", ""),
        1: _VOLTAGE_PAIRS,
        2: (
            *("", "ambient_over_temperature", "", "ambient_under_temperature"),
            *("mosfet_over_temperature", "fire", "", ""),
        ),
        3: _TEMPERATURE_PAIRS,
        4: _CURRENT_PAIRS,
    },
    "seplos": {
        0: (
            *("voltage_sensor_fault", "temperature_sensor_fault", "current_sensor_fault", "key_switch_fault"),
            *("cell_voltage_difference", "charge_mosfet_fault", "discharge_mosfet_fault", "current_limiting_fault"),
        ),
        1: _VOLTAGE_PAIRS,
        2: _TEMPERATURE_PAIRS,
        3: (
            *("", "ambient_over_temperature", "", "ambient_under_temperature"),
            *("mosfet_over_temperature", "", "", ""),
        ),
        4: _CURRENT_PAIRS,
        5: (
            *("charger_over_voltage", "", "", "soc_too_low"),
            *("low_voltage_charge_forbidden", "reverse_polarity", "output_connection_fault", ""),
        ),
        10: tuple(f"cell_{number}_disconnected" for number in range(1, 9)),
        11: tuple(f"cell_{number}_disconnected" for number in range(9, 17)),
        13: ("eeprom_fault", "clock_fault", "", "", "", "", "", ""),
    },
}
_SWITCHES: Mapping[Name, tuple[int, int, int]] = {
    "pylontech": (1, 1, 2),
    "pace": (2, 1, 2),
    "eg4": (6, 1, 0),
    "seplos": (6, 1, 0),
}
"""Byte of bits with the switches, the bit of the charge MOSFET in it, and that of the discharge MOSFET."""
_BIT_BYTES: Mapping[Name, int] = {"pylontech": 5, "pace": 9, "eg4": 13, "seplos": 14}
"""Bytes of bits that must be there."""
_MAX_LEVELS = 40


@dataclass(frozen=True, slots=True)
class Alarms:
    """What one battery says is wrong; levels as sent: 0 fine, 1 below, 2 above the limit, F0 other."""

    number: int
    cells: tuple[int, ...]
    temps: tuple[int, ...]
    levels: tuple[int, ...]
    """Of charge current, voltage, discharge current (Pylontech, PACE), or of current, voltage (EG4, Seplos)."""
    protections: tuple[str, ...]
    charge_mos: bool
    discharge_mos: bool
    bits: bytes


def decode_alarms(info: bytes, dialect: Dialect) -> Alarms:
    """Decode INFO of an answer to 44 of one battery; raises DeviceError if it is none."""
    cursor = Cursor(info)
    cursor.take()
    number = cursor.take()
    cells, sensors = _listed(cursor), _listed(cursor, hidden=2 if dialect.name == "eg4" else 0)
    counted = dialect.name in {"eg4", "seplos"}
    levels = tuple(cursor.take() for _ in range(2 if counted else 3))
    said = cursor.take() if counted else 0
    bits = cursor.rest()
    needed = _BIT_BYTES[dialect.name]
    if len(bits) < needed or (dialect.name == "pylontech" and len(bits) != needed):
        raise DeviceError(f"length: {len(bits)} bytes of bits, {needed} are needed", raw=info)
    if dialect.name == "seplos" and said > len(bits):
        raise DeviceError(f"length: {len(bits)} bytes of bits, {said} are said", raw=info)
    byte, charge, discharge = _SWITCHES[dialect.name]
    return Alarms(
        number=number,
        cells=cells,
        temps=sensors,
        levels=levels,
        protections=_protections(bits, _PROTECTIONS[dialect.name]),
        charge_mos=bool(bits[byte] >> charge & 1),
        discharge_mos=bool(bits[byte] >> discharge & 1),
        bits=bits,
    )


def encode_alarms(alarms: Alarms, dialect: Dialect) -> bytes:
    """Return INFO of an answer to 44 as one battery would send it; the bits are made of the names."""
    size = {"seplos": 20}.get(dialect.name, _BIT_BYTES[dialect.name])
    bits = bytearray(size)
    for byte, names in _PROTECTIONS[dialect.name].items():
        for bit, name in enumerate(names):
            bits[byte] |= (bool(name) and name in alarms.protections) << bit
    byte, charge, discharge = _SWITCHES[dialect.name]
    bits[byte] |= alarms.charge_mos << charge | alarms.discharge_mos << discharge
    counted = dialect.name in {"eg4", "seplos"}
    shown = len(alarms.temps) - 2 if dialect.name == "eg4" else len(alarms.temps)
    head = bytes((0, alarms.number, len(alarms.cells), *alarms.cells, shown, *alarms.temps))
    said = {"seplos": size, "eg4": 9}.get(dialect.name, 0)
    return head + bytes(alarms.levels[: 2 if counted else 3]) + (bytes((said,)) if counted else b"") + bytes(bits)


def known_protections(dialect: Dialect) -> frozenset[str]:
    """Return the names this dialect can tell."""
    return frozenset(name for names in _PROTECTIONS[dialect.name].values() for name in names if name)


def _listed(cursor: Cursor, hidden: int = 0) -> tuple[int, ...]:
    """Read a count and so many levels. An EG4 counts four of its six temperatures."""
    count = cursor.take()
    if hidden and count == 4:
        count += hidden
    if count > _MAX_LEVELS:
        raise DeviceError(f"{count} levels do not fit")
    levels = tuple(cursor.take() for _ in range(count))
    if any(2 < level < 0x80 for level in levels):
        raise DeviceError("there is no such level")
    return levels


def _protections(bits: Sequence[int], names: Bits) -> tuple[str, ...]:
    return tuple(
        name for byte, eight in names.items() for bit, name in enumerate(eight) if name and bits[byte] >> bit & 1
    )
