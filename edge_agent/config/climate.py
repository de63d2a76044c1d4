"""Keeping the room in its comfort band: when, how warm, and what the air conditioner may be told."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge_agent.config.maintenance import Point
from edge_agent.config.types import Id, Table, TimeOfDay, misfit
from edge_agent.units import Duration

Celsius = Annotated[float, Field(ge=10, le=32)]
Verbs = tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...]
Month = Annotated[int, Field(ge=1, le=12)]


class Period(Table):
    """A season or part of a day, and what to keep in it. The first one that fits counts; none fits: off."""

    mode: Literal["cool", "heat", "off"]
    """What the air conditioner is for in this time."""
    months: tuple[Month, ...] = ()
    """Months, 1 to 12; none given: all."""
    start: TimeOfDay | None = None
    """Local time from which it holds; it may pass midnight."""
    end: TimeOfDay | None = None
    """Local time up to which it holds."""
    occupied: Celsius | None = None
    """°C to keep while people are in."""
    empty: Celsius | None = None
    """°C to keep while nobody is in. Not given: off, so that an empty room is not cooled at night."""

    @model_validator(mode="after")
    def _whole(self) -> "Period":
        if (self.start is None) != (self.end is None):
            raise misfit("start" if self.start is not None else "end", "start and end belong together – give both")
        if (self.mode == "off") != (self.occupied is None):
            raise misfit("mode", 'occupied says how warm it shall be – give it, unless mode = "off"')
        return self


class Climate(Table):
    """One air conditioner that keeps the room. Without such a table nothing is ever commanded."""

    device: Id
    """The air conditioner."""
    temperature: Point
    """Point that is the temperature of the room in °C, as DEVICE.POINT."""
    observed: Point
    """Point by which it is seen whether it runs, as DEVICE.POINT, like "aircon.state"."""
    running: tuple[str, ...] = ("cooling", "heating", "on")
    """Values of that point that mean it runs (a value that is true does, too)."""
    band: Annotated[float, Field(ge=0.5, le=5)] = 1.0
    """°C beyond the wanted temperature at which it is switched on; at the wanted temperature it goes off."""
    min_on: Annotated[Duration, Field(ge=60, le=7200)] = 600.0
    """Shortest time it runs: a compressor that starts often does not live long."""
    min_off: Annotated[Duration, Field(ge=60, le=7200)] = 300.0
    """Shortest time it rests."""
    repeat: Annotated[Duration, Field(ge=60, le=7200)] = 900.0
    """How long after it was told, and does something else, it is told again: an infrared code may not be heard."""
    empty_after: Annotated[Duration, Field(ge=60, le=86400)] = 900.0
    """How long after the last visit nobody counts as in, where people are not counted."""
    cool: Verbs = ("cool", "setpoint", "on")
    """What it is told in order to cool, in this order: of these the verbs that it knows, and never any other."""
    heat: Verbs = ("heat", "setpoint", "on")
    """What it is told in order to heat."""
    off: Verbs = ("off",)
    """What it is told in order to stop."""
    when: Annotated[tuple[Period, ...], Field(min_length=1)]
    """What to keep and when."""
