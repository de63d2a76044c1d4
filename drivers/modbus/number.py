"""Numbers in registers: width, sign, BCD, floats and the order of words and bytes."""

import math
import struct
from dataclasses import dataclass
from typing import Literal

WordOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""How the bytes A (highest) to D (lowest) of a 32-bit number follow each other on the wire; 64 bits likewise.

ABCD high word first, as the specification has it for registers; CDAB low word first; BADC and DCBA the same with the
two bytes of each register exchanged.
"""

Type = Literal["u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "bcd16", "bcd32", "text"]


@dataclass(frozen=True, slots=True)
class _Kind:
    width: int
    signed: bool = False
    bcd: bool = False
    pattern: str = ""
    digits: int = 0
    """Significant decimal digits of a float; more would be an artefact of the conversion."""


_KINDS = {
    "u16": _Kind(1),
    "s16": _Kind(1, signed=True),
    "u32": _Kind(2),
    "s32": _Kind(2, signed=True),
    "u64": _Kind(4),
    "s64": _Kind(4, signed=True),
    "f32": _Kind(2, pattern=">f", digits=7),
    "f64": _Kind(4, pattern=">d", digits=15),
    "bcd16": _Kind(1, bcd=True),
    "bcd32": _Kind(2, bcd=True),
}


def width_of(kind: Type) -> int:
    """Registers that one number takes (text: one)."""
    return _KINDS[kind].width if kind in _KINDS else 1


def is_integer(kind: Type) -> bool:
    """True if the registers hold a whole number."""
    return kind in _KINDS and not _KINDS[kind].pattern


def join(words: tuple[int, ...], order: WordOrder) -> int:
    """Put registers together to one unsigned number."""
    raw = 0
    for word in reversed(words) if order in ("CDAB", "DCBA") else words:
        raw = raw << 16 | (_swapped(word) if order in ("BADC", "DCBA") else word)
    return raw


def split(raw: int, width: int, order: WordOrder) -> tuple[int, ...]:
    """Take an unsigned number apart into `width` registers: the inverse of `join`."""
    words = [raw >> shift & 0xFFFF for shift in range(16 * (width - 1), -1, -16)]
    if order in ("BADC", "DCBA"):
        words = [_swapped(word) for word in words]
    return tuple(words[::-1] if order in ("CDAB", "DCBA") else words)


def number_of(raw: int, kind: Type, scale: float, offset: float) -> float | None:
    """Return what the unsigned number `raw` means; None if its digits or its float are none."""
    known = _KINDS[kind]
    if known.pattern:
        (exact,) = struct.unpack(known.pattern, raw.to_bytes(2 * known.width, "big"))
        scaled = exact * scale + offset
        return float(f"{scaled:.{known.digits}g}") if math.isfinite(scaled) else None
    number = raw
    if known.bcd:
        digits = f"{raw:x}"
        if not digits.isdecimal():
            return None
        number = int(digits)
    elif known.signed and raw >> 16 * known.width - 1:
        number = raw - (1 << 16 * known.width)
    if scale == 1 and offset == int(offset):
        return number + int(offset)
    # Scaling in binary gives 30.500000000000004: cut to the decimals that scale and offset themselves have.
    return round(number * scale + offset, max(_decimals(scale), _decimals(offset)))


def raw_of(number: float, kind: Type, scale: float, offset: float) -> int:
    """Return the unsigned number that means `number`: the inverse of `number_of`."""
    known = _KINDS[kind]
    plain = (number - offset) / scale
    if known.pattern:
        return int.from_bytes(struct.pack(known.pattern, plain), "big")
    whole = round(plain)
    return int(f"{whole}", 16) if known.bcd else whole & ((1 << 16 * known.width) - 1)


def text_of(words: tuple[int, ...], order: WordOrder) -> str | None:
    """Return the ASCII text in registers up to the first NUL, blanks around it cut; None if it is not printable."""
    data = b"".join((_swapped(word) if order in ("BADC", "DCBA") else word).to_bytes(2, "big") for word in words)
    text = data.split(b"\0", 1)[0].strip(b" \xff")
    return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else None


def words_of(text: str, width: int, order: WordOrder) -> tuple[int, ...]:
    """Return `text` in `width` registers, filled up with NUL: the inverse of `text_of`."""
    data = text.encode("ascii")[: 2 * width].ljust(2 * width, b"\0")
    words = (int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    return tuple(_swapped(word) if order in ("BADC", "DCBA") else word for word in words)


def _swapped(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8


def _decimals(number: float) -> int:
    _, _, fraction = f"{number:.10f}".rstrip("0").partition(".")
    return len(fraction)
