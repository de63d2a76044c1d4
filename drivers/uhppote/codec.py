"""The 64-byte messages of UHPPOTE, Weigeng (微耕) and compatible door controllers; strict in what it takes.

A message: magic 17 (19 in events of firmware v6.62), function, two zeros, serial number of the controller, fields at
fixed places, zeros. Requests and answers share functions, and there is no checksum: UDP brings its own.
Source: uhppoted/uhppote-core `messages/*.go` and uhppoted/uhppoted-lib-python `encode.py`, `decode.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from drivers.uhppote import fields
from drivers.uhppote.fields import BOOL, BOOLS, DATE, DATETIME, MINUTE, U8, U32, Kind
from edge_agent.driver import DeviceError, Json

Direction: TypeAlias = Literal["request", "response"]

SIZE = 64
MAGIC, MAGIC_V6_62 = 0x17, 0x19
GET_STATUS, OPEN_DOOR, GET_EVENT = 0x20, 0x40, 0xB0
NO_RECORD, OVERWRITTEN = 0x00, 0xFF
"""Event types of what is not (or no more) in the store."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in decoded messages and the place of its first byte."""

    name: str
    at: int
    kind: Kind


_Layout: TypeAlias = tuple[Field, ...]

STORED = (
    Field("event_index", 8, U32),
    Field("event_type", 12, U8),
    Field("access_granted", 13, BOOL),
    Field("door", 14, U8),
    Field("direction", 15, U8),
    Field("card", 16, U32),
    Field("event_timestamp", 20, DATETIME),
    Field("reason", 27, U8),
)
"""An event as the controller stores it; the newest one stands in its status too."""
STATUS = (
    *STORED,
    Field("doors_open", 28, BOOLS),
    Field("buttons", 32, BOOLS),
    Field("system_error", 36, U8),
    Field("system_time", 37, fields.TIME),
    Field("sequence", 40, U32),
    Field("special_info", 48, U8),
    Field("relays", 49, U8),
    Field("inputs", 50, U8),
    Field("system_date", 51, fields.SHORT_DATE),
)
_CARD = (
    Field("card", 8, U32),
    Field("start_date", 12, DATE),
    Field("end_date", 16, DATE),
    Field("doors", 20, fields.BYTES),
    Field("pin", 24, fields.U24),
)
_DOOR = (Field("door", 8, U8), Field("mode", 9, U8), Field("delay", 10, U8))
_NETWORK = (Field("ip", 8, fields.IPV4), Field("netmask", 12, fields.IPV4), Field("gateway", 16, fields.IPV4))
_CONTROLLER = (
    *_NETWORK,
    Field("mac", 20, fields.MAC),
    Field("version", 26, fields.VERSION),
    Field("date", 28, DATE),
)
_LISTENER = (Field("listener", 8, fields.LISTENER), Field("interval", 14, U8))
_PROFILE = (
    Field("profile", 8, U8),
    Field("start_date", 9, DATE),
    Field("end_date", 13, DATE),
    Field("weekdays", 17, fields.WEEK),
    *(
        Field(f"segment_{number}_{end}", 24 + 4 * (number - 1) + 2 * (end == "end"), MINUTE)
        for number in (1, 2, 3)
        for end in ("start", "end")
    ),
    Field("linked_profile", 36, U8),
)
_TASK = (
    Field("start_date", 8, DATE),
    Field("end_date", 12, DATE),
    Field("weekdays", 16, fields.WEEK),
    Field("time", 23, MINUTE),
    Field("door", 25, U8),
    Field("task", 26, U8),
    Field("more_cards", 27, U8),
)
_OK = (Field("ok", 8, BOOL),)
_TIME = (Field("datetime", 8, DATETIME),)
_INDEX = (Field("event_index", 8, U32),)
_CARD_NUMBER = (Field("card", 8, U32),)
_ANTIPASSBACK = (Field("antipassback", 8, U8),)
_INTERLOCK = (Field("interlock", 8, U8),)

_LAYOUTS: Mapping[int, tuple[_Layout, _Layout]] = MappingProxyType(
    {
        GET_STATUS: ((), STATUS),
        0x30: (_TIME, _TIME),
        0x32: ((), _TIME),
        OPEN_DOOR: ((Field("door", 8, U8),), _OK),
        0x50: (_CARD, _OK),
        0x52: (_CARD_NUMBER, _OK),
        0x54: ((), _OK),
        0x58: ((), (Field("cards", 8, U32),)),
        0x5A: (_CARD_NUMBER, _CARD),
        0x5C: ((Field("index", 8, U32),), _CARD),
        0x80: (_DOOR, _DOOR),
        0x82: ((Field("door", 8, U8),), _DOOR),
        0x84: (_ANTIPASSBACK, _OK),
        0x86: ((), _ANTIPASSBACK),
        0x88: (_PROFILE, _OK),
        0x8A: ((), _OK),
        0x8C: ((Field("door", 8, U8), Field("passcodes", 12, fields.CODES)), _OK),
        0x8E: ((Field("enabled", 8, BOOL),), _OK),
        0x90: (_LISTENER, _OK),
        0x92: ((), _LISTENER),
        0x94: ((), _CONTROLLER),
        0x96: (_NETWORK, _OK),
        0x98: ((Field("profile", 8, U8),), _PROFILE),
        0xA0: ((Field("enabled", 12, BOOL),), _OK),
        0xA2: (_INTERLOCK, _OK),
        0xA4: ((Field("readers", 8, BOOLS),), _OK),
        0xA6: ((), _OK),
        0xA8: (_TASK, _OK),
        0xAA: ((), _OK),
        0xAC: ((), _OK),
        GET_EVENT: (_INDEX, STORED),
        0xB2: (_INDEX, _OK),
        0xB4: ((), _INDEX),
        0xC8: ((), _OK),
    }
)
"""Function -> fields of its request and of its answer. A status also comes unasked, as the push of an event."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


def encode(
    function: int, controller: int, values: Mapping[str, Any] = _NOTHING, direction: Direction = "request"
) -> bytes:
    """Return a message; fields not named are zero. Raises KeyError for a field that it does not have."""
    frame = bytearray(SIZE)
    frame[0:2] = bytes((MAGIC, function))
    frame[4:8] = U32.write(controller)
    layout = {field.name: field for field in _layout(function, direction)}
    for name, value in values.items():
        field = layout[name]
        frame[field.at : field.at + field.kind.size] = field.kind.write(value)
    return bytes(frame)


def decode(frame: bytes, direction: Direction = "response") -> dict[str, Json]:
    """Return name -> value of every field; raises DeviceError if it is no message, without the bytes (cards)."""
    if len(frame) != SIZE:
        raise DeviceError(f"{len(frame)} bytes are no message, {SIZE} would be")
    magic, function = frame[:2]
    if magic != MAGIC and not (magic == MAGIC_V6_62 and function == GET_STATUS):
        raise DeviceError(f"a message does not begin with {magic:02X}")
    if function not in _LAYOUTS:
        raise DeviceError(f"there is no function {function:02X}")
    values: dict[str, Json] = {"function": function, "controller": U32.read(frame[4:8])}
    for field in _layout(function, direction):
        values[field.name] = field.kind.read(frame[field.at : field.at + field.kind.size])
    return values


def _layout(function: int, direction: Direction) -> _Layout:
    request, response = _LAYOUTS[function]
    return request if direction == "request" else response


def question(function: int, controller: int, index: int | None = None) -> bytes:
    """Return a request: for the event `index` (get-event), or without any field."""
    return encode(function, controller, {} if index is None else {"event_index": index})


def answers(frame: bytes, function: int, controller: int, index: int | None) -> bool:
    """Tell whether `frame` answers a question for this function, controller and (get-event) index.

    Of an event that is not there, or overwritten, controllers need not repeat the index.
    """
    try:
        values = decode(frame)
    except DeviceError:
        return False
    if values["function"] != function or values["controller"] != controller:
        return False
    return index is None or values["event_index"] == index or values["event_type"] in {NO_RECORD, OVERWRITTEN}


def card_bits(card: int, identity: Literal["own", "w26", "w34"]) -> tuple[str, str]:
    """Return card format and bits, most significant first, from the 32-bit number that a controller tells.

    Of a Wiegand 26 card it tells facility x 100000 + number in decimal (uhppoted-lib card formats); a number that no
    such card can have keeps its own identity.
    """
    facility, number = divmod(card, 100_000)
    if identity == "w26" and facility <= 0xFF and number <= 0xFFFF:
        return "w26", f"{facility:08b}{number:016b}"
    return "w34" if identity == "w34" else "uhppote", f"{card:032b}"
