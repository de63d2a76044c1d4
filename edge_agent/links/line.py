"""How characters look on a serial wire; devices on one pair may differ in it."""

from dataclasses import dataclass
from typing import Literal

SHORTEST_GUARD = 0.00175
"""Modbus over Serial Line V1.02 §2.5.1.1: above 19200 baud the pause between frames stays at 1.75 ms."""
_GUARD_CHARACTERS = 3.5
"""The longest pause between frames that any protocol here asks for (ibidem)."""

Parity = Literal["N", "E", "O"]
StopBits = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Line:
    """8 data bits always, `baud` in bits per second."""

    baud: int = 9600
    parity: Parity = "N"
    stop_bits: StopBits = 1

    @property
    def character(self) -> float:
        """Seconds one character takes: start bit, 8 data bits, parity, stop bits."""
        return (9 + (self.parity != "N") + self.stop_bits) / self.baud

    @property
    def guard(self) -> float:
        """Seconds of silence that separate two frames."""
        return max(_GUARD_CHARACTERS * self.character, SHORTEST_GUARD)
