"""What a station does at once by itself: a siren for smoke, SOS and hot batteries."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from edge_agent.alarms import LIFE_SAFETY
from edge_agent.config.alarms import Code
from edge_agent.config.maintenance import Point
from edge_agent.config.types import Id, Table, misfit
from edge_agent.units import Duration

Scalar = bool | int | float | str


class Reflex(Table):
    """Something told to a device the moment an alarm is raised, before that is stored and whether or not anybody hears.

    It ends after `lasts`, or when every alarm that called for it has been acknowledged, cleared or shelved. While it
    lasts the device is told again and again, so a relay that drops out after a time (`longest`) ends with the agent.
    """

    name: Id
    """Name of the reflex, unique in the file."""
    alarms: tuple[Code, ...] = ()
    """Alarms that call for it, whatever their device. Default, if there is no `point`: smoke, SOS, hot batteries."""
    point: Point | None = None
    """DEVICE.POINT that calls for it while it equals `equals`: a contact that is no alarm."""
    equals: Scalar = True
    """Value of `point` that calls for it."""
    device: Id
    """Device that is told: a relay on a GPIO line is the quickest; on a shared pair it waits for the poll before it."""
    on: str
    """What it is told, one of its commands: `"on_siren"`."""
    off: str
    """What it is told at the end, and when the agent starts: `"off_siren"`."""
    args: Mapping[str, Scalar] = Field(default_factory=dict)
    """Arguments of both commands, where they have any."""
    lasts: Annotated[Duration, Field(ge=1, le=3600)] = 180.0
    """Longest time; a new alarm begins it anew."""
    again: Annotated[Duration, Field(ge=1, le=600)] = 20.0
    """How often the device is told again while it lasts."""

    @property
    def causes(self) -> frozenset[str]:
        """Codes of the alarms that call for it."""
        return frozenset(self.alarms) or (LIFE_SAFETY if self.point is None else frozenset())

    @model_validator(mode="after")
    def _ends(self) -> "Reflex":
        if self.off == self.on:
            raise misfit("off", "off is the same as on – it must end what on begins")
        return self
