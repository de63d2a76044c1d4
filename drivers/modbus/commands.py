"""What a device may be told: the allow-list of a profile. Nothing else is ever written."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.modbus.codec import COIL_OFF, COIL_ON, Function, Request
from drivers.modbus.number import Type, WordOrder, is_integer, raw_of, split, width_of
from drivers.modbus.place import MAX_SLOTS, Area, Place, Table
from edge_agent.driver import Json, Scalar

_BY_CODE = {
    5: Function.WRITE_COIL,
    6: Function.WRITE_REGISTER,
    15: Function.WRITE_COILS,
    16: Function.WRITE_REGISTERS,
}
_SLOT = "slot"


class Argument(Table):
    """A number that comes with the command."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Its name, unit included: `setpoint_c`."""
    min: float
    """Lowest value accepted."""
    max: float
    """Highest value accepted."""
    type: Type = "u16"
    """How it stands in the registers."""
    word_order: WordOrder = "ABCD"
    """Order of its bytes in several registers."""
    scale: float = 1.0
    """What the register counts, as for a point."""
    offset: float = 0.0
    """Added after scaling, as for a point."""

    @model_validator(mode="after")
    def _numeric(self) -> Self:
        if not is_integer(self.type) and self.type not in ("f32", "f64"):
            raise ValueError("an argument is a number")
        if self.scale == 0 or self.name == _SLOT:
            raise ValueError('scale must not be 0, and the name "slot" is taken')
        return self

    def words(self, given: Json) -> tuple[int, ...]:
        """Return the registers for the value given; ValueError if it is none or out of range."""
        if isinstance(given, bool) or not isinstance(given, int | float) or not self.min <= given <= self.max:
            raise ValueError(f"{self.name} is a number from {self.min:g} to {self.max:g}, not {given!r}")
        return split(raw_of(given, self.type, self.scale, self.offset), width_of(self.type), self.word_order)


class Verb(Table):
    """Something the device can be told to do: one write, of coils or holding registers."""

    write: Place
    """Where: coil or holding register, by slot like a point."""
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)] | None = None
    """It takes the argument `slot`, 1 to this."""
    value: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """What: the register's number, or 0 and 1 for a coil."""
    values: tuple[Annotated[int, Field(ge=0, le=0xFFFF)], ...] = ()
    """What, for several coils or registers in one write."""
    argument: Argument | None = None
    """What, if it comes with the command."""
    function: Literal[5, 6, 15, 16] | None = None
    """Modbus function. Default: 5 for a coil, 6 for a register, 15 and 16 for several."""
    commanded: Scalar | None = None
    """What this asks for, reported as the point below: ordered, not observed. Default: the argument."""
    point: str = Field("commanded", pattern=r"^commanded[a-z0-9_]*$")
    """Point that tells what was ordered last."""

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.write.area not in (Area.COIL, Area.HOLDING):
            raise ValueError("only coils and holding registers can be written")
        if (self.value is not None) + bool(self.values) + (self.argument is not None) != 1:
            raise ValueError("give exactly one of value, values, argument")
        if self.commanded is None and self.argument is None:
            raise ValueError('say what is ordered: commanded = "on"')
        if self.write.area is Area.COIL and (self.argument or any(value > 1 for value in self._constants)):
            raise ValueError("a coil takes 0 or 1")
        if (self.slots is None) != (self.write.stride == 0):
            raise ValueError('slots and a place by slot belong together: "coil:0 + (slot-1)*1"')
        if self.slots is not None:
            self.write.of_slot(self.slots)
        fitting = (5, 15) if self.write.area is Area.COIL else (6, 16)
        if self.function is not None and self.function not in fitting:
            raise ValueError(f"a {self.write.area.value} is written with function {fitting[0]} or {fitting[1]}")
        if self.function in (5, 6) and self.width > 1:
            raise ValueError(f"function {self.function} writes one value, not {self.width}")
        return self

    @property
    def _constants(self) -> tuple[int, ...]:
        return self.values if self.value is None else (self.value,)

    @property
    def width(self) -> int:
        """Coils or registers that it writes."""
        return len(self._constants) or width_of(self.argument.type if self.argument else "u16")

    @property
    def how(self) -> Function:
        """The function that writes it."""
        coil = self.write.area is Area.COIL
        default = (15 if coil else 16) if self.width > 1 else (5 if coil else 6)
        return _BY_CODE[self.function or default]

    @property
    def wants(self) -> tuple[str, ...]:
        """Names of the arguments it takes."""
        return ((_SLOT,) if self.slots else ()) + ((self.argument.name,) if self.argument else ())

    def request(self, unit: int, args: Mapping[str, Json]) -> Request:
        """Return the write for `unit`; ValueError if the arguments are not those it takes."""
        if set(args) != set(self.wants):
            raise ValueError(f"takes {' and '.join(self.wants) or 'no arguments'}")
        at = self.write.of_slot(self._slot(args))
        words = self.argument.words(args[self.argument.name]) if self.argument else self._constants
        if self.how is Function.WRITE_COIL:
            words = (COIL_ON if words[0] else COIL_OFF,)
        return Request(unit, self.how, at.address, len(words), words)

    def orders(self, args: Mapping[str, Json]) -> tuple[str, Scalar]:
        """Return the point that tells of the order, and what it tells."""
        point = f"slot_{self._slot(args):02}_{self.point}" if self.slots else self.point
        given = args[self.argument.name] if self.argument else None
        ordered = given if self.commanded is None else self.commanded
        if not isinstance(ordered, bool | int | float | str):
            raise TypeError(f"{ordered!r} is no value")
        return point, ordered

    def _slot(self, args: Mapping[str, Json]) -> int:
        slot = args.get(_SLOT, 1)
        if isinstance(slot, bool) or not isinstance(slot, int) or not 1 <= slot <= (self.slots or 1):
            raise ValueError(f"slot is a whole number from 1 to {self.slots}, not {slot!r}")
        return slot
