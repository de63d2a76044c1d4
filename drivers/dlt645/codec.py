"""DL/T 645 frames, editions 1997 and 2007: bytes to address, control and data, and back.

`[FE…] 68 A0…A5 68 C L data CS 16`: the address is 12 BCD digits, lowest byte first; every byte of data has 33H added
on the wire; CS is the sum of all bytes from the first 68 on, without the FE that wake the meter up. C: bits 0–4 say
what is asked (2007: 11 read, 13 read address; 1997: 01 read), bit 7 marks an answer, bit 6 a refusal, bit 5 that more
follows. Sources: peace0phmind/dlt645 and 600888/dlt645, frames in `vectors/dlt645.jsonl`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.driver import DeviceError

READ_2007 = 0x11
READ_ADDRESS = 0x13
READ_1997 = 0x01
ANSWER = 0x80
REFUSAL = 0x40
MORE = 0x20
ANY_ADDRESS = "AA" * 6
"""A question to whoever hears it: only for a meter that is alone on its pair."""

_WAKE = 0xFE
_START = 0x68
_END = 0x16
_OFFSET = 0x33
_HEAD = 10
"""Bytes before the data: 68, address, 68, C, L."""
_TAIL = 2
ERRORS_2007 = ("other", "no such data", "password or permission", "baud rate", "year zones", "day slots", "tariffs")
"""Meaning of the bits of the error byte of a refusal, bit 0 first."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `address` as printed on the meter (12 digits, AA = any), `data` without the 33H."""

    address: str
    control: int
    data: bytes = b""

    def encode(self, wake: int = 0) -> bytes:
        """Return the bytes on the wire, with so many FE in front."""
        address = bytes.fromhex(self.address)[::-1]
        data = bytes((byte + _OFFSET) & 0xFF for byte in self.data)
        body = bytes((_START, *address, _START, self.control, len(data))) + data
        return bytes((_WAKE,)) * wake + body + bytes((sum(body) & 0xFF, _END))


def decode(data: bytes) -> Frame:
    """Return the frame that `data` is, FE in front allowed; raises DeviceError: start, length, end, checksum."""
    body = data.lstrip(bytes((_WAKE,)))
    if len(body) < _HEAD + _TAIL:
        raise DeviceError(f"length: {len(body)} bytes, a frame has at least {_HEAD + _TAIL}", raw=data)
    if body[0] != _START or body[7] != _START:
        raise DeviceError("start: 68 is missing where it must be", raw=data)
    if len(body) != _HEAD + body[9] + _TAIL:
        raise DeviceError(f"length: {len(body)} bytes do not fit a length field of {body[9]}", raw=data)
    if body[-1] != _END:
        raise DeviceError("end: the last byte is not 16", raw=data)
    if sum(body[:-_TAIL]) & 0xFF != body[-_TAIL]:
        raise DeviceError("checksum: CS does not fit", raw=data)
    plain = bytes((byte - _OFFSET) & 0xFF for byte in body[_HEAD:-_TAIL])
    return Frame(body[6:0:-1].hex().upper(), body[8], plain)


def find(received: bytes, fits: Callable[[Frame], bool]) -> bytes | None:
    """Return the first whole, checked frame in `received` that `fits`, or None."""
    start = received.find(_START)
    while start >= 0:
        size = _HEAD + int.from_bytes(received[start + 9 : start + _HEAD], "big") + _TAIL
        frame = received[start : start + size]
        try:
            if fits(decode(frame)):
                return frame
        except DeviceError:
            pass
        start = received.find(_START, start + 1)
    return None


def bcd(data: bytes) -> int | None:
    """Return the number whose decimal digits are the nibbles of `data`, lowest byte first; None if one is no digit."""
    digits = data[::-1].hex()
    return int(digits) if digits.isdecimal() else None


def to_bcd(number: int, size: int) -> bytes:
    """Undo `bcd` for a number from 0 that fits `size` bytes."""
    return bytes.fromhex(f"{number:0{2 * size}d}")[::-1]


def di_hex(identifier: bytes) -> str:
    """Return a data identifier as documents print it, highest byte first."""
    return identifier[::-1].hex().upper()


def di_bytes(di: str) -> bytes:
    """Undo `di_hex`."""
    return bytes.fromhex(di)[::-1]


def refusal(data: bytes) -> str:
    """Say in words what the error byte of a refusal means (edition 2007; 1997 has the lower three bits)."""
    if not data:
        return "no reason given"
    named = [name for bit, name in enumerate(ERRORS_2007) if data[0] >> bit & 1]
    return ", ".join(named) or f"code {data[0]:02X}"
