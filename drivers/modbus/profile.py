"""A device's register map as data: what a profile file may say, and how it is found.

The features follow the device templates of wb-mqtt-serial (joined reads, holes, limits and guard times of a device);
the file is TOML, every key is checked, and the simulator is made of the same table.
"""

import tomllib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from drivers.modbus.blocks import Block, Limits, join_points
from drivers.modbus.codec import MAX_BITS, MAX_REGISTERS
from drivers.modbus.commands import Verb
from drivers.modbus.place import Table
from drivers.modbus.point import Point
from edge_agent.driver import Duration, Verbs

_SHIPPED = Path(__file__).parent / "profiles"
_HIGHEST_UNIT = 247
"""MODBUS over Serial Line V1.02 §2.2: 1 to 247 are devices, 0 is the broadcast, the rest is reserved."""


class Quirks(Table):
    """Ways in which a device departs from the specification."""

    reply_unit: int | None = Field(None, ge=0, le=255)
    """It answers under this unit, whatever it is asked by."""
    reply_unit_any: bool = False
    """It answers under any unit: only safe when it is alone on its pair."""
    greeting: str = ""
    """Text that it prints at power-up, into its first answer; the simulator does so too."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.reply_unit_any and self.reply_unit is not None:
            raise ValueError("reply_unit_any makes reply_unit meaningless – give one of them")
        return self


class Profile(Table):
    """One device model."""

    title: str = Field(min_length=1)
    """Maker and model, for people."""
    evidence: str = Field(min_length=1)
    """Where the map comes from, and what has been checked."""
    tier: Literal["sketch", "simulated", "witnessed", "soaked"]
    """How far it has been proved."""
    line: str = "9600 8N1"
    """Factory setting of the serial line."""
    addresses: tuple[Annotated[int, Field(ge=1, le=255)], Annotated[int, Field(ge=1, le=255)]] = (1, _HIGHEST_UNIT)
    """Lowest and highest unit address that means this device alone and is no broadcast."""
    max_reg_hole: int = Field(4, ge=0, le=MAX_REGISTERS)
    """Unused registers (or bits) read along to save a request."""
    max_read_registers: int = Field(32, ge=1, le=MAX_REGISTERS)
    """Most registers in one read, where points are joined."""
    max_read_bits: int = Field(256, ge=1, le=MAX_BITS)
    """Most coils or discrete inputs in one read."""
    response_timeout: Annotated[Duration, Field(gt=0, le=10)] = 1.0
    """Longest wait for an answer."""
    guard: Annotated[Duration, Field(ge=0, le=1)] = 0.0
    """Silence on the wire it needs before a question, beyond what the link keeps anyway."""
    quirks: Quirks = Quirks()
    """Ways in which it departs from the specification."""
    point: tuple[Point, ...] = Field(min_length=1)
    """What it tells."""
    command: dict[str, Verb] = Field({})
    """What it may be told; nothing else is ever written."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        taken: set[str] = set()
        for index, written in enumerate(self.point):
            for point in written.each():
                if point.name in taken or point.name.startswith("commanded"):
                    raise _misplaced(index, f"the point name {point.name!r} is taken")
                taken.add(point.name)
            if written.width > self.max_read_registers:
                raise _misplaced(index, f"takes {written.width} registers, more than max_read_registers")
        if self.addresses[0] > self.addresses[1]:
            raise ValueError("addresses has the lowest first")
        return self

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Every point, those of slots one by one."""
        return tuple(one for point in self.point for one in point.each())

    @cached_property
    def verbs(self) -> Verbs:
        """What it may be told, and what each verb takes."""
        return {name: verb.arguments for name, verb in self.command.items()}

    @property
    def blocks(self) -> list[Block]:
        """The reads that bring every point."""
        return join_points(self.points, Limits(self.max_read_registers, self.max_read_bits, self.max_reg_hole))

    @property
    def reply_unit(self) -> int | Literal["any"] | None:
        """The unit its answers carry: a number, "any", or None for the one asked."""
        return "any" if self.quirks.reply_unit_any else self.quirks.reply_unit

    def summary(self) -> str:
        """Say in a line what the profile makes of the device."""
        reads, commands = len(self.blocks), len(self.command)
        text = f"{self.title}: {len(self.points)} points in {reads} read{'' if reads == 1 else 's'}"
        return f"{text}, commands {', '.join(self.command)}" if commands else text


def _misplaced(index: int, text: str) -> PydanticCustomError:
    """Return the error of a check over several points that is best shown at one of them."""
    return PydanticCustomError("misfit", "{text}", {"text": text, "path": ["point", index, "name"]})


def shipped() -> list[str]:
    """Names of the profiles that come with the driver."""
    return sorted(file.stem for file in _SHIPPED.glob("*.toml"))


@lru_cache
def load_profile(name: str) -> Profile:
    """Load a shipped profile by its name, any other by its path (contains a "/"); raises ValueError saying why not."""
    file = Path(name) if "/" in name else _SHIPPED / f"{name}.toml"
    try:
        return Profile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        known = ", ".join(shipped())
        raise ValueError(
            f"profile {name!r}: {error.strerror}; shipped are {known}, or give the path of a file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"profile {name!r}: {error}") from error
    except ValidationError as error:
        findings = "; ".join(
            f"{'.'.join(str(part) for part in finding['loc'])}: {finding['msg']}" for finding in error.errors()
        )
        raise ValueError(f"profile {name!r}: {findings}; edge-agent check-profile names the lines") from error
