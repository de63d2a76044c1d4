"""The register map of newer Daly boards (H, K, M and S series), which speak Modbus with a twist.

A board is asked as unit 80 + number (81 alone) and answers as unit 50 + number (51). Function 03; 0000–003F holds
cells, temperatures, voltage, current and charge, 0041–007E counters and switches. Source: syssi/esphome-daly-bms
`docs/protocol-register-map.md` (column p81) and `docs/pdus/ess-dl-bms-41_260321_0323.txt` (captured, one board). That
further boards on a pair count on from 81 is inferred. Over Bluetooth they answer as unit D2, with room for 32 cells
instead of 48: what follows those lies 10 lower (same source, column D2).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from drivers.bms.pack import Pack
from drivers.modbus.codec import Function, Request
from edge_agent.driver import DeviceError

ASK_BASE = 0x80
REPLY_BASE = 0x50
D2 = 0xD2
"""Unit of the Bluetooth variant."""
VALUES = (0x0000, 64)
"""First register and count of the first block."""
COUNTERS = (0x0041, 62)
_MAX_CELLS = 48
_MAX_TEMPS = 8
_CURRENT_ZERO = 30_000
_TEMP_ZERO = 40
_STATES: tuple[Literal["stationary", "charging", "discharging"], ...] = ("stationary", "charging", "discharging")


def request(address: int, block: tuple[int, int]) -> Request:
    """Return the question for a block of board `address` (1 …)."""
    return Request(ASK_BASE + address, Function.READ_HOLDING_REGISTERS, *block)


def decode_values(words: Sequence[int]) -> Pack:
    """Decode 0000–003F; the current keeps the sign it was sent with. Raises DeviceError if the counts cannot be."""
    cells, temps = words[0x3C], words[0x3D]
    if not 0 < cells <= _MAX_CELLS or temps > _MAX_TEMPS:
        raise DeviceError(f"{cells} cells and {temps} sensors do not fit", op="read 0000")
    return Pack(
        voltage_v=words[0x38] / 10,
        current_a=(words[0x39] - _CURRENT_ZERO) / 10,
        soc_pct=words[0x3A] / 10,
        cells_v=tuple(word / 1000 for word in words[:cells]),
        temps_c=tuple(float(word - _TEMP_ZERO) for word in words[0x30 : 0x30 + temps]),
        protections=None,
    )


def decode_d2(words: Sequence[int]) -> Pack:
    """Decode the Bluetooth variant from 0000 on; raises DeviceError if too short, or if the counts cannot be."""
    if len(words) <= 0x32:
        raise DeviceError(f"{len(words)} registers are too few", op="read 0000")
    return decode_values((*words[:0x20], *bytes(0x10), *words[0x20:0x2B], 0, words[0x31], words[0x32]))


def decode_counters(words: Sequence[int]) -> Mapping[str, object]:
    """Decode 0041–007E into fields of a Pack, and `mode`. Raises DeviceError if there is no such mode."""

    def at(register: int) -> int:
        return words[register - COUNTERS[0]]

    if at(0x48) >= len(_STATES):
        raise DeviceError(f"state {at(0x48)} does not exist", op="read 0041")
    return {
        "mode": _STATES[at(0x48)],
        "remaining_ah": at(0x4B) / 10,
        "cycles": at(0x4C),
        "charge_mos": bool(at(0x52)),
        "discharge_mos": bool(at(0x53)),
        "temp_mos_c": float(at(0x5A) - _TEMP_ZERO),
    }


def encode_values(pack: Pack) -> tuple[int, ...]:
    """Return 0000–003F as a board would send it."""
    words = [0] * VALUES[1]
    for index, cell in enumerate(pack.cells_v):
        words[index] = round(cell * 1000)
    for index, temp in enumerate(pack.temps_c):
        words[0x30 + index] = round(temp) + _TEMP_ZERO
    words[0x38] = round(pack.voltage_v * 10)
    words[0x39] = round((pack.current_a or 0.0) * 10) + _CURRENT_ZERO
    words[0x3A] = round((pack.soc_pct or 0.0) * 10)
    words[0x3C], words[0x3D] = len(pack.cells_v), len(pack.temps_c)
    return tuple(words)


def encode_counters(pack: Pack) -> tuple[int, ...]:
    """Return 0041–007E as a board would send it."""
    current = pack.current_a or 0.0
    fields = {
        0x48: 1 if current > 0 else 2 if current < 0 else 0,
        0x4B: round((pack.remaining_ah or 0.0) * 10),
        0x4C: pack.cycles or 0,
        0x52: int(bool(pack.charge_mos)),
        0x53: int(bool(pack.discharge_mos)),
        0x5A: round(pack.temp_mos_c or 0.0) + _TEMP_ZERO,
    }
    return tuple(fields.get(COUNTERS[0] + index, 0) for index in range(COUNTERS[1]))
