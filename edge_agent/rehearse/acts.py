"""What can happen to a station: the verbs of a script, each a small table of what there is to say about it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from edge_agent.config.types import Id, Table
from edge_agent.rehearse.moments import LocalTime
from edge_agent.units import Duration

How = Literal["silent", "garbage", "wrong_crc", "unplugged"]
Heard = Literal["visit", "denied", "nothing"]


def _point(text: str) -> str:
    device, dot, point = text.partition(".")
    if not (device and dot and point):
        raise ValueError('is not a point of a device – write it as DEVICE.POINT, like "entrance.door"')
    return text


PointName = Annotated[str, AfterValidator(_point)]
"""DEVICE.POINT."""


class Swipe(Table):
    """Somebody holds a card to a reader."""

    card: str = "new"
    """A name ("A"), always the same card; "new": one never seen before; "same": the last one again; "one of 40": one of
    so many regulars."""
    reader: Id | None = None
    """Device of the reader. Default: the first of the station file."""
    means: Heard = "visit"
    """What the station must make of it: `visit`, `denied`, or `nothing` (a double swipe)."""


class Bring(Table):
    """Somebody opens a slot's door, puts a battery in, and the door falls shut."""

    cabinet: Id | None = None
    """Default: the first of the station file."""
    slot: Annotated[int, Field(ge=1)] | None = None
    """Default: an empty one."""
    sn: str | None = None
    """Serial number; "same": the battery that was taken last is put back. Default: one never seen before."""
    soc: Annotated[float, Field(ge=0, le=100)] = 15.0
    """State of charge, %."""


class Take(Table):
    """Somebody opens a slot's door, takes the battery, and the door falls shut."""

    cabinet: Id | None = None
    """Default: the first of the station file."""
    slot: Annotated[int, Field(ge=1)] | None = None
    """Default: the one with the fullest battery."""
    sn: str | None = None
    """Take the battery with this serial number, wherever it is."""
    hot: bool = False
    """Take one that has overheated."""


class Swap(Table):
    """A rider brings a battery and takes the fullest other one."""

    cabinet: Id | None = None
    """Default: the first of the station file."""
    sn: str | None = None
    """Serial number of the battery brought. Default: one never seen before."""
    soc: Annotated[float, Field(ge=0, le=100)] = 15.0
    """Its state of charge, %."""
    pause: Duration = 40.0
    """Time between the two doors."""


class Overheat(Table):
    """A battery becomes dangerously hot, and stays so until it is taken."""

    cabinet: Id | None = None
    """Default: the first of the station file."""
    slot: Annotated[int, Field(ge=1)] | None = None
    """Default: the one with the fullest battery."""
    means: str = "battery_over_temp"
    """Code of the alarm that it must raise; "nothing" if none."""


class Contact(Table):
    """A contact moves: a door, a button, a detector."""

    input: PointName
    """The contact, as DEVICE.NAME: "entrance.door"."""
    on: bool = True
    """True: the door opens, the button is pressed, the detector trips. False: it goes back."""
    held: Annotated[Duration, Field(gt=0)] | None = None
    """After this time it goes back by itself."""


class Walk(Table):
    """Somebody walks through a door with two beams."""

    counter: Id | None = None
    """Device of the people counter. Default: the first of the station file."""
    way: Literal["in", "out", "back"] = "in"
    """In, out, or in as far as the second beam and back."""


class Set(Table):
    """A device measures something else from now on."""

    point: PointName
    """DEVICE.POINT: "aircon.current_a"."""
    value: bool | int | float | str
    """The value, in the point's own unit."""


class Aircon(Table):
    """The air conditioner of [room] breaks down, or is repaired."""

    works: bool
    """False: it does not run, however hot it gets."""


class Fault(Table):
    """A device or a whole wire is in trouble."""

    device: Id | None = None
    """The device in trouble."""
    link: Id | None = None
    """The wire in trouble: only `unplugged`."""
    how: How = "silent"
    """`silent`: no answer; `garbage`: any bytes; `wrong_crc`: answers with a damaged check; `unplugged`: a device is as
    silent, and the port of a link is gone."""
    lasts: Annotated[Duration, Field(gt=0)]
    """How long."""
    means: str | None = None
    """Code of the alarm that it must raise and clear; "nothing" if it is too short for one. Default: `device_silent` of
    the device, `link_lost` of the link."""

    @model_validator(mode="after")
    def _one(self) -> "Fault":
        if (self.device is None) == (self.link is None):
            raise ValueError("needs a device or a link, not both")
        if self.link is not None and self.how != "unplugged":
            raise ValueError('a link can only be unplugged – write how = "unplugged", or name a device')
        return self


class PowerCut(Table):
    """The station loses its power and boots when it is back."""

    lasts: Annotated[Duration, Field(gt=0)]
    """How long the power is away."""
    clock: Literal["right", "1970", "stopped"] | LocalTime = "stopped"
    """What the clock shows after the boot: the right time, 1970, the time of the cut (a Pi without a battery clock), or
    a date and time."""
    synced_after: Duration | Literal["never"] = 60.0
    """When the network has set the clock right."""


class Kill(Table):
    """The agent's process ends without a word (kill -9) and is started again; the machine runs on."""

    down: Annotated[Duration, Field(ge=0)] = 5.0
    """Time until it is started again."""


class Restart(Table):
    """The agent is stopped in order and started again."""

    down: Annotated[Duration, Field(ge=0)] = 5.0
    """Time until it is started again."""


class NetworkDown(Table):
    """The way to the broker is gone."""

    lasts: Annotated[Duration, Field(gt=0)]
    """How long."""


class ClockFault(Table):
    """The clock shows something else from now on."""

    shows: Literal["1970"] | LocalTime | None = None
    """What it shows."""
    off_by: float | None = None
    """Or how far it is off, in hours: -1 is an hour slow."""
    believed: bool = False
    """Whether the kernel takes it for synchronised all the same."""
    synced_after: Duration | Literal["never"] = 3600.0
    """When the network has set it right."""

    @model_validator(mode="after")
    def _one(self) -> "ClockFault":
        if (self.shows is None) == (self.off_by is None):
            raise ValueError("needs shows or off_by, not both")
        return self


class Ask(Table):
    """The centre sends a command, as a person there does: acknowledges an alarm, tells of maintenance."""

    verb: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
    """`<device>/<name>` of the wire contract: "station/acknowledge". It must be in [commands] allow."""
    args: dict[str, Any] = Field({})
    """Its arguments: { device = "entrance", code = "sos" }."""
    by: str = "centre/keeper"
    """Who asks."""
    clears: str | None = None
    """DEVICE/CODE of a latched alarm that is cleared by it."""


class Doing(Table):
    """One thing that happens: exactly one of these keys."""

    swipe: Swipe | None = None
    """Somebody holds a card to a reader."""
    swap: Swap | None = None
    """A rider swaps a battery."""
    bring: Bring | None = None
    """A battery is put in."""
    take: Take | None = None
    """A battery is taken."""
    overheat: Overheat | None = None
    """A battery becomes hot."""
    contact: Contact | None = None
    """A contact moves."""
    walk: Walk | None = None
    """Somebody walks through a door with two beams."""
    set: Set | None = None
    """A device measures something else."""
    aircon: Aircon | None = None
    """The air conditioner breaks down or is repaired."""
    fault: Fault | None = None
    """A device or a wire is in trouble."""
    power_cut: PowerCut | None = None
    """The power fails."""
    kill: Kill | None = None
    """The agent ends without a word."""
    restart: Restart | None = None
    """The agent is stopped and started again."""
    network_down: NetworkDown | None = None
    """The broker cannot be reached."""
    clock: ClockFault | None = None
    """The clock goes wrong."""
    command: Ask | None = None
    """The centre sends a command."""

    @property
    def act(self) -> Table:
        """What happens."""
        acts: list[Table | None] = [getattr(self, name) for name in VERBS]
        return next(act for act in acts if act is not None)

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, table: Any) -> Any:
        if isinstance(table, dict):
            named = [name for name in VERBS if name in table]
            if not named:
                raise ValueError(f"says when, but not what – add one of {', '.join(VERBS)}")
            if len(named) > 1:
                raise ValueError(f"says {' and '.join(named)} – write a table for each")
        return table


VERBS = tuple(Doing.model_fields)
"""What can happen, by name."""
