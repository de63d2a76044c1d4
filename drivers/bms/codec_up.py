"""The framing of JBD's "UP" boards as bytes: addressed, so many batteries can share one RS-485 pair.

Frame both ways: `address function start end length data CRC`, two-byte fields high byte first, CRC-16/MODBUS low byte
first; a question carries no data. Function 78 reads, and 1000–10A0 is the pack's whole status in one answer, 1C00–1CA0
its parameters with the serial numbers. Sources: syssi/esphome-jbd-bms `components/jbd_bms_up`,
`components/jbd_bms_up_pack` and `docs/pdus/JBD-UP16S020-two-devices.txt` (two boards captured on one bus);
mr-manuel/venus-os_dbus-serialbattery `bms/lltjbd_up16s.py` (tested on UP16S015) agrees on every field used here.
"""

from dataclasses import dataclass
from datetime import date

from drivers.bms.pack import Pack
from drivers.modbus.codec import crc16, seal
from edge_agent.driver import DeviceError

READ = 0x78
STATUS = (0x1000, 0x10A0)
PARAMETERS = (0x1C00, 0x1CA0)
_HEAD = 8
_MAX_DATA = 512
_MAX_CELLS = 32
_MAX_TEMPS = 16
_CURRENT_ZERO = 300_000
"""0 A in hundredths of an ampere as the board counts them."""
_TEMP_ZERO = 500
"""0 °C in tenths of a kelvin as the board counts them."""
_TEXT = 30

PROTECTIONS = (
    "cell_over_voltage",
    "cell_under_voltage",
    "pack_over_voltage",
    "pack_under_voltage",
    "charge_over_current_1",
    "charge_over_current_2",
    "discharge_over_current_1",
    "discharge_over_current_2",
    "charge_over_temperature",
    "charge_under_temperature",
    "discharge_over_temperature",
    "discharge_under_temperature",
    "mosfet_over_temperature",
    "ambient_over_temperature",
    "ambient_under_temperature",
    "cell_voltage_difference",
    "temperature_difference",
    "soc_too_low",
    "short_circuit",
    "cell_offline",
    "temperature_sensor_fault",
    "charge_mosfet_fault",
    "discharge_mosfet_fault",
    "current_limiting_fault",
    "aerosol",
    "full_charge",
    "frontend_ic_error",
    "reverse_polarity",
)
"""Names of the protection bits of the status answer, bit 0 first."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Serial numbers and dates of 1C00; "" and None where the maker left them empty."""

    board_sn: str
    board_date: str | None
    pack_sn: str
    pack_date: str | None


def request(address: int, area: tuple[int, int]) -> bytes:
    """Return the question for an area of registers."""
    return seal(_head(address, area) + bytes(2))


def reply(address: int, area: tuple[int, int], data: bytes) -> bytes:
    """Return the board's answer."""
    return seal(_head(address, area) + len(data).to_bytes(2, "big") + data)


def find_reply(received: bytes, address: int, area: tuple[int, int]) -> bytes | None:
    """Return the first whole, checked answer with data in `received`, or None; the question's echo has none."""
    head = _head(address, area)
    start = received.find(head)
    while start >= 0:
        length = int.from_bytes(received[start + 6 : start + _HEAD], "big")
        frame = received[start : start + _HEAD + length + 2]
        if 0 < length <= _MAX_DATA and len(frame) == _HEAD + length + 2 and crc16(frame) == 0:
            return frame
        start = received.find(head, start + 1)
    return None


def data_of(frame: bytes) -> bytes:
    """Return the data of a checked answer."""
    return frame[_HEAD:-2]


def decode_status(data: bytes) -> Pack:
    """Decode 1000–10A0. What follows the pack's label differs between firmwares and is not used."""
    cells = _word(data, 66)
    temps_at = 68 + 2 * cells
    temps = _word(data, temps_at)
    label_at = temps_at + 2 + 2 * temps + 6
    if not 0 < cells <= _MAX_CELLS or temps > _MAX_TEMPS or len(data) < label_at + _TEXT:
        raise DeviceError(f"{len(data)} bytes with {cells} cells do not fit", op="read 1000", raw=data)
    mos = _word(data, 32)
    bits = int.from_bytes(data[24:28], "big")
    return Pack(
        voltage_v=_word(data, 0) / 100,
        current_a=(int.from_bytes(data[4:8], "big") - _CURRENT_ZERO) / 100,
        soc_pct=_word(data, 8) / 100,
        remaining_ah=_word(data, 10) / 100,
        full_ah=_word(data, 12) / 100,
        temp_mos_c=_temp(data, 16),
        soh_pct=_word(data, 22),
        protections=tuple(
            PROTECTIONS[bit] if bit < len(PROTECTIONS) else f"bit_{bit}" for bit in range(32) if bits >> bit & 1
        ),
        discharge_mos=bool(mos & 1),
        charge_mos=bool(mos & 2),
        cycles=_word(data, 36),
        cells_v=tuple(_word(data, 68 + 2 * index) / 1000 for index in range(cells)),
        temps_c=tuple(_temp(data, temps_at + 2 + 2 * index) for index in range(temps)),
        label=_text(data[label_at : label_at + _TEXT]) or None,
    )


def encode_status(pack: Pack) -> bytes:
    """Return 1000–10A0 as a board would send it; fields that `decode_status` does not use are plausible."""
    cells = [round(cell * 1000) for cell in pack.cells_v]
    temps = [round(temp * 10) + _TEMP_ZERO for temp in pack.temps_c]
    warm = max(temps, default=_TEMP_ZERO)
    current = round((pack.current_a or 0.0) * 100)
    bits = sum(1 << PROTECTIONS.index(name) for name in pack.protections or ())
    words = [
        *(round(pack.voltage_v * 100), 0, *divmod(current + _CURRENT_ZERO, 0x10000)),
        *(round((value or 0.0) * 100) for value in (pack.soc_pct, pack.remaining_ah, pack.full_ah, pack.full_ah)),
        *(round((pack.temp_mos_c or 0.0) * 10) + _TEMP_ZERO, warm),
        *((current > 0) + 2 * (current < 0), round(pack.soh_pct or 0), *divmod(bits, 0x10000), 0, 0),
        *(int(bool(pack.discharge_mos)) | int(bool(pack.charge_mos)) << 1, 0, pack.cycles or 0),
        *(cells.index(max(cells)) + 1, max(cells), cells.index(min(cells)) + 1, min(cells), sum(cells) // len(cells)),
        *(1, warm, 1, warm, warm, 584, 1000, 448, 1000),
        *(len(cells), *cells, len(temps), *temps, 0, 0, 0x0C04),
    ]
    return b"".join(word.to_bytes(2, "big") for word in words) + _padded(pack.label or "") + bytes(4)


def decode_parameters(data: bytes) -> Parameters:
    """Decode 1C00–1CA0."""
    if len(data) < 88:
        raise DeviceError(f"{len(data)} bytes are too few", op="read 1C00", raw=data)
    return Parameters(_text(data[16:46]), _date(data, 46), _text(data[52:82]), _date(data, 82))


def encode_parameters(parameters: Parameters) -> bytes:
    """Return 1C00–1CA0 as a board would send it."""
    board = _padded(parameters.board_sn) + _packed_date(parameters.board_date)
    return bytes(16) + board + _padded(parameters.pack_sn) + _packed_date(parameters.pack_date) + bytes(46)


def _head(address: int, area: tuple[int, int]) -> bytes:
    return bytes((address, READ)) + area[0].to_bytes(2, "big") + area[1].to_bytes(2, "big")


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _temp(data: bytes, at: int) -> float:
    return (_word(data, at) - _TEMP_ZERO) / 10


def _text(field: bytes) -> str:
    """Return the field up to its first zero byte; "" if that is not printable ASCII."""
    text = field.split(b"\x00", 1)[0].decode("latin-1").strip()
    return text if text.isascii() and text.isprintable() else ""


def _padded(text: str) -> bytes:
    return text.encode("ascii")[:_TEXT].ljust(_TEXT, b"\x00")


def _date(data: bytes, at: int) -> str | None:
    try:
        return date(_word(data, at), _word(data, at + 2), _word(data, at + 4)).isoformat()
    except ValueError:
        return None


def _packed_date(iso: str | None) -> bytes:
    day = date.fromisoformat(iso) if iso else None
    parts = (day.year, day.month, day.day) if day else (0, 0, 0)
    return b"".join(part.to_bytes(2, "big") for part in parts)
