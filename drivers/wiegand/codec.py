"""Wiegand: bits to cards and keys, and back. Bits are strings of "0" and "1" in the order they came.

Layouts and parity: ESPHome `components/wiegand/wiegand.cpp` and Proxmark3 `client/src/wiegand_formats.c`. The first bit
makes the first half even, the last bit the second half odd; with 37 bits the middle one belongs to both halves. Random
bits pass both parities one time in four: parity is not proof, and the rules for edges in `frames.py` matter more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Format: TypeAlias = Literal["w26", "w34", "w37_h10302", "w37_h10304"]
Keypad: TypeAlias = Literal["none", "4bit", "8bit"]

_KEYS = "0123456789*#"
_KEY_BITS = {"none": 0, "4bit": 4, "8bit": 8}


class RejectedFrame(Exception):  # noqa: N818  (a frame being refused is an outcome, not a failure of ours)
    """The bits are no card; the text is the reason and tells nothing of the bits."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Bits of a format: `bits` with both parities, of which `facility` (may be 0) and `number` carry data."""

    bits: int
    facility: int
    number: int

    @property
    def half(self) -> int:
        """How many bits each parity covers, its own included."""
        return (self.bits + 1) // 2


LAYOUTS: dict[str, Layout] = {
    "w26": Layout(26, 8, 16),
    "w34": Layout(34, 16, 16),
    "w37_h10302": Layout(37, 0, 35),
    "w37_h10304": Layout(37, 16, 19),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card: its format and the data bits without parity."""

    format: str
    bits: str = field(repr=False)

    @property
    def facility(self) -> int:
        """The upper, shared part of the number; 0 in formats without one."""
        return int(self.bits[: LAYOUTS[self.format].facility] or "0", 2)

    @property
    def number(self) -> int:
        """The lower part of the number."""
        return int(self.bits[LAYOUTS[self.format].facility :], 2)


def decode(bits: str, formats: Iterable[str]) -> Card:
    """Return the card of the one format whose length fits; raises RejectedFrame: `unknown_length` or `parity`."""
    for name in formats:
        layout = LAYOUTS[name]
        if len(bits) == layout.bits:
            if bits[: layout.half].count("1") % 2 or not bits[-layout.half :].count("1") % 2:
                raise RejectedFrame("parity")
            return Card(name, bits[1:-1])
    raise RejectedFrame("unknown_length")


def encode(number: int, card_format: str) -> str:
    """Return the bits of a frame; `number` holds facility and card number together, as 24 bits for `w26`."""
    layout = LAYOUTS[card_format]
    width = layout.facility + layout.number
    if not 0 <= number < 1 << width:
        raise ValueError(f"a {card_format} card has {width} bits")
    data = f"{number:0{width}b}"
    even = data[: layout.half - 1].count("1") % 2
    odd = 1 - data[-(layout.half - 1) :].count("1") % 2
    return f"{even}{data}{odd}"


def is_key(bits: str, keypad: Keypad) -> bool:
    """Tell whether a burst has the length and form of one key press."""
    return len(bits) == _KEY_BITS[keypad] and decode_key(bits) is not None


def decode_key(bits: str) -> str | None:
    """Return the key of a burst of 4 bits, or 8 whose upper half is the complement of the lower; None if it is none."""
    if len(bits) not in {4, 8}:
        return None
    key = int(bits[-4:], 2)
    if key >= len(_KEYS) or (len(bits) == 8 and int(bits[:4], 2) != 15 - key):
        return None
    return _KEYS[key]


def encode_key(key: str, keypad: Keypad) -> str:
    """Return the burst of one key press."""
    value = _KEYS.index(key)
    return f"{value:04b}" if keypad == "4bit" else f"{15 - value:04b}{value:04b}"
