"""One point of a profile: where it lies, what its registers mean, which values to believe."""

import math
import re
import struct
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from drivers.modbus.codec import Function
from edge_agent.driver import Duration, Quality, Reading, Value

_FLOAT_DIGITS = 7
"""Significant decimal digits of a 32-bit float; more would be an artefact of the conversion."""


class Table(BaseModel):
    """Common to everything in a profile file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Area(StrEnum):
    """The four address spaces of a Modbus device."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def read(self) -> Function:
        """The function that reads it."""
        return _READ_BY[self]

    @property
    def bits(self) -> bool:
        """True if it holds single bits, not 16-bit registers."""
        return self in (Area.COIL, Area.DISCRETE)


_READ_BY = {
    Area.COIL: Function.READ_COILS,
    Area.DISCRETE: Function.READ_DISCRETE_INPUTS,
    Area.HOLDING: Function.READ_HOLDING_REGISTERS,
    Area.INPUT: Function.READ_INPUT_REGISTERS,
}


class At(Table):
    """A place in a device: area and address as it travels on the wire (0-based)."""

    area: Area
    address: int = Field(ge=0, le=0xFFFF)


def _parse_at(text: object) -> object:
    if not isinstance(text, str):
        return text
    match = re.fullmatch(r"(coil|discrete|holding|input):(0x[0-9a-fA-F]+|\d+)", text)
    if match is None:
        raise ValueError(f'{text!r} is not a place like "holding:3" or "input:0x0101" (coil, discrete, holding, input)')
    return {"area": match[1], "address": int(match[2], 0)}


Place = Annotated[At, BeforeValidator(_parse_at)]


class Sim(Table):
    """What the simulator holds at a point, in the point's own unit (or the name of one of its states)."""

    value: float | str | None = None
    """A constant."""
    steps: tuple[float | str, ...] = ()
    """One after the other, each for an equal share of `period`."""
    wave: Literal["sine"] | None = None
    """Swings between `low` and `high` once a `period`, from the middle upwards."""
    low: float = 0.0
    high: float = 0.0
    period: Annotated[Duration, Field(gt=0)] = 86400.0
    """Such as "24h"."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.value is not None) + bool(self.steps) + (self.wave is not None) != 1:
            raise ValueError("give exactly one of value, steps, wave")
        return self

    def at(self, now: float) -> float | str:
        """Return the value at `now` (s)."""
        if self.value is not None:
            return self.value
        turn = now % self.period / self.period
        if self.steps:
            return self.steps[int(turn * len(self.steps))]
        middle, swing = (self.high + self.low) / 2, (self.high - self.low) / 2
        return middle + swing * math.sin(2 * math.pi * turn)


class Point(Table):
    """One value of a device."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Key of the value, its unit in the name: `temperature_c`."""
    at: Place
    """Area and 0-based address: "input:1", "holding:0x00d7"."""
    type: Literal["u16", "i16", "u32", "i32", "f32"] = "u16"
    """How the registers are read; coils and discrete inputs are always true or false."""
    order: Literal["be", "swap"] = "be"
    """Which of two registers comes first: the high word (be) or the low one (swap)."""
    scale: float = Field(1.0, gt=0)
    """Multiplies the raw number."""
    offset: float = 0.0
    """Added after scaling."""
    unit: str = ""
    """Unit for people: "°C"."""
    valid: tuple[float, float] | None = None
    """Lowest and highest believable value, after scaling; outside it nothing is reported."""
    error_values: tuple[int, ...] = ()
    """Raw unsigned numbers by which the device says that it has no value."""
    states: dict[int, str] = {}
    """Raw number to name; a number not listed is not believed."""
    bits: dict[int, str] = {}
    """Bit number to name; the value is the names of the bits set."""
    change: float = Field(0.0, ge=0)
    """Smallest change worth telling."""
    sim: Sim = Sim(value=0.0)
    """What the simulator holds here."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.states and self.bits:
            raise ValueError("a point has states or bits, not both")
        if self.type == "f32" and (self.states or self.bits or self.error_values):
            raise ValueError("states, bits and error_values need an integer type")
        if self.at.area.bits and (self.states or self.bits or self.error_values or self.type != "u16"):
            raise ValueError("a coil or discrete input is true or false and nothing else")
        if isinstance(self.sim.at(0.0), str) and not self.states:
            raise ValueError("sim names a state, but the point has no states")
        return self

    @property
    def width(self) -> int:
        """Registers (or bits) it takes."""
        return 2 if self.type in ("u32", "i32", "f32") else 1

    def read(self, words: tuple[int, ...]) -> Reading:
        """Turn `width` registers (or one bit) into a Reading: a bad one, without value, if they are not believable."""
        value, doubt = self._decode(words)
        if doubt:
            return Reading(self.name, None, quality=Quality.BAD, why=doubt)
        return Reading(self.name, value, change=self.change)

    def _decode(self, words: tuple[int, ...]) -> tuple[Value | None, str]:
        if self.at.area.bits:
            return bool(words[0]), ""
        raw = 0
        for word in words if self.order == "be" else reversed(words):
            raw = raw << 16 | word
        if raw in self.error_values:
            return None, f"the device has no value (error value {raw})"
        if self.states:
            return self.states.get(raw), "" if raw in self.states else f"state {raw} is not in the profile"
        if self.bits:
            names = [self.bits.get(bit, f"bit_{bit}") for bit in range(16 * self.width) if raw >> bit & 1]
            return tuple(names), ""
        number = self._scaled(raw)
        if not math.isfinite(number):
            return None, "the device has no value (not a number)"
        if self.valid and not self.valid[0] <= number <= self.valid[1]:
            return None, f"{number:g} {self.unit} is outside {self.valid[0]:g} to {self.valid[1]:g}"
        return number, ""

    def _scaled(self, raw: int) -> float:
        if self.type == "f32":
            (exact,) = struct.unpack(">f", raw.to_bytes(4, "big"))
            return float(f"{exact * self.scale + self.offset:.{_FLOAT_DIGITS}g}")
        top = 1 << (16 * self.width - 1)
        number = raw - 2 * top if self.type in ("i16", "i32") and raw >= top else raw
        if self.scale == 1 and self.offset == int(self.offset):
            return number + int(self.offset)
        # Scaling in binary gives 30.500000000000004: cut to the decimals that scale and offset themselves have.
        return round(number * self.scale + self.offset, max(_decimals(self.scale), _decimals(self.offset)))

    def words(self, value: float | str) -> tuple[int, ...]:
        """Return the registers (or the bit) that read back as `value`: the inverse of `read`, for the simulator."""
        if self.at.area.bits:
            return (int(bool(value)),)
        if isinstance(value, str):
            raw = next(number for number, name in self.states.items() if name == value)
        elif self.type == "f32":
            raw = int.from_bytes(struct.pack(">f", (value - self.offset) / self.scale), "big")
        else:
            raw = round((value - self.offset) / self.scale) & ((1 << 16 * self.width) - 1)
        words = tuple(raw >> shift & 0xFFFF for shift in range(16 * (self.width - 1), -1, -16))
        return words if self.order == "be" else words[::-1]


def _decimals(number: float) -> int:
    _, _, fraction = f"{number:.10f}".rstrip("0").partition(".")
    return len(fraction)
