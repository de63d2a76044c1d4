"""The JK (极空) framing as bytes: a list of tags, one battery alone on its wire.

`4E 57 length number×4 command source type data record×4 68 check×4`: length counts from itself to the end; the check is
the 16-bit sum of all bytes before it in the last two bytes, the first two being zero. A question for everything
(command 06) carries one zero byte, its answer a list of `tag value`, each tag with a width of its own. 79 has a length
byte, then three bytes a cell. Unknown tags end the list: their widths differ between models. Sources:
syssi/esphome-jk-bms `docs/protocol-design-uart-ttl-gps-port.md`, jblance/mpp-solar `jkserial.py`, frames in
`vectors/bms_jk.jsonl`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_agent.driver import DeviceError

MAGIC = b"NW"
READ_ALL = 0x06
CELLS = 0x79
_OVERHEAD = 20
"""Bytes of a frame without its data."""
_MAX_DATA = 1024
_END = 0x68
_FROM_BOARD = 0x00
_FROM_HOST = 0x03
_ASKED = 0x00
_ANSWERED = 0x01
_TWO = (0x80, 0x81, 0x82, 0x83, 0x84, 0x87, 0x8A, 0x8B, 0x8C, *range(0x8E, 0x9D), *range(0x9E, 0xA9), 0xAD, 0xB0)
_ONE = (0x85, 0x86, 0x9D, 0xA9, 0xAB, 0xAC, 0xAE, 0xAF, 0xB1, 0xB3, 0xB8, 0xC0)
WIDTHS: Mapping[int, int] = MappingProxyType(
    dict.fromkeys(_TWO, 2)
    | dict.fromkeys(_ONE, 1)
    | {0x89: 4, 0xAA: 4, 0xB5: 4, 0xB6: 4, 0xB9: 4, 0xB2: 10, 0xB4: 8, 0xB7: 15, 0xBA: 24}
)
"""Bytes of each tag's value, 79 apart."""

ALARMS = (
    "low_capacity",
    "mosfet_over_temperature",
    "pack_over_voltage",
    "pack_under_voltage",
    "battery_over_temperature",
    "charge_over_current",
    "discharge_over_current",
    "cell_voltage_difference",
    "box_over_temperature",
    "battery_under_temperature",
    "cell_over_voltage",
    "cell_under_voltage",
    "309_a",
    "309_b",
)
"""Names of the bits of 8B, bit 0 first; the first is a warning, the others protections."""
_WARNINGS = frozenset({"low_capacity"})


@dataclass(frozen=True, slots=True)
class Status:
    """What the known tags say; V, A (+ = charging), °C, %, Ah. None = the tag was not there."""

    cells_v: tuple[float, ...] = ()
    mos_temp_c: float | None = None
    temps_c: tuple[float, ...] = ()
    voltage_v: float | None = None
    current_a: float | None = None
    soc_pct: int | None = None
    cycles: int | None = None
    capacity_ah: float | None = None
    alarms: tuple[str, ...] = ()
    charge_mos: bool | None = None
    discharge_mos: bool | None = None
    protocol_version: int = 0
    name: str = ""
    tags: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    def protections(self) -> tuple[str, ...]:
        """Return what is more than a warning."""
        return tuple(name for name in self.alarms if name not in _WARNINGS)


def frame(command: int, data: bytes, *, answer: bool) -> bytes:
    """Return a frame with its check."""
    head = bytes((command, _FROM_BOARD if answer else _FROM_HOST, _ANSWERED if answer else _ASKED))
    body = bytes(4) + head + data + bytes(4) + bytes((_END,))
    start = MAGIC + (len(body) + 6).to_bytes(2, "big") + body
    return start + (sum(start) & 0xFFFF).to_bytes(4, "big")


def request() -> bytes:
    """Return the question for everything."""
    return frame(READ_ALL, b"\x00", answer=False)


def decode(data: bytes) -> tuple[int, bool, bytes]:
    """Return command, whether it is an answer, and the data of one whole frame; raises DeviceError."""
    if data[:2] != MAGIC:
        raise DeviceError("start: not 4E 57", raw=data)
    if len(data) < _OVERHEAD or len(data) != int.from_bytes(data[2:4], "big") + 2:
        raise DeviceError("truncated: the length does not fit", raw=data)
    if data[-5] != _END:
        raise DeviceError("end: 68 is not where it belongs", raw=data)
    if int.from_bytes(data[-4:], "big") != sum(data[:-4]) & 0xFFFF:
        raise DeviceError("checksum: the sum does not fit", raw=data)
    return data[8], data[10] == _ANSWERED, data[11:-9]


def find(received: bytes, *, answer: bool = True) -> bytes | None:
    """Return the first whole, checked answer (or question) in `received`, or None."""
    start = received.find(MAGIC)
    while start >= 0:
        size = int.from_bytes(received[start + 2 : start + 4], "big") + 2
        found = received[start : start + size]
        if size <= _OVERHEAD + _MAX_DATA:
            try:
                if decode(found)[1] is answer:
                    return found
            except DeviceError:
                pass
        start = received.find(MAGIC, start + 1)
    return None


def split(data: bytes) -> dict[int, bytes]:
    """Return tag -> value up to the first unknown or unfinished tag."""
    tags: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        tag = data[at]
        at += 1
        width = WIDTHS.get(tag, 0)
        if tag == CELLS and at < len(data):
            width = data[at]
            at += 1
        if not width or at + width > len(data):
            break
        tags[tag] = data[at : at + width]
        at += width
    return tags


def current(raw: int, version: int) -> float:
    """Return A (+ = charging) of tag 84. Version 1: the top bit is charging; before: 10,000 less hundredths."""
    if version >= 1:
        amperes = (raw & 0x7FFF) / 100
        return amperes if raw & 0x8000 else -amperes + 0.0
    return (10_000 - raw) / 100


def decode_status(data: bytes) -> Status:
    """Decode the data of an answer to "everything"; raises DeviceError if the cells are no list of cells."""
    tags = split(data)
    cells = tags.get(CELLS, b"")
    if len(cells) % 3:
        raise DeviceError("the cells are no list of cells", op="read all", raw=data)

    def number(tag: int) -> int | None:
        return int.from_bytes(tags[tag], "big") if tag in tags else None

    def scaled(tag: int, scale: float) -> float | None:
        return None if (raw := number(tag)) is None else round(raw * scale, 3)

    version = number(0xC0) or 0
    raw_current, switches, alarms = number(0x84), number(0x8C), number(0x8B) or 0
    return Status(
        cells_v=tuple(int.from_bytes(cells[at + 1 : at + 3], "big") / 1000 for at in range(0, len(cells), 3)),
        mos_temp_c=_temp(tags[0x80]) if 0x80 in tags else None,
        temps_c=tuple(_temp(tags[tag]) for tag in (0x81, 0x82) if tag in tags),
        voltage_v=scaled(0x83, 0.01),
        current_a=None if raw_current is None else current(raw_current, version),
        soc_pct=number(0x85),
        cycles=number(0x87),
        capacity_ah=scaled(0xAA, 1.0),
        alarms=tuple(ALARMS[bit] if bit < len(ALARMS) else f"bit_{bit}" for bit in range(16) if alarms >> bit & 1),
        charge_mos=None if switches is None else bool(switches & 1),
        discharge_mos=None if switches is None else bool(switches & 2),
        protocol_version=version,
        name=_text(tags.get(0xBA, b"")),
        tags=tags,
    )


def encode_status(status: Status) -> bytes:
    """Return the data of an answer to "everything"; the current as in version 1."""
    cells = b"".join(bytes((n,)) + _two(round(cell * 1000)) for n, cell in enumerate(status.cells_v, start=1))
    amperes = status.current_a or 0.0
    raw_current = round(abs(amperes) * 100) | (0x8000 if amperes > 0 else 0)
    bits = sum(1 << ALARMS.index(name) for name in status.alarms)
    switches = int(bool(status.charge_mos)) | int(bool(status.discharge_mos)) << 1
    temps = b"".join(bytes((0x81 + n,)) + _temp_bytes(temp) for n, temp in enumerate(status.temps_c))
    return (
        bytes((CELLS, len(cells))) + cells
        + b"\x80" + _temp_bytes(status.mos_temp_c or 0.0) + temps
        + b"\x83" + _two(round((status.voltage_v or 0.0) * 100)) + b"\x84" + _two(raw_current)
        + bytes((0x85, status.soc_pct or 0, 0x86, len(status.temps_c)))
        + b"\x87" + _two(status.cycles or 0) + b"\x8b" + _two(bits) + b"\x8c" + _two(switches)
        + b"\xaa" + round(status.capacity_ah or 0.0).to_bytes(4, "big")
        + b"\xba" + status.name.encode("ascii").ljust(24) + bytes((0xC0, 1))
    )  # fmt: skip


def _two(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _temp(value: bytes) -> float:
    """Return °C: above 100 the rest is below zero."""
    raw = int.from_bytes(value, "big")
    return float(raw if raw <= 100 else 100 - raw)


def _temp_bytes(celsius: float) -> bytes:
    whole = round(celsius)
    return _two(whole if whole >= 0 else 100 - whole)


def _text(value: bytes) -> str:
    text = value.split(b"\x00", 1)[0].decode("latin-1").strip()
    return text if text.isascii() and text.isprintable() else ""
