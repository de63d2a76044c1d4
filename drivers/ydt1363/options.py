"""What the station file may say about an air conditioner that speaks YD/T 1363.3."""

import struct
from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.driver import Duration, Options, Quality, Reading

_SIZES = {"u8": 1, "u16": 2, "i16": 2, "f32": 4}
_LARGEST = 1e9
_EMPTY = 0x20
"""What a unit writes into every byte of a place it has no value for."""


class Point(Options):
    """One value in the answer to one command."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    """The point's name, the unit in it."""
    command: str = Field(pattern=r"^[0-9A-F]{2}$")
    """CID2 of the question: `42` analogue values, `43` states, `44` warnings, `46` parameters (`41` and `47`: as
    floating point)."""
    at: int = Field(ge=0, le=2000)
    """Byte in the answer's INFO where the value begins, from 0; two digits on the wire are one byte."""
    type: Literal["u8", "u16", "i16", "f32"]
    """Width and sign; `u16` and `i16` high byte first, `f32` low byte first."""
    scale: float = 1.0
    """Multiplies the number."""
    valid: tuple[float, float] | None = None
    """Lowest and highest value that can be; anything else is told as bad."""
    change: float = Field(0.0, ge=0)
    """A change of at least this much is worth telling."""
    states: dict[int, str] | None = None
    """What numbers mean; one that is not listed is told as bad."""
    normal: int | None = None
    """The number that means all is well: any other raises the alarm `device_fault`."""

    @model_validator(mode="after")
    def _numbers_for_states(self) -> Self:
        if self.type == "f32" and (self.states is not None or self.normal is not None):
            raise ValueError("type f32 has no states – take u8, u16 or i16")
        return self

    @property
    def end(self) -> int:
        """The byte behind the value."""
        return self.at + _SIZES[self.type]

    def raw(self, info: bytes) -> float | int | None:
        """Return the number in `info`, which reaches to `end`; None for a place left empty."""
        data = info[self.at : self.end]
        if set(data) == {_EMPTY} and self.type != "u8":
            return None
        if self.type == "f32":
            number: float = struct.unpack("<f", data)[0]
            # Also false for NaN and infinity.
            return number if abs(number) < _LARGEST else None
        return int.from_bytes(data, "big", signed=self.type == "i16")

    def place(self, info: bytearray, number: float) -> None:
        """Undo `raw`."""
        if self.type == "f32":
            info[self.at : self.end] = struct.pack("<f", number)
        else:
            info[self.at : self.end] = round(number).to_bytes(self.end - self.at, "big", signed=self.type == "i16")

    def reading(self, number: float | None) -> Reading:
        """Return what a number means."""
        if number is None:
            return Reading(self.name, None)
        if self.states is not None:
            state = self.states.get(int(number))
            why = f"{number:g} is no state listed"
            return Reading(self.name, state) if state else Reading(self.name, None, quality=Quality.BAD, why=why)
        value = round(number * self.scale, 6)
        if self.valid is not None and not self.valid[0] <= value <= self.valid[1]:
            why = f"{value:g} is outside {self.valid[0]:g} to {self.valid[1]:g}"
            return Reading(self.name, None, quality=Quality.BAD, why=why)
        return Reading(self.name, value, change=self.change)


class YdtOptions(Options):
    """Keys of a `[[device]]` with `driver = "ydt1363"`."""

    address: int = Field(1, ge=1, le=254)
    """ADR of the unit."""
    version: str = Field("21", pattern=r"^[0-9A-F]{2}$")
    """VER that the unit expects, hexadecimal: `20` and `21` are common."""
    cid1: str = Field("60", pattern=r"^[0-9A-F]{2}$")
    """Kind of device, hexadecimal: `60` is an air conditioner."""
    start: Literal["7E", "3E"] = "7E"
    """First byte of each frame, hexadecimal: a few makes take 3E."""
    points: tuple[Point, ...] = Field(min_length=1)
    """The values, from the maker's document: the standard leaves their places to the maker."""
    timeout: Duration = Field(1.0, gt=0, le=5)
    """Longest wait for an answer."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [point.name for point in self.points]
        twice = sorted(name for name in set(names) if names.count(name) > 1)
        if twice:
            raise ValueError(f"points: name {twice[0]} is used twice – each point needs its own")
        return self

    @property
    def commands(self) -> dict[str, tuple[Point, ...]]:
        """CID2 -> the points in its answer."""
        wanted = dict.fromkeys(point.command for point in self.points)
        return {command: tuple(p for p in self.points if p.command == command) for command in wanted}
