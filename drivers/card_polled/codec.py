"""Card readers that are asked: question `01 C8 00 01` and XOR, answer `02 C8 00 status [UID] XOR`.

The XOR covers all bytes before it. The fourth byte of an answer is a status, not a length: 00 no card, 02 a card, whose
four bytes of UID follow. Source: unnamed public code, frames in `vectors/uart_polled_reader.jsonl`.
"""

from dataclasses import dataclass, field
from functools import reduce
from operator import xor

from edge_agent.driver import DeviceError

_ANSWER = b"\x02\xc8\x00"
_EMPTY, _CARD = 0x00, 0x02
_SIZES = {_EMPTY: 5, _CARD: 9}


def seal(body: bytes) -> bytes:
    """Append the XOR."""
    return body + bytes((reduce(xor, body),))


QUESTION = seal(b"\x01\xc8\x00\x01")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reader sees: four bytes of UID, b"" for no card."""

    uid: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return seal(_ANSWER + bytes((_CARD if self.uid else _EMPTY,)) + self.uid)


def decode(frame: bytes) -> Answer:
    """Return what an answer tells; raises DeviceError without any byte of it: start, status, length, checksum."""
    if not frame.startswith(_ANSWER):
        raise DeviceError("start: no answer of this reader")
    size = _SIZES.get(frame[3]) if len(frame) > 3 else None
    if size is None:
        raise DeviceError("status: neither 00 nor 02")
    if len(frame) != size:
        raise DeviceError(f"length: {len(frame)} bytes where the status says {size}")
    if reduce(xor, frame):
        raise DeviceError("checksum: the XOR does not fit")
    return Answer(frame[4:-1])


def find(received: bytes) -> bytes | None:
    """Return the first whole, checked answer in `received`, or None."""
    start = received.find(_ANSWER)
    while start >= 0:
        status = received[start + 3 : start + 4]
        frame = received[start : start + _SIZES.get(status[0], 0)] if status else b""
        try:
            decode(frame)
        except DeviceError:
            start = received.find(_ANSWER, start + 1)
        else:
            return frame
    return None
