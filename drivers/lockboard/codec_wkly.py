"""The WKLY lock-board family as bytes: no port, no time.

Frame both ways: `57 4B 4C 59 length board command data XOR`; length counts the whole frame, XOR runs over all bytes
before it. Answers begin their data with a status (00 done, FF failed) – except the report of a door that moved (85),
which comes unasked: `lock state`. States are 00 open, 01 closed, FF not known. Source: junerver/LockDemo (`lockctl`,
`lock_control_board_communication_instructions.md`), frames in `vectors/lockboard_wkly.jsonl`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor

from edge_agent.driver import DeviceError

MAGIC = b"WKLY"
OPEN_MANY = 0x80
FLASH = 0x81
OPEN = 0x82
QUERY = 0x83
QUERY_ALL = 0x84
REPORT = 0x85
OPEN_ALL = 0x86
OPEN_IN_TURN = 0x87
KEEP_ON = 0x88
SWITCH_OFF = 0x89
DONE = 0x00
UNKNOWN = 0xFF
"""State of a door whose board cannot tell."""
MAX_LOCKS = 48
_OVERHEAD = 8
"""Bytes of a frame without its data: magic, length, board, command, XOR."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of either direction."""

    board: int
    command: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        body = MAGIC + bytes((_OVERHEAD + len(self.data), self.board, self.command)) + self.data
        return body + bytes((reduce(xor, body),))


def decode(data: bytes) -> Frame:
    """Return the frame that `data` is, exactly; raises DeviceError: start, length, checksum."""
    if data[:4] != MAGIC:
        raise DeviceError("start: not 57 4B 4C 59", raw=data)
    if len(data) < _OVERHEAD or data[4] != len(data):
        raise DeviceError(f"length: {len(data)} bytes do not fit the frame's own length", raw=data)
    if reduce(xor, data) != 0:
        raise DeviceError("checksum: XOR does not fit", raw=data)
    return Frame(data[5], data[6], data[7:-1])


def find(received: bytes) -> Iterator[tuple[Frame, bytes]]:
    """Yield the whole, checked frames in `received`, each with its bytes; noise is stepped over."""
    start = received.find(MAGIC)
    while start >= 0:
        length = received[start + 4] if start + 4 < len(received) else 0
        data = received[start : start + length]
        try:
            frame = decode(data)
        except DeviceError:
            start = received.find(MAGIC, start + 1)
        else:
            yield frame, data
            start = received.find(MAGIC, start + length)


def unfinished(received: bytes) -> bytes:
    """Return the end of `received` in which a frame may have begun that is still to be completed."""
    start = received.rfind(MAGIC)
    if start >= 0:
        length = received[start + 4] if start + 4 < len(received) else _OVERHEAD
        return received[start:] if len(received) - start < length else b""
    return next((received[-size:] for size in (3, 2, 1) if received[-size:] == MAGIC[:size]), b"")


def report_of(frame: Frame) -> tuple[int, int] | None:
    """Return lock (1 …) and state byte of a report, None for any other frame."""
    if frame.command == REPORT and len(frame.data) == 2:
        return frame.data[0], frame.data[1]
    return None


def states_of(frame: Frame) -> bytes:
    """Return the state byte of each lock, lock 1 first, from an answer to "query all"; raises DeviceError if failed."""
    if frame.data[:1] != bytes((DONE,)):
        raise DeviceError("the board failed", op="query all", raw=frame.encode())
    count, states = frame.data[1:2], frame.data[2:]
    if count != bytes((len(states),)):
        raise DeviceError("the number of states is not the number said", op="query all", raw=frame.encode())
    return states
