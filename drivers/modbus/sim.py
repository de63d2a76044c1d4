"""What a simulated device holds at a point: a constant, steps or a wave."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.modbus.place import Table
from edge_agent.driver import Duration

Held = bool | int | float | str
"""A value in the point's own unit, the name of one of its states, or its text."""


class Sim(Table):
    """What the simulator holds at a point, in the point's own unit (or the name of one of its states)."""

    value: Held | None = None
    """A constant."""
    steps: tuple[Held, ...] = ()
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

    @property
    def names(self) -> bool:
        """True if it speaks of states by name, or is text."""
        return any(isinstance(value, str) for value in (self.value, *self.steps))

    def at(self, now: float) -> Held:
        """Return the value at `now` (s)."""
        if self.value is not None:
            return self.value
        turn = now % self.period / self.period
        if self.steps:
            return self.steps[int(turn * len(self.steps))]
        middle, swing = (self.high + self.low) / 2, (self.high - self.low) / 2
        return middle + swing * math.sin(2 * math.pi * turn)
