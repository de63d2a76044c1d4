"""Kinds of fields in a message of 64 bytes: numbers are little-endian, dates and times binary-coded decimal.

Source: uhppoted/uhppote-core, package `types`. A date that is none (all zeros, or digits beyond 9) means "no date".
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_agent.driver import Json


@dataclass(frozen=True, slots=True)
class Kind:
    """`size` bytes on the wire and what they mean; `read` never raises, `write` takes what `read` returns."""

    size: int
    read: Callable[[bytes], Json]
    write: Callable[[Any], bytes]


def _unsigned(size: int) -> Kind:
    return Kind(size, lambda data: int.from_bytes(data, "little"), lambda value: int(value).to_bytes(size, "little"))


def _calendar(size: int, pattern: str, shown: str, century: str = "") -> Kind:
    """Digits in the order of `pattern`; shown as ISO 8601, None where they are no date or no time."""

    def read(data: bytes) -> str | None:
        digits = century + data.hex()
        try:
            # `strptime` alone would take fewer digits, and other scripts' digits.
            return datetime.strptime(digits, pattern).strftime(shown) if digits.isdecimal() else None  # noqa: DTZ007
        except ValueError:
            return None

    def write(value: str | None) -> bytes:
        if value is None:
            # Zeros are no date, but they are a time: midnight.
            return bytes(size) if "%d" in pattern else b"\xff" * size
        text = datetime.strptime(value, shown).strftime(pattern)  # noqa: DTZ007  (the controller knows no zone)
        return bytes.fromhex(text.removeprefix(century))

    return Kind(size, read, write)


U8 = _unsigned(1)
U16 = _unsigned(2)
U24 = _unsigned(3)
U32 = _unsigned(4)
BOOL = Kind(1, lambda data: data != b"\0", lambda value: bytes((bool(value),)))
BOOLS = Kind(4, lambda data: [byte != 0 for byte in data], lambda values: bytes(map(bool, values)))
WEEK = Kind(7, lambda data: [byte != 0 for byte in data], lambda values: bytes(map(bool, values)))
"""Monday first."""
BYTES = Kind(4, list, bytes)
CODES = Kind(
    16,
    lambda data: [int.from_bytes(data[at : at + 4], "little") for at in range(0, 16, 4)],
    lambda values: b"".join(int(value).to_bytes(4, "little") for value in values),
)
IPV4 = Kind(4, lambda data: str(ipaddress.IPv4Address(data)), lambda text: ipaddress.IPv4Address(text).packed)
MAC = Kind(6, lambda data: data.hex(":"), lambda text: bytes.fromhex(text.replace(":", "")))
VERSION = Kind(
    2, lambda data: f"v{data[0]:x}.{data[1]:02x}", lambda text: bytes.fromhex(text[1:].replace(".", "").zfill(4))
)
LISTENER = Kind(
    6,
    lambda data: f"{ipaddress.IPv4Address(data[:4])}:{int.from_bytes(data[4:], 'little')}",
    lambda text: IPV4.write(text.partition(":")[0]) + U16.write(text.partition(":")[2]),
)
DATE = _calendar(4, "%Y%m%d", "%Y-%m-%d")
SHORT_DATE = _calendar(3, "%Y%m%d", "%Y-%m-%d", century="20")
TIME = _calendar(3, "%H%M%S", "%H:%M:%S")
MINUTE = _calendar(2, "%H%M", "%H:%M")
DATETIME = _calendar(7, "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S")
