"""The script language as pydantic models: what may stand in a script, each key with its meaning."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edge_agent.config.types import Id, Table
from edge_agent.rehearse.acts import Doing, PointName
from edge_agent.rehearse.moments import DayList, LocalTime, Moment, TimeOfDay
from edge_agent.units import Duration

Value = bool | int | float | str
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Then(Doing):
    """What follows from something, a little later."""

    after: Duration
    """How much later than what it follows."""
    chance: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How likely, 0 to 1."""


class At(Doing):
    """Something that happens once."""

    time: Moment
    """When: "day 3 08:15" (day 1 is that of `start`) or "2026-10-22 08:15:30", in the station's own time zone."""
    then: tuple[Then, ...] = ()
    """What follows."""


class Every(Doing):
    """Something that happens again and again: one of `per_day`, `in_all`, `daily` and `period` says how often."""

    per_day: Annotated[int, Field(ge=1, le=500)] | None = None
    """So many times a day, at moments drawn by chance."""
    in_all: Annotated[int, Field(ge=1, le=5000)] | None = None
    """So many times in the whole script, on days drawn by chance."""
    hours: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=24, max_length=24)] | None = None
    """How likely each hour of the day is, 24 numbers from midnight on, for `per_day` and `in_all`. Default: all the
    same."""
    daily: tuple[TimeOfDay, ...] = ()
    """At these times of each day: ["08:00", "20:30"]."""
    period: Annotated[Duration, Field(ge=1)] | None = None
    """Once in this time, first after one of them has passed."""
    days: DayList | None = None
    """Only on these days of the script: "1-5, 8"."""
    weekdays: tuple[Weekday, ...] = ()
    """Only on these days of the week: ["sat", "sun"]."""
    chance: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How likely it really happens each time, 0 to 1."""
    then: tuple[Then, ...] = ()
    """What follows each time."""

    @model_validator(mode="after")
    def _how_often(self) -> "Every":
        given = [name for name in ("per_day", "in_all", "daily", "period") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("needs one of per_day, in_all, daily and period to say how often")
        if self.hours is not None and not any(self.hours):
            raise ValueError("hours are all 0 – then it never happens")
        return self


class Cooling(Table):
    """The air conditioner in the room."""

    device: Id | None = None
    """The device that tells how it runs. Default: nobody does."""
    on_above: float = 26.5
    """Room temperature at which it begins to cool, °C."""
    off_below: float = 24.5
    """Room temperature at which it stops, °C."""
    cools: Annotated[float, Field(gt=0)] = 6.0
    """How fast it cools, °C an hour."""
    on: dict[str, Value] = Field({})
    """What the device shows while it runs: { state = "cooling", current_a = 4.6 }."""
    off: dict[str, Value] = Field({})
    """What it shows while it does not."""


class Room(Table):
    """The room: outside air seeps in, people do not count, the air conditioner cools."""

    outside: tuple[float, ...] = Field(min_length=24, max_length=24)
    """Temperature outside in each hour of the day, °C, 24 numbers from midnight on; straight lines in between."""
    begins: float = 24.0
    """Room temperature at the beginning, °C."""
    seeps: Annotated[Duration, Field(ge=60)] = 6 * 3600.0
    """Time in which the difference to the outside shrinks to a third."""
    inside_points: tuple[PointName, ...] = ()
    """Points that show the room's temperature: ["room.temperature_c"]."""
    outside_points: tuple[PointName, ...] = ()
    """Points that show the temperature outside."""
    aircon: Cooling | None = None
    """The air conditioner. Default: there is none."""


class Script(Table):
    """A whole script."""

    station: str | dict[str, Any] = "demo"
    """The station file, as a path beside the script; "demo", the station of `edge-agent demo`; or, as tables
    `[station.…]`, the station file itself."""
    start: LocalTime
    """When it begins: "2026-10-20 00:00", in the station's own time zone."""
    lasts: Annotated[Duration, Field(ge=60, le=400 * 86_400)]
    """How long it lasts: "30d"."""
    seed: int = 1
    """Another number, other chances; the same number, the same to the last second."""
    ask_every: Annotated[Duration, Field(ge=1, le=86_400)] | None = None
    """Devices are asked, and telemetry is stored, only so often, and devices also at once when somebody moves them: a
    month then takes seconds. Default: as the station file says, which takes as long as that many questions do."""
    stock: dict[Id, Annotated[int, Field(ge=0)]] = Field({})
    """Charged batteries in each cabinet at the beginning. Default: in all slots but one."""
    room: Room | None = None
    """The room and what its sensors show. Default: they show what their simulators do."""
    at: tuple[At, ...] = ()
    """What happens once."""
    every: tuple[Every, ...] = ()
    """What happens again and again."""
    expect: dict[str, Any] = Field({})
    """What the result must say, in the shape of the JSON output; what is not named may be anything."""
