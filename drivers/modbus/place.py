"""Where a value lies: area and address, which may depend on the slot of a cabinet."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from drivers.modbus.codec import Function

MAX_SLOTS = 99
"""Slot numbers have two digits in the names of points."""

_NUMBER = r"0x[0-9a-fA-F]{1,4}|\d{1,5}"
_STEP = r"\(\s*slot\s*-\s*1\s*\)"
_LINEAR = re.compile(rf"\s*({_NUMBER})(?:\s*\+\s*{_STEP}(?:\s*\*\s*({_NUMBER}))?)?\s*")
_BY_SLOT = re.compile(r"\s*slot\s*(?:-\s*(\d))?\s*")
_AREA = re.compile(r"\s*(coil|discrete|holding|input)\s*:(.*)")


class Table(BaseModel):
    """Common to everything in a profile file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Linear(Table):
    """A number that may grow with the slot: `base + (slot-1)*stride`, slots counted from 1."""

    base: int = Field(ge=-1)
    stride: int = Field(0, ge=0)

    def at(self, slot: int) -> int:
        """Return the number for one slot."""
        return self.base + (slot - 1) * self.stride


class At(Table):
    """A place in a device: area and address as it travels on the wire (0-based)."""

    area: Area
    address: int = Field(ge=0, le=0xFFFF)
    stride: int = Field(0, ge=0, le=0xFFFF)
    """Added for each slot after the first."""

    def of_slot(self, slot: int) -> "At":
        """Return the place of one slot; ValueError if it lies beyond the last address."""
        address = self.address + (slot - 1) * self.stride
        if address > 0xFFFF:
            raise ValueError(f"slot {slot} would lie at address {address}, beyond 65535")
        return At(area=self.area, address=address)

    def __str__(self) -> str:
        return f"{self.area.value}:{self.address}"


def parse_linear(text: str) -> Linear | None:
    """Parse "100", "0x64 + (slot-1)*20", "slot-1" or "slot"; None if it is none of these."""
    if (match := _LINEAR.fullmatch(text)) is not None:
        grows = "slot" in text
        return Linear(base=int(match[1], 0), stride=int(match[2] or "1", 0) if grows else 0)
    if (match := _BY_SLOT.fullmatch(text)) is not None:
        return Linear(base=1 - int(match[1] or 0), stride=1)
    return None


def _parse_at(text: object) -> object:
    if not isinstance(text, str):
        return text
    match = _AREA.fullmatch(text)
    linear = parse_linear(match[2]) if match is not None else None
    if match is None or linear is None:
        raise ValueError(
            f'{text!r} is not a place like "holding:3", "input:0x0101" (coil, discrete, holding, input) '
            'or, with slots, "holding:100 + (slot-1)*20"'
        )
    return {"area": match[1], "address": linear.base, "stride": linear.stride}


def _parse_bit(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"base": value}
    linear = parse_linear(value) if isinstance(value, str) else None
    if linear is None or linear.base < 0:
        raise ValueError(f'{value!r} is not a bit number like 3 or, with slots, "slot-1" or "0 + (slot-1)*2"')
    return linear


Place = Annotated[At, BeforeValidator(_parse_at)]
Bit = Annotated[Linear, BeforeValidator(_parse_bit)]
