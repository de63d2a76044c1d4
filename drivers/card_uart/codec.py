"""Frames of serial card readers, and a count of those that fail.

Two variants, both 14 bytes at 9600 baud 8N1 between 02 and 03:

* `rdm6300` (RDM6300, RDM630 and other EM4100 readers): 10 upper-case hexadecimal digits, which are the version byte and
  the 32-bit card number, then the XOR of these five bytes in 2 digits. Source: Tasmota `xsns_51_rdm6300`; the reader
  repeats the frame about every 65 ms while the card is present (arduino12/rdm6300).
* `decimal10`: 10 decimal digits, the 32-bit card number, then CR LF; no checksum. Source: unnamed public source.

Neither 02 nor 03 can occur between the ends, so that 02 always begins a frame, whatever went before.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from edge_agent.driver import Alarm, Reading, Record

Variant: TypeAlias = Literal["rdm6300", "decimal10"]

FRAME_BYTES = 14
_START, _END = 0x02, 0x03
_CRLF = b"\r\n"
_HEX = frozenset(b"0123456789ABCDEF")
_DECIMAL = frozenset(b"0123456789")
_NUMBER_BITS = 32
_HARMLESS = frozenset((0x00, _END, *_CRLF))
"""Bytes between frames that mean nothing: line ends of chatty readers, a break, the tail of a frame too long."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a good frame tells: its bits, most significant first (40 of an EM4100 tag, 32 of ten decimal digits)."""

    bits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that is none: `reason` is `no_start`, `truncated`, `end`, `digits`, `checksum` or `range`."""

    reason: str


def decode(frame: bytes, variant: Variant) -> Card | Rejected:
    """Check one frame of 14 bytes from 02 to 03."""
    if len(frame) != FRAME_BYTES or frame[0] != _START:
        return Rejected("truncated")
    if frame[-1] != _END:
        return Rejected("end")
    return _decode_rdm6300(frame[1:-1]) if variant == "rdm6300" else _decode_decimal10(frame[1:-1])


def encode(card: int, variant: Variant) -> bytes:
    """Return the frame in which a reader tells `card` (40 bits for `rdm6300`, 32 for `decimal10`)."""
    if variant == "decimal10":
        return bytes((_START, *f"{card:010d}".encode(), *_CRLF, _END))
    number = card.to_bytes(5)
    return bytes((_START, *(number + bytes((_xor(number),))).hex().upper().encode(), _END))


def _decode_rdm6300(body: bytes) -> Card | Rejected:
    if not _HEX.issuperset(body):
        return Rejected("digits")
    *number, check = bytes.fromhex(body.decode())
    if _xor(bytes(number)) != check:
        return Rejected("checksum")
    return Card("".join(f"{byte:08b}" for byte in number))


def _decode_decimal10(body: bytes) -> Card | Rejected:
    if body[-2:] != _CRLF or not _DECIMAL.issuperset(body[:-2]):
        return Rejected("digits")
    number = int(body[:-2])
    if number >= 1 << _NUMBER_BITS:
        return Rejected("range")
    return Card(f"{number:0{_NUMBER_BITS}b}")


def _xor(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value


class Framer:
    """Cuts a stream of bytes into frames, whatever comes; holds at most one frame."""

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._frame = bytearray()
        self._stray = False

    def feed(self, data: bytes) -> Iterator[Card | Rejected]:
        """Take bytes as they come; a run of bytes outside any frame counts as one frame whose start was lost."""
        for byte in data:
            if byte == _START:
                yield from self.end()
                self._frame.append(byte)
            elif self._frame:
                self._frame.append(byte)
                if len(self._frame) == FRAME_BYTES:
                    frame = bytes(self._frame)
                    self._frame.clear()
                    yield decode(frame, self._variant)
            elif byte not in _HARMLESS:
                self._stray = True

    def end(self) -> Iterator[Rejected]:
        """The frame cannot go on: a new one begins, or the line has been silent for too long."""
        if self._stray:
            yield Rejected("no_start")
        if self._frame:
            yield Rejected("truncated")
        self._stray = False
        self._frame.clear()


class RejectWatch:
    """Counts the frames a card reader garbles and says when they are too many: then people go uncounted."""

    FAULTY = 5
    """Rejected frames within `WINDOW` that make the reader faulty."""
    WINDOW = 60.0
    """Seconds; as long without a rejected frame makes it sound again."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=self.FAULTY)
        self._since: float | None = None
        # None: not known yet. An alarm from before a restart must be cleared as well.
        self._faulty: bool | None = None

    def reject(self, reason: str, at: float) -> Iterator[Record]:
        """Count one rejected frame at monotonic time `at` (s). Its content goes nowhere: a person is behind it."""
        self._counts[reason] += 1
        self._recent.append(at)
        self._since = at
        yield Reading("rejected_frames", self._counts.total())
        yield Reading(f"rejected_{reason}", self._counts[reason])
        if not self._faulty and len(self._recent) == self.FAULTY and at - self._recent[0] <= self.WINDOW:
            self._faulty = True
            yield Alarm("reader_faulty", active=True, detail={"rejected": self._counts.total(), "reason": reason})

    def clean(self, now: float) -> Iterator[Record]:
        """Time has come to `now` (monotonic s): clear the alarm after a window without a rejected frame."""
        if self._since is None:
            self._since = now
        if self._faulty is not False and now - self._since >= self.WINDOW:
            self._faulty = False
            yield Alarm("reader_faulty", active=False)
