"""One point of a profile: where it lies, what its registers mean, which values to believe."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from drivers.modbus.number import (
    Type,
    WordOrder,
    is_integer,
    join,
    number_of,
    raw_of,
    split,
    text_of,
    width_of,
    words_of,
)
from drivers.modbus.place import MAX_SLOTS, At, Bit, Place, Table
from drivers.modbus.sim import Held, Sim
from edge_agent.driver import ALARM_CODES, Quality, Reading, Scalar, Value

_MOST_REGISTERS = 125


def _parse_key(key: object) -> object:
    """TOML knows only text as keys: "85", "0xFFFF"."""
    return int(key, 0) if isinstance(key, str) and re.fullmatch(r"0x[0-9a-fA-F]+|\d+", key) else key


Key = Annotated[int, BeforeValidator(_parse_key)]


class Point(Table):
    """One value of a device, or with `slots` one of each slot of a cabinet."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Key of the value, its unit in the name: `temperature_c`. With `slots` the keys are `slot_01_NAME`, …"""
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)] | None = None
    """The value exists once for each of so many slots, counted from 1."""
    at: Place
    """Area and 0-based address: "input:1", "holding:0x00d7"; with slots "holding:100 + (slot-1)*20"."""
    bit: Bit | None = None
    """One bit of the register (0 = lowest), true or false; 16 and more lie in the registers behind it."""
    type: Type = "u16"
    """How the registers are read; coils and discrete inputs are always true or false."""
    length: int = Field(1, ge=1, le=_MOST_REGISTERS)
    """Registers of a text."""
    count: int = Field(1, ge=1, le=_MOST_REGISTERS)
    """So many numbers in a row make one list."""
    word_order: WordOrder = "ABCD"
    """Order of the bytes of a number of several registers: ABCD high word first, CDAB low word first."""
    scale: float = 1.0
    """Multiplies the raw number; negative turns the sign."""
    offset: float = 0.0
    """Added after scaling."""
    unit: str = ""
    """Unit for people: "°C"."""
    valid: tuple[float, float] | None = None
    """Lowest and highest believable value, after scaling; outside it nothing is reported."""
    max_rate: Annotated[float, Field(gt=0)] | None = None
    """Fastest believable change, per second; a jump beyond it is not reported until it has had the time."""
    error_values: tuple[int, ...] = ()
    """Raw unsigned numbers by which the device says that it has no value; left out of a list."""
    states: dict[Key, str] = Field({})
    """Raw number (or bit) to name; a number not listed is not believed."""
    bits: dict[Key, str] = Field({})
    """Bit number to name; the value is the names of the bits set."""
    alarms: dict[Key, str] = Field({})
    """Raw number, or with `bits` the number of a bit, to the code of the alarm it raises: { 1 = "smoke" }."""
    change: float = Field(0.0, ge=0)
    """Smallest change worth telling."""
    prompt: bool = False
    """Told at once: doors and everything of safety."""
    sim: Sim = Sim(value=0)
    """What the simulator holds here."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse what cannot be meant."""
        integer = is_integer(self.type) and self.count == 1
        if self.states and self.bits:
            raise ValueError("a point has states or bits, not both")
        if (self.states or self.bits or self.alarms) and not integer:
            raise ValueError("states, bits and alarms need one whole number")
        if self.error_values and not is_integer(self.type):
            raise ValueError("error_values need an integer type")
        if self.flag and (self.bits or self.error_values or self.type != "u16" or self.count > 1 or self.valid):
            raise ValueError("a coil, discrete input or bit is true or false, or has states, and nothing else")
        if self.at.area.bits and self.bit is not None:
            raise ValueError("a coil or discrete input is a bit already; bit is for registers")
        if self.length > 1 and self.type != "text":
            raise ValueError('length is for type = "text"; use count for a list of numbers')
        if self.max_rate and not (is_integer(self.type) or self.type in ("f32", "f64")):
            raise ValueError("max_rate needs a number")
        if self.width > _MOST_REGISTERS:
            raise ValueError(f"takes {self.width} registers; one read brings at most {_MOST_REGISTERS}")
        if self.scale == 0:
            raise ValueError("scale = 0 would make every value 0")
        if self.valid and self.valid[0] > self.valid[1]:
            raise ValueError("valid has its lowest value first")
        if self.sim.names and not self.states and self.type != "text":
            raise ValueError("sim names a state, but the point has no states")
        self._fits_slots()
        unknown = sorted(set(self.alarms.values()) - ALARM_CODES)
        if unknown:
            raise ValueError(f"alarms: {unknown[0]!r} is not a known alarm; there are {', '.join(sorted(ALARM_CODES))}")
        return self

    def _fits_slots(self) -> None:
        by_slot = self.at.stride or (self.bit is not None and self.bit.stride)
        if by_slot and self.slots is None:
            raise ValueError("its place depends on the slot – add slots = 12 (or as many as there are)")
        if self.slots is not None:
            if self.slots > 1 and not by_slot:
                raise ValueError('all slots would read one place – write it like "holding:100 + (slot-1)*20"')
            self.at.of_slot(self.slots)

    def each(self) -> tuple["Point", ...]:
        """Return the points that it stands for: itself, or one for each slot, with name, place and bit of its own."""
        if self.slots is None:
            return (self._of_slot(1, self.name),)
        return tuple(self._of_slot(slot, f"slot_{slot:02}_{self.name}") for slot in range(1, self.slots + 1))

    def _of_slot(self, slot: int, name: str) -> "Point":
        at, bit = self.at.of_slot(slot), self.bit
        if bit is not None:
            register, number = divmod(bit.at(slot), 16)
            at = At(area=at.area, address=at.address + register)
            bit = type(bit)(base=number)
        return self.model_copy(update={"name": name, "slots": None, "at": at, "bit": bit})

    @cached_property
    def flag(self) -> bool:
        """True if it is a single bit."""
        return self.at.area.bits or self.bit is not None

    @cached_property
    def width(self) -> int:
        """Registers (or bits) it takes."""
        return self.length if self.type == "text" else self.count * width_of(self.type)

    # ---- from registers to a value

    def read(self, words: tuple[int, ...]) -> Reading:
        """Turn `width` registers (or one bit) into a Reading: a bad one, without value, if they are not believable."""
        value, doubt = self._list(words) if self.count > 1 else self._single(words)
        return self.doubted(doubt) if doubt else self._reading(value)

    def doubted(self, why: str) -> Reading:
        """Return the Reading that has no value, for the reason given."""
        return Reading(self.name, None, prompt=self.prompt, quality=Quality.BAD, why=why)

    def raised(self, words: tuple[int, ...]) -> Iterable[tuple[str, bool]]:
        """Yield (alarm code, whether these registers raise it) of each alarm of the point."""
        raw = self._raw(words)
        for number, code in self.alarms.items():
            yield code, bool(raw >> number & 1) if self.bits else raw == number

    def _reading(self, value: Value | None) -> Reading:
        return Reading(self.name, value, change=self.change, prompt=self.prompt)

    def _raw(self, words: tuple[int, ...]) -> int:
        if self.bit is not None:
            return words[0] >> self.bit.base & 1
        return words[0] if self.at.area.bits else join(words, self.word_order)

    def _list(self, words: tuple[int, ...]) -> tuple[Value | None, str]:
        step = width_of(self.type)
        values: list[Scalar] = []
        for start in range(0, self.width, step):
            part = words[start : start + step]
            if self._raw(part) in self.error_values:
                continue
            value, doubt = self._number(self._raw(part))
            if value is None:
                return None, f"number {start // step + 1}: {doubt}"
            values.append(value)
        return tuple(values), ""

    def _single(self, words: tuple[int, ...]) -> tuple[Value | None, str]:
        if self.type == "text":
            text = text_of(words, self.word_order)
            return text, "" if text is not None else "is not text"
        raw = self._raw(words)
        if raw in self.error_values:
            return None, f"the device has no value (error value {raw})"
        if self.states:
            return self.states.get(raw), "" if raw in self.states else f"state {raw} is not in the profile"
        if self.flag:
            return bool(raw), ""
        if self.bits:
            names = [self.bits.get(bit, f"bit_{bit}") for bit in range(16 * self.width) if raw >> bit & 1]
            return tuple(names), ""
        return self._number(raw)

    def _number(self, raw: int) -> tuple[float | None, str]:
        number = number_of(raw, self.type, self.scale, self.offset)
        if number is None:
            return None, "the device has no value (not a number)"
        if self.valid and not self.valid[0] <= number <= self.valid[1]:
            return None, f"{number:g} {self.unit} is outside {self.valid[0]:g} to {self.valid[1]:g}"
        return number, ""

    # ---- from a value to registers, for the simulator

    def words(self, value: Held) -> tuple[int, ...]:
        """Return the registers (or the bit) that read back as `value`: the inverse of `read`."""
        if self.type == "text":
            return words_of(str(value), self.width, self.word_order)
        if isinstance(value, str):
            raw = next(number for number, name in self.states.items() if name == value)
        elif self.flag:
            raw = int(bool(value))
        else:
            raw = raw_of(value, self.type, self.scale, self.offset)
        return split(raw, width_of(self.type), self.word_order) * self.count
