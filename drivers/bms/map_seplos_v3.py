"""The register map of Seplos boards of the third generation, which speak Modbus at 19200 8N1.

Function 04: 1000 the pack, 1100 cells and temperatures, 1715 and 1724 two texts of 30 characters; function 01: coils
1200 …, a byte for each group of events. Temperatures are in 0.1 K; one that is not fitted reads 2731. A master answers
for the whole bank as unit 0. Sources: "XZH BMS Modbus-RTU Protocol V0.3" in syssi/esphome-seplos-bms, its
`docs/pdus/v3/SP05B2312190075-*.txt` (captured), frames in `vectors/bms_pace_seplos.jsonl`.
"""

from collections.abc import Mapping, Sequence

from drivers.bms.pack import Pack
from drivers.modbus.codec import Function, Request

PACK = (0x1000, 18)
"""First register and count."""
CELLS = (0x1100, 26)
BOARD_TEXT = (0x1715, 15)
PACK_TEXT = (0x1724, 15)
EVENTS = (0x1200, 144)
"""First coil and count."""
SENSORS = 8
_NOT_FITTED = 2731
_BITS: Mapping[int, tuple[str, ...]] = {
    9: (
        *("", "cell_over_voltage", "", "cell_under_voltage"),
        *("", "pack_over_voltage", "", "pack_under_voltage"),
    ),
    10: (
        *("", "charge_over_temperature", "", "charge_under_temperature"),
        *("", "discharge_over_temperature", "", "discharge_under_temperature"),
    ),
    11: (
        *("", "ambient_over_temperature", "", "ambient_under_temperature"),
        *("", "mosfet_over_temperature", "", ""),
    ),
    12: (
        *("", "charge_over_current", "charge_over_current_2", ""),
        *("discharge_over_current", "discharge_over_current_2", "short_circuit", ""),
    ),
    13: ("short_circuit_lockout", "reverse_polarity", "charge_lockout", "discharge_lockout", "", "", "", ""),
    14: ("", "", "", "soc_too_low", "", "", "", ""),
    17: (
        *("temperature_sensor_fault", "frontend_ic_error", "charge_mosfet_fault", "discharge_mosfet_fault"),
        *("cell_fault", "cell_offline", "button_fault", "aerosol"),
    ),
}
"""Number of the byte among the coils -> names of its bits, bit 0 first; "" = no protection."""
_SWITCHES = 15
_DISCHARGE = 0
_CHARGE = 1


def read(unit: int, block: tuple[int, int]) -> Request:
    """Return the question for a block of registers."""
    return Request(unit, Function.READ_INPUT_REGISTERS, *block)


def read_events(unit: int) -> Request:
    """Return the question for the events."""
    return Request(unit, Function.READ_COILS, *EVENTS)


def decode_pack(words: Sequence[int], *, current_unit: float = 0.01) -> Mapping[str, object]:
    """Decode 1000 … into fields of a Pack; `current_unit` is 0.1 A on boards for 300 A and more."""
    return {
        "voltage_v": words[0] / 100,
        "current_a": round(signed(words[1]) * current_unit, 2),
        "remaining_ah": words[2] / 100,
        "full_ah": words[3] / 100,
        "soc_pct": words[5] / 10,
        "soh_pct": words[6] / 10,
        "cycles": words[7],
    }


def decode_cells(words: Sequence[int]) -> Mapping[str, object]:
    """Decode 1100 … into fields of a Pack; cells of 0 V and temperatures of exactly 0.0 °C are not fitted."""
    return {
        "cells_v": tuple(word / 1000 for word in words[:16] if word),
        "temps_c": tuple(celsius(word) for word in words[16:25] if word != _NOT_FITTED),
        "temp_mos_c": None if words[25] == _NOT_FITTED else celsius(words[25]),
    }


def decode_events(coils: Sequence[int]) -> Mapping[str, object]:
    """Decode coils 1200 … into fields of a Pack."""
    return {
        "protections": tuple(
            name for byte, names in _BITS.items() for bit, name in enumerate(names) if name and coils[8 * byte + bit]
        ),
        "discharge_mos": bool(coils[8 * _SWITCHES + _DISCHARGE]),
        "charge_mos": bool(coils[8 * _SWITCHES + _CHARGE]),
    }


def encode_pack(pack: Pack) -> tuple[int, ...]:
    """Return 1000 … as a board would send it."""
    head = (pack.voltage_v, pack.current_a, pack.remaining_ah, pack.full_ah)
    words = [round((value or 0.0) * 100) & 0xFFFF for value in head]
    words += [0, round((pack.soc_pct or 0.0) * 10), round((pack.soh_pct or 0) * 10), pack.cycles or 0]
    return tuple(words + [0] * (PACK[1] - len(words)))


def encode_cells(pack: Pack) -> tuple[int, ...]:
    """Return 1100 … as a board would send it: at most 16 cells, at most 8 temperatures."""
    cells = [round(cell * 1000) for cell in pack.cells_v[:16]]
    temps = [_raw(temp) for temp in pack.temps_c[:SENSORS]]
    mos = _NOT_FITTED if pack.temp_mos_c is None else _raw(pack.temp_mos_c)
    return (
        *cells, *[0] * (16 - len(cells)), *temps, *[_NOT_FITTED] * (SENSORS + 1 - len(temps)), mos
    )  # fmt: skip


def encode_events(pack: Pack) -> tuple[int, ...]:
    """Return coils 1200 … as a board would send them."""
    coils = [0] * EVENTS[1]
    for byte, names in _BITS.items():
        for bit, name in enumerate(names):
            coils[8 * byte + bit] = int(bool(name) and name in (pack.protections or ()))
    coils[8 * _SWITCHES + _DISCHARGE] = int(bool(pack.discharge_mos))
    coils[8 * _SWITCHES + _CHARGE] = int(bool(pack.charge_mos))
    return tuple(coils)


def text(words: Sequence[int]) -> str:
    """Return a text register up to its first zero byte, "" if it is not printable ASCII."""
    found = b"".join(word.to_bytes(2, "big") for word in words).split(b"\x00", 1)[0].decode("latin-1").strip()
    return found if found.isascii() and found.isprintable() else ""


def text_words(value: str, block: tuple[int, int]) -> tuple[int, ...]:
    """Return a text as registers."""
    data = value.encode("ascii")[: 2 * block[1]].ljust(2 * block[1], b"\x00")
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


def celsius(raw: int) -> float:
    """Return °C of tenths of a kelvin."""
    return round((raw - 2731) / 10, 1)


def signed(word: int) -> int:
    """Return a register as a signed number."""
    return word - 0x10000 if word & 0x8000 else word


def _raw(temp: float) -> int:
    return round(temp * 10) + 2731
