"""The ASCII frame of YD/T 1363.3 (电总协议), which telecom air conditioners and many batteries speak.

`SOI VER ADR CID1 CID2 LENGTH INFO CHKSUM 0D`: between the marks everything is ASCII hex, two digits a byte. In an
answer the place of CID2 holds RTN. LENGTH is four digits: LCHKSUM, then LENID = how many characters INFO has; LCHKSUM
makes the sum of the four 0 modulo 16. CHKSUM makes the sum of all characters from VER to INFO plus itself 0 modulo
65536. SOI is 7E, on some devices 3E. Sources: fuhoo/ydn23 and jcaden/py-ydt1363, frames in `vectors/ydt1363.jsonl`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.driver import DeviceError

SOI = 0x7E
SOIS = frozenset((SOI, 0x3E))
_EOI = 0x0D
_HEAD = 13
"""Characters before INFO: SOI, VER, ADR, CID1, CID2, LENGTH."""
_TAIL = 5
MAX_LENID = 0xFFF
_DIGITS = frozenset(b"0123456789ABCDEFabcdef")

OK = 0x00
RETURNS = {
    0x01: "wrong protocol version",
    0x02: "wrong CHKSUM",
    0x03: "wrong LCHKSUM",
    0x04: "CID2 not known",
    0x05: "wrong format of the command",
    0x06: "data not valid",
    0x09: "operation refused",
}
"""Meanings of RTN; 80 and above are the maker's own."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `cid2` is RTN in an answer, `info` the bytes that INFO's hex digits stand for."""

    ver: int
    adr: int
    cid1: int
    cid2: int
    info: bytes = b""
    soi: int = SOI

    def encode(self) -> bytes:
        """Return the characters on the wire; `info` has at most 2047 bytes."""
        head = bytes((self.ver, self.adr, self.cid1, self.cid2)).hex().upper()
        body = f"{head}{_length(2 * len(self.info)):04X}{self.info.hex().upper()}".encode()
        return bytes((self.soi,)) + body + f"{_checksum(body):04X}".encode() + bytes((_EOI,))


def decode(data: bytes) -> Frame:
    """Return the frame that `data` is, exactly; raises DeviceError: start, length, digits, checksum, end."""
    if not data or data[0] not in SOIS:
        raise DeviceError("start: neither 7E nor 3E", raw=data)
    if len(data) < _HEAD + _TAIL:
        raise DeviceError(f"length: {len(data)} bytes, a frame has at least {_HEAD + _TAIL}", raw=data)
    if not _DIGITS.issuperset(data[1:-1]):
        raise DeviceError("digits: characters that are not hexadecimal", raw=data)
    length = int(data[9:_HEAD], 16)
    lenid = length & MAX_LENID
    if length != _length(lenid):
        raise DeviceError("length: LCHKSUM does not fit", raw=data)
    if lenid % 2 or len(data) != _HEAD + lenid + _TAIL:
        raise DeviceError(f"length: {len(data)} bytes do not fit LENID {lenid}", raw=data)
    if data[-1] != _EOI:
        raise DeviceError("end: the last byte is not 0D", raw=data)
    if int(data[-_TAIL:-1], 16) != _checksum(data[1:-_TAIL]):
        raise DeviceError("checksum: CHKSUM does not fit", raw=data)
    ver, adr, cid1, cid2 = bytes.fromhex(data[1:9].decode())
    return Frame(ver, adr, cid1, cid2, bytes.fromhex(data[_HEAD:-_TAIL].decode()), data[0])


def find(received: bytes, fits: Callable[[Frame], bool]) -> bytes | None:
    """Return the first whole, checked frame in `received` that `fits`, or None."""
    for start, byte in enumerate(received):
        digits = received[start + 9 : start + _HEAD]
        if byte not in SOIS or len(digits) < 4 or not _DIGITS.issuperset(digits):
            continue
        data = received[start : start + _HEAD + (int(digits, 16) & MAX_LENID) + _TAIL]
        try:
            if fits(decode(data)):
                return data
        except DeviceError:
            continue
    return None


def refusal(frame: Frame) -> str:
    """Say why the device refused, "" if it did not."""
    if frame.cid2 == OK:
        return ""
    return RETURNS.get(frame.cid2, f"the maker's own code {frame.cid2:02X}")


def _length(lenid: int) -> int:
    nibbles = (lenid >> 8) + (lenid >> 4 & 0xF) + (lenid & 0xF)
    return (-nibbles & 0xF) << 12 | lenid


def _checksum(characters: bytes) -> int:
    return -sum(characters) & 0xFFFF
