"""A device's register map as data: what a profile file may say, and how it is found.

The shape follows an idea of the device templates of wb-mqtt-serial; the file is TOML, every key is checked, and the
simulator is made of the same table.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from drivers.modbus.codec import COIL_OFF, COIL_ON, Function, Request
from drivers.modbus.point import Area, At, Place, Point, Table
from edge_agent.driver import Reading

_SHIPPED = Path(__file__).parent / "profiles"


class Verb(Table):
    """Something the device can be told to do: one write of one coil or register."""

    write: Place
    """Where: a coil (function 05) or a holding register (function 06)."""
    value: int = Field(ge=0, le=0xFFFF)
    """What: the register's number, or 0 and 1 for a coil."""
    commanded: str
    """The state this asks for, reported as the point `commanded`: what was ordered, not what was observed."""

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.write.area not in (Area.COIL, Area.HOLDING):
            raise ValueError("only coils and holding registers can be written")
        return self

    def request(self, unit: int) -> Request:
        """Return the write for `unit`."""
        if self.write.area is Area.COIL:
            return Request(unit, Function.WRITE_COIL, self.write.address, 1, (COIL_ON if self.value else COIL_OFF,))
        return Request(unit, Function.WRITE_REGISTER, self.write.address, 1, (self.value,))


class Quirks(Table):
    """Ways in which a device departs from the specification."""

    reply_unit: int | None = Field(None, ge=0, le=255)
    """It answers under this unit, whatever it is asked by."""
    reply_unit_any: bool = False
    """It answers under any unit: only safe when it is alone on its pair."""


class Profile(Table):
    """One device model."""

    title: str
    """Maker and model, for people."""
    evidence: str
    """Where the map comes from, and what has been checked."""
    tier: Literal["sketch", "simulated", "witnessed", "soaked"]
    """How far it has been proved."""
    line: str = "9600 8N1"
    """Factory setting of the serial line."""
    max_hole: int = Field(4, ge=0)
    """Unused registers read along to save a request."""
    max_read: int = Field(32, ge=2, le=125)
    """Most registers (or bits) in one read."""
    quirks: Quirks = Quirks()
    point: tuple[Point, ...] = Field(min_length=1)
    command: dict[str, Verb] = Field({})

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [point.name for point in self.point]
        for name in names:
            if names.count(name) > 1 or name == "commanded":
                raise ValueError(f"the point name {name!r} is taken")
        return self

    @property
    def reply_unit(self) -> int | Literal["any"] | None:
        """What `codec.reply_shape` needs to know of the quirks."""
        return "any" if self.quirks.reply_unit_any else self.quirks.reply_unit


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring points fetched by one read: `count` registers or bits from `start`."""

    start: At
    count: int
    points: tuple[Point, ...]

    def request(self, unit: int) -> Request:
        """Return the read for `unit`."""
        return Request(unit, self.start.area.read, self.start.address, self.count)

    def readings(self, values: tuple[int, ...]) -> Iterator[Reading]:
        """Turn the registers (or bits) of this block into readings."""
        for point in self.points:
            first = point.at.address - self.start.address
            yield point.read(values[first : first + point.width])


def blocks(profile: Profile) -> list[Block]:
    """Join neighbouring points into few reads, across at most `max_hole` unused registers."""
    joined: list[Block] = []
    for point in sorted(profile.point, key=lambda point: (point.at.area, point.at.address)):
        end = point.at.address + point.width
        if joined:
            last = joined[-1]
            near = point.at.address - (last.start.address + last.count) <= profile.max_hole
            count = max(last.count, end - last.start.address)
            if point.at.area is last.start.area and near and count <= profile.max_read:
                joined[-1] = Block(last.start, count, (*last.points, point))
                continue
        joined.append(Block(point.at, point.width, (point,)))
    return joined


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
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"profile {name!r}: {error}") from error
    except ValidationError as error:
        findings = "; ".join(
            f"{'.'.join(str(part) for part in finding['loc'])}: {finding['msg']}" for finding in error.errors()
        )
        raise ValueError(f"profile {name!r}: {findings}") from error
