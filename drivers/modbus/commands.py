"""What a device may be told: the allow-list of a profile. Nothing else is ever written."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from drivers.modbus.codec import COIL_OFF, COIL_ON, Function, Request
from drivers.modbus.number import Type, WordOrder, is_integer, raw_of, split, width_of
from drivers.modbus.place import MAX_SLOTS, Area, Place, Table
from drivers.modbus.pulses import Pulse
from edge_agent.driver import Arguments, Scalar, takes

_BY_CODE = {
    5: Function.WRITE_COIL,
    6: Function.WRITE_REGISTER,
    15: Function.WRITE_COILS,
    16: Function.WRITE_REGISTERS,
}
_SLOT = "slot"
_SECONDS = "seconds"
_TAKEN = frozenset({_SLOT, _SECONDS, "id", "by", "ts"})


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
        if self.scale == 0 or self.name in _TAKEN:
            raise ValueError(f"scale must not be 0, and these names are taken: {', '.join(sorted(_TAKEN))}")
        return self

    @property
    def kind(self) -> Any:
        """Its annotated type: a whole number where the registers hold no other."""
        whole = is_integer(self.type) and self.scale == int(self.scale) and self.offset == int(self.offset)
        return Annotated[int if whole else float, Field(ge=self.min, le=self.max)]

    def words(self, given: float) -> tuple[int, ...]:
        """Return the registers for a value within the limits; ValueError if they cannot hold it."""
        return split(raw_of(given, self.type, self.scale, self.offset), width_of(self.type), self.word_order)


class Back(Table):
    """A coil that goes back by itself, after as many seconds as the argument `seconds` says."""

    min: Annotated[float, Field(ge=0.1)] = 0.1
    """Shortest time accepted, in seconds."""
    max: Annotated[float, Field(gt=0, le=3600)]
    """Longest time accepted, in seconds."""
    commanded: str = "off"
    """What is reported as ordered from then on."""


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
    back: Back | None = None
    """It is a pulse: the coil goes back after a time."""
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
        if self.back is not None and (self.write.area is not Area.COIL or self.value is None):
            raise ValueError("only a single coil goes back by itself")
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
    def arguments(self) -> type[Arguments]:
        """What it takes."""
        slot = {_SLOT: Annotated[int, Field(ge=1, le=self.slots)]} if self.slots else {}
        back = {_SECONDS: Annotated[float, Field(ge=self.back.min, le=self.back.max)]} if self.back else {}
        return takes(**slot, **back, **({self.argument.name: self.argument.kind} if self.argument else {}))

    @property
    def points(self) -> tuple[str, ...]:
        """Every point that may tell of its orders."""
        return tuple(self._point_of(slot) for slot in range(1, (self.slots or 1) + 1))

    def request(self, unit: int, args: Mapping[str, Any]) -> Request:
        """Return the write for `unit`, of checked arguments; ValueError if the registers cannot hold the value."""
        at = self.write.of_slot(args.get(_SLOT, 1))
        words = self.argument.words(args[self.argument.name]) if self.argument else self._constants
        if self.how is Function.WRITE_COIL:
            words = (COIL_ON if words[0] else COIL_OFF,)
        return Request(unit, self.how, at.address, len(words), words)

    def pulse(self, args: Mapping[str, Any]) -> tuple[Pulse, float] | None:
        """Return the pulse that this begins and its seconds, None if it is none."""
        if self.back is None or self.value is None:
            return None
        coil = self.write.of_slot(args.get(_SLOT, 1)).address
        return Pulse(coil, 1 - self.value, self.orders(args)[0], self.back.commanded), args[_SECONDS]

    def orders(self, args: Mapping[str, Any]) -> tuple[str, Scalar]:
        """Return the point that tells of the order, and what it tells, of checked arguments."""
        point = self._point_of(args.get(_SLOT, 1))
        if self.commanded is not None:
            return point, self.commanded
        ordered: Scalar = args[self.argument.name] if self.argument else ""
        return point, ordered

    def _point_of(self, slot: int) -> str:
        return f"slot_{slot:02}_{self.point}" if self.slots else self.point
