"""What has to be refilled and cleaned at a station, so that what is overdue can be told."""

import re
from datetime import time
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from edge_agent.config.types import Id, Names, Table, TimeOfDay, misfit
from edge_agent.units import Duration

_POINT = re.compile(r"[a-z0-9][a-z0-9-]{1,31}\.[a-z][a-z0-9_]*", re.ASCII)


def _point(text: str) -> str:
    if not _POINT.fullmatch(text):
        raise ValueError('is not a point – write it as DEVICE.POINT, like "tank.level_pct"')
    return text


Point = Annotated[str, AfterValidator(_point)]
"""One value of one device, as DEVICE.POINT."""


def split(point: str) -> tuple[str, str]:
    """Return (device, point)."""
    device, _, name = point.partition(".")
    return device, name


class Consumable(Table):
    """Something that is used up: drinking water, paper. `level`, `visits` or `lasts` tells how much is left."""

    name: Id
    """Name of the consumable: one level of its topics."""
    label: Names | None = None
    """Name for people. Default: its name."""
    level: Point | None = None
    """Point that measures it in percent, as DEVICE.POINT."""
    visits: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many visits a full one lasts, where nothing measures it."""
    lasts: Annotated[Duration, Field(ge=3600, le=400 * 86400)] | None = None
    """How long a full one lasts at most (`"30d"`), whoever comes."""
    low: Annotated[float, Field(gt=0, lt=100)] = 20.0
    """Percent at and below which the alarm `consumable_low` is raised."""

    @model_validator(mode="after")
    def _told(self) -> "Consumable":
        if self.level is None and self.visits is None and self.lasts is None:
            raise misfit("name", "nothing tells how much is left – add level, visits or lasts")
        return self


class Round(Table):
    """Something that is done again and again, like cleaning; by times of day or by how long ago it was done."""

    name: Id
    """Name of the round: one level of its topics."""
    label: Names | None = None
    """Name for people. Default: its name."""
    every: Annotated[Duration, Field(ge=600, le=400 * 86400)] | None = None
    """How long after it was done it is due again."""
    at: tuple[TimeOfDay, ...] = ()
    """Local times of day at which it is due, `["08:00", "20:00"]`; it may be done up to `early` before."""
    early: Annotated[Duration, Field(ge=0, le=86400)] = 7200.0
    """How long before a time of `at` it counts for that time."""
    grace: Annotated[Duration, Field(ge=0, le=86400)] = 3600.0
    """How long after it was due the alarm `round_overdue` is raised."""

    @model_validator(mode="after")
    def _due(self) -> "Round":
        if (self.every is None) == (not self.at):
            raise misfit("name", "give either every or at, so that it is known when the round is due")
        return self

    @property
    def times(self) -> tuple[time, ...]:
        """The times of `at`, in order."""
        return tuple(sorted(self.at))
