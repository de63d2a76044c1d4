"""The 8A/80 lock-board family as bytes: no port, no time.

Every frame is `head board lock code BCC`, BCC = XOR of all bytes before it. Head 8A opens, head 80 asks; lock 0 means
"all". The answer to "ask all" carries no lock number: `80 board bitmap… 33 BCC`, highest group of eight first, bit 0 of
the last byte is lock 1. Source: public lock-board code, frames in `vectors/lockboard_8a80.jsonl`.
"""

from collections.abc import Callable
from functools import reduce
from operator import xor

OPEN = 0x8A
QUERY = 0x80
DO_OPEN = 0x11
ASK = 0x33
STATUSES = frozenset({0x00, 0x11})
"""The only status bytes seen; what they mean differs from board to board."""
MAX_LOCKS = 48


def seal(body: bytes) -> bytes:
    """Append the BCC."""
    return body + bytes((reduce(xor, body),))


def sealed(frame: bytes) -> bool:
    """Return whether the BCC fits: the XOR over a whole frame is zero."""
    return reduce(xor, frame) == 0


def open_request(board: int, lock: int) -> bytes:
    """Return the command that opens one lock, counted from 1."""
    return seal(bytes((OPEN, board, lock, DO_OPEN)))


def query_all_request(board: int) -> bytes:
    """Return the question for the state of all locks."""
    return seal(bytes((QUERY, board, 0, ASK)))


def groups(locks: int) -> int:
    """Return how many bitmap bytes a board with `locks` locks sends."""
    return (locks + 7) // 8


def find_open_reply(data: bytes, board: int, lock: int) -> bytes | None:
    """Return the first good answer to an open command in `data`, or None."""
    return _find(data, bytes((OPEN, board, lock)), 5, lambda frame: frame[3] in STATUSES)


def find_query_all_reply(data: bytes, board: int, locks: int) -> bytes | None:
    """Return the first good bitmap frame of this board in `data`, or None."""
    size = groups(locks) + 4
    return _find(data, bytes((QUERY, board)), size, lambda frame: frame[-2] == ASK)


def bits(frame: bytes, locks: int) -> tuple[bool, ...]:
    """Return the bit of each lock, lock 1 first, from a checked bitmap frame."""
    bitmap = int.from_bytes(frame[2:-2], "big")
    return tuple(bool(bitmap >> index & 1) for index in range(locks))


def bitmap_reply(board: int, states: tuple[bool, ...]) -> bytes:
    """Return the board's side of "ask all": the bit of each lock, lock 1 first."""
    bitmap = sum(1 << index for index, state in enumerate(states) if state)
    return seal(bytes((QUERY, board)) + bitmap.to_bytes(groups(len(states)), "big") + bytes((ASK,)))


def _find(data: bytes, head: bytes, size: int, fits: Callable[[bytes], bool]) -> bytes | None:
    start = data.find(head)
    while start >= 0:
        frame = data[start : start + size]
        if len(frame) == size and sealed(frame) and fits(frame):
            return frame
        start = data.find(head, start + 1)
    return None
