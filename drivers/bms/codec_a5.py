"""The classic Daly (达锂) framing as bytes: one battery alone on its wire.

Both ways thirteen bytes: `A5 address command 08 data×8 sum`, sum = low byte of the sum of all bytes before it. In a
question the high half of the address is the asker (4 = RS-485 and USB, 8 = UART and Bluetooth) and the data are zeros;
an answer has address 01. Cells (95) come three in a frame, temperatures (96) seven, the frame's number first, filler
behind the last one; how many there are says 94. Some boards put stray zero bytes before a frame. Sources: "Daly
RS485+UART Protocol" by way of dreadnought/python-daly-bms (PyPI dalybms 0.5.0), fl4p/batmon-ha `daly_uart_fixtures.py`,
frames in `vectors/bms_daly.jsonl`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_agent.driver import DeviceError

START = 0xA5
SIZE = 13
SUMMARY = 0x90
CELL_RANGE = 0x91
TEMP_RANGE = 0x92
MODE = 0x93
COUNTS = 0x94
CELLS = 0x95
TEMPS = 0x96
BALANCE = 0x97
FAULTS = 0x98
CELLS_A_FRAME = 3
TEMPS_A_FRAME = 7
MAX_CELLS = 48
MAX_TEMPS = 16
_ANSWER = 0x01
_CURRENT_ZERO = 30_000
_TEMP_ZERO = 40
_NOT_FITTED = 0xFF

Mode = Literal["stationary", "charging", "discharging"]
MODES: tuple[Mode, ...] = ("stationary", "charging", "discharging")

_TWO_LEVELS = (
    *("cell_over_voltage", "cell_under_voltage", "pack_over_voltage", "pack_under_voltage"),
    *("charge_over_temperature", "charge_under_temperature"),
    *("discharge_over_temperature", "discharge_under_temperature"),
    *("charge_over_current", "discharge_over_current", "soc_too_high", "soc_too_low"),
    *("cell_voltage_difference", "temperature_difference"),
)
_DEFECTS = (
    *("charge_mosfet_over_temperature", "discharge_mosfet_over_temperature"),
    *("charge_mosfet_sensor_fault", "discharge_mosfet_sensor_fault"),
    *("charge_mosfet_stuck", "discharge_mosfet_stuck", "charge_mosfet_open", "discharge_mosfet_open"),
    *("frontend_ic_error", "cell_offline", "temperature_sensor_fault", "eeprom_fault"),
    *("clock_fault", "precharge_fault", "communication_fault", "internal_communication_fault"),
    *("current_sensor_fault", "pack_voltage_sensor_fault", "short_circuit", "low_voltage_charge_forbidden"),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Command 90: V, A as sent (the sign of charging differs between boards), %."""

    voltage_v: float
    current_raw_a: float
    soc_pct: float


@dataclass(frozen=True, slots=True)
class State:
    """Command 93; Ah."""

    mode: Mode
    charge_mos: bool
    discharge_mos: bool
    remaining_ah: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Command 94."""

    cells: int
    temp_sensors: int
    cycles: int
    charger: bool = False
    load: bool = False


def frame(address: int, command: int, data: bytes = bytes(8)) -> bytes:
    """Return a frame with its sum; `data` has eight bytes."""
    body = bytes((START, address, command, len(data))) + data
    return body + bytes((sum(body) & 0xFF,))


def request(host: int, command: int) -> bytes:
    """Return the question for a command; `host` is 4 or 8."""
    return frame(host << 4, command)


def reply(command: int, data: bytes) -> bytes:
    """Return the board's answer."""
    return frame(_ANSWER, command, data)


def decode(data: bytes) -> tuple[int, int, bytes]:
    """Return address, command and data of one whole frame; raises DeviceError: start, length, checksum."""
    if data[:1] != bytes((START,)):
        raise DeviceError("start: not A5", raw=data)
    if len(data) != SIZE or data[3] != 8:
        raise DeviceError(f"length: {len(data)} bytes, a frame has {SIZE}", raw=data)
    if data[-1] != sum(data[:-1]) & 0xFF:
        raise DeviceError("checksum: the sum does not fit", raw=data)
    return data[1], data[2], data[4:12]


def find(received: bytes) -> Iterator[bytes]:
    """Yield the whole, checked frames in `received`; noise is stepped over."""
    start = received.find(START)
    while 0 <= start <= len(received) - SIZE:
        found = received[start : start + SIZE]
        try:
            decode(found)
        except DeviceError:
            start = received.find(START, start + 1)
        else:
            yield found
            start = received.find(START, start + SIZE)


def find_reply(received: bytes, command: int, frames: int = 0) -> bytes | None:
    """Return the answer to `command`, or None: one frame, or frames 1 … `frames` of a numbered answer, joined."""
    wanted = (found for found in find(received) if found[1:3] == bytes((_ANSWER, command)))
    if not frames:
        return next(wanted, None)
    numbered: dict[int, bytes] = {}
    for found in wanted:
        numbered.setdefault(found[4], found)
    parts = [numbered.get(number) for number in range(1, frames + 1)]
    return None if None in parts else b"".join(part for part in parts if part)


def frames_for(values: int, a_frame: int) -> int:
    """Return in how many frames `values` values come."""
    return -(-values // a_frame)


def decode_summary(data: bytes) -> Summary:
    """Decode the data of 90."""
    return Summary(_word(data, 0) / 10, (_word(data, 4) - _CURRENT_ZERO) / 10, _word(data, 6) / 10)


def encode_summary(summary: Summary) -> bytes:
    """Return the data of 90."""
    current = round(summary.current_raw_a * 10) + _CURRENT_ZERO
    return _words((round(summary.voltage_v * 10), 0, current, round(summary.soc_pct * 10)))


def decode_state(data: bytes) -> State:
    """Decode the data of 93; raises DeviceError if there is no such mode."""
    if data[0] >= len(MODES):
        raise DeviceError(f"mode {data[0]} does not exist", op="93", raw=data)
    return State(MODES[data[0]], bool(data[1]), bool(data[2]), int.from_bytes(data[4:8], "big") / 1000)


def encode_state(state: State) -> bytes:
    """Return the data of 93."""
    remaining = round(state.remaining_ah * 1000).to_bytes(4, "big")
    return bytes((MODES.index(state.mode), state.charge_mos, state.discharge_mos, 0)) + remaining


def decode_counts(data: bytes) -> Counts:
    """Decode the data of 94."""
    return Counts(data[0], data[1], _word(data, 5), bool(data[2]), bool(data[3]))


def encode_counts(counts: Counts) -> bytes:
    """Return the data of 94."""
    head = bytes((counts.cells, counts.temp_sensors, counts.charger, counts.load, 0))
    return head + counts.cycles.to_bytes(2, "big") + bytes(1)


def cells_of(frames: Sequence[bytes]) -> tuple[float, ...]:
    """Return the values of the data of all frames of 95, volts, the filler at the end included."""
    return tuple(_word(data, at) / 1000 for data in frames for at in (1, 3, 5))


def temps_of(frames: Sequence[bytes]) -> tuple[int | None, ...]:
    """Return the values of the data of all frames of 96, °C, filler included; None where no sensor is fitted."""
    return tuple(None if raw == _NOT_FITTED else raw - _TEMP_ZERO for data in frames for raw in data[1:8])


def numbered(values: Sequence[bytes], a_frame: int) -> list[bytes]:
    """Return the data of the frames that carry `values` (bytes of one value each), filled with zeros."""
    parts = [b"".join(values[at : at + a_frame]) for at in range(0, len(values), a_frame)]
    return [(bytes((number,)) + part).ljust(8, b"\x00") for number, part in enumerate(parts, start=1)]


def cell_bytes(volts: float) -> bytes:
    """Return a cell as it stands in 95."""
    return round(volts * 1000).to_bytes(2, "big")


def temp_bytes(celsius: float) -> bytes:
    """Return a temperature as it stands in 96."""
    return bytes((round(celsius) + _TEMP_ZERO,))


def faults_of(data: bytes) -> tuple[str, ...]:
    """Return the names of the bits of 98; `_1` is a warning, `_2` a protection, without a number a defect."""
    return tuple(_fault(bit) for bit in range(56) if data[bit // 8] >> bit % 8 & 1)


def protections_of(data: bytes) -> tuple[str, ...]:
    """Return what of 98 is more than a warning, without the level."""
    return tuple(name.removesuffix("_2") for name in faults_of(data) if not name.endswith("_1"))


def encode_faults(protections: Sequence[str]) -> bytes:
    """Return the data of 98 with these protections."""
    bits = sum(1 << bit for bit in range(56) if _fault(bit).removesuffix("_2") in protections)
    return bits.to_bytes(7, "little") + bytes(1)


def _fault(bit: int) -> str:
    if bit < 2 * len(_TWO_LEVELS):
        return f"{_TWO_LEVELS[bit // 2]}_{bit % 2 + 1}"
    defect = bit - 32
    return _DEFECTS[defect] if 0 <= defect < len(_DEFECTS) else f"bit_{bit}"


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _words(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)
