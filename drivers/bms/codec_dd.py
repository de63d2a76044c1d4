"""The classic JBD (嘉佰达) framing as bytes: one battery alone on its wire, no address.

Request `DD A5 reg 00 sum 77`, answer `DD reg status len data sum 77`; sum = 10000h minus the sum of (reg, len) or
(status, len, data), high byte first. Sources: FurTrader/OverkillSolarBMS `JBD_REGISTER_MAP.md`, syssi/esphome-jbd-bms
`components/jbd_bms`, frames in `vectors/bms_jbd.jsonl`.
"""

from dataclasses import dataclass
from datetime import date

from edge_agent.driver import DeviceError

BASIC = 0x03
CELLS = 0x04
NAME = 0x05
_START = 0xDD
_READ = 0xA5
_END = 0x77
_OK = 0x00
_REFUSED = 0x80
_FRAME = 7
"""Bytes of an answer without its data."""
_BASIC_BYTES = 23
_NTC_ZERO = 2731
"""0 °C in tenths of a kelvin as the board counts them."""

PROTECTIONS = (
    "cell_over_voltage",
    "cell_under_voltage",
    "pack_over_voltage",
    "pack_under_voltage",
    "charge_over_temperature",
    "charge_under_temperature",
    "discharge_over_temperature",
    "discharge_under_temperature",
    "charge_over_current",
    "discharge_over_current",
    "short_circuit",
    "frontend_ic_error",
    "mosfet_software_lock",
    "charge_timeout",
)
"""Names of the protection bits of register 03, bit 0 first."""


@dataclass(frozen=True, slots=True)
class Basic:
    """Register 03; volts, amperes (+ = charging), ampere hours, °C; bit 0 of `balance_bits` is cell 1."""

    voltage_v: float
    current_a: float
    remaining_ah: float
    nominal_ah: float
    cycles: int
    production_date: str | None
    protection_bits: int
    balance_bits: int
    software_version: str
    soc_pct: int
    charge_mos: bool
    discharge_mos: bool
    cell_count: int
    temps_c: tuple[float, ...]


def checksum(body: bytes) -> bytes:
    """Return 10000h minus the byte sum, high byte first."""
    return (-sum(body) & 0xFFFF).to_bytes(2, "big")


def request(register: int) -> bytes:
    """Return the question for a register."""
    return bytes((_START, _READ)) + _sealed(bytes((register, 0)))


def reply(register: int, data: bytes, status: int = _OK) -> bytes:
    """Return the board's answer."""
    return bytes((_START, register)) + _sealed(bytes((status, len(data))) + data)


def find_reply(received: bytes, register: int) -> bytes | None:
    """Return the first whole, checked answer to `register` in `received`, or None.

    The check does not cover the register byte, so that one must be right by itself.
    """
    head = bytes((_START, register))
    start = received.find(head)
    while start >= 0:
        frame = received[start:]
        if len(frame) >= _FRAME and len(frame) >= (size := _FRAME + frame[3]):
            frame = frame[:size]
            fits = frame[-1] == _END and frame[-3:-1] == checksum(frame[2:-3])
            if fits and frame[2] in {_OK, _REFUSED}:
                return frame
        start = received.find(head, start + 1)
    return None


def data_of(frame: bytes) -> bytes:
    """Return the data of a checked answer; raises DeviceError if the board refused."""
    if frame[2] != _OK:
        raise DeviceError("the board refused", op=f"read register {frame[1]:02X}", raw=frame)
    return frame[4:-3]


def decode_basic(data: bytes) -> Basic:
    """Decode register 03; bytes behind the temperatures are a newer firmware's and are ignored."""
    if len(data) < _BASIC_BYTES or len(data) < _BASIC_BYTES + 2 * data[22]:
        raise DeviceError(f"{len(data)} bytes are too few", op="read register 03", raw=data)
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, 18, 2)]
    temps = (int.from_bytes(data[at : at + 2], "big") for at in range(23, 23 + 2 * data[22], 2))
    return Basic(
        voltage_v=words[0] / 100,
        current_a=int.from_bytes(data[2:4], "big", signed=True) / 100,
        remaining_ah=words[2] / 100,
        nominal_ah=words[3] / 100,
        cycles=words[4],
        production_date=_date(words[5]),
        protection_bits=words[8],
        balance_bits=words[7] << 16 | words[6],
        software_version=f"{data[18] >> 4}.{data[18] & 0x0F}",
        soc_pct=data[19],
        charge_mos=bool(data[20] & 1),
        discharge_mos=bool(data[20] & 2),
        cell_count=data[21],
        temps_c=tuple(round((raw - _NTC_ZERO) / 10, 1) for raw in temps),
    )


def encode_basic(basic: Basic) -> bytes:
    """Return register 03 as the board would send it."""
    day = date.fromisoformat(basic.production_date) if basic.production_date else None
    packed = ((day.year - 2000) << 9 | day.month << 5 | day.day) if day else 0
    head = (basic.voltage_v, basic.current_a, basic.remaining_ah, basic.nominal_ah)
    balance = (basic.balance_bits & 0xFFFF, basic.balance_bits >> 16)
    words = [*(round(value * 100) for value in head), basic.cycles, packed, *balance, basic.protection_bits]
    major, minor = basic.software_version.split(".")
    mos = int(basic.charge_mos) | int(basic.discharge_mos) << 1
    tail = (int(major) << 4 | int(minor), basic.soc_pct, mos, basic.cell_count, len(basic.temps_c))
    temps = b"".join((round(temp * 10) + _NTC_ZERO).to_bytes(2, "big") for temp in basic.temps_c)
    return b"".join((word & 0xFFFF).to_bytes(2, "big") for word in words) + bytes(tail) + temps


def decode_cells(data: bytes) -> tuple[float, ...]:
    """Decode register 04: volts of each cell."""
    if not data or len(data) % 2:
        raise DeviceError(f"{len(data)} bytes are no list of cells", op="read register 04", raw=data)
    return tuple(int.from_bytes(data[at : at + 2], "big") / 1000 for at in range(0, len(data), 2))


def encode_cells(cells_v: tuple[float, ...]) -> bytes:
    """Return register 04 as the board would send it."""
    return b"".join(round(cell * 1000).to_bytes(2, "big") for cell in cells_v)


def protections(bits: int) -> tuple[str, ...]:
    """Return the names of the set protection bits; one without a known name is `bit_N`."""
    return tuple(PROTECTIONS[bit] if bit < len(PROTECTIONS) else f"bit_{bit}" for bit in range(16) if bits >> bit & 1)


def _sealed(body: bytes) -> bytes:
    return body + checksum(body) + bytes((_END,))


def _date(packed: int) -> str | None:
    """Return the ISO date of `year − 2000 << 9 | month << 5 | day`, None if there is no such day."""
    try:
        return date(2000 + (packed >> 9), packed >> 5 & 0x0F, packed & 0x1F).isoformat()
    except ValueError:
        return None
