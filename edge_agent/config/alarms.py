"""What raises an alarm besides the devices themselves, and how alarms live."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from edge_agent.alarms import CATALOGUE, LATCHED, LIFE_SAFETY
from edge_agent.config.condition import ConditionText, Point
from edge_agent.config.maintenance import Point as PointName
from edge_agent.config.maintenance import split
from edge_agent.config.types import Id, Names, Table, misfit
from edge_agent.records import Severity
from edge_agent.units import Duration

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class SensorFrozen(Table):
    """The built-in alarm `sensor_frozen`."""

    after: Annotated[Duration, Field(ge=60, le=30 * 86_400)] = 43_200.0
    """How long a sensor may repeat the same values to the last digit. Batteries are not judged: they may rest."""
    points: tuple[str, ...] = ("temperature_c", "humidity_pct")
    """Values that are never still for long; a sensor is frozen if all it has of them are."""


class DoorHeld(Table):
    """The built-in alarm `door_held`."""

    after: Annotated[Duration, Field(ge=1, le=86_400)] = 300.0
    """How long a door may be open."""


class DoorForced(Table):
    """The built-in alarm `door_forced`.

    It begins to judge once somebody has swiped and somebody has pressed an exit button: without one, whoever leaves
    opens the door unannounced.
    """

    within: Annotated[Duration, Field(ge=1, le=600)] = 15.0
    """A door may be opened within this time of a swipe, of the exit button or of a command."""
    grace: Annotated[Duration, Field(ge=0.1, le=60)] = 5.0
    """So much later an opening is judged: a controller may tell of its swipe later than a contact of its door."""
    clear_after: Annotated[Duration, Field(ge=1, le=86_400)] = 600.0
    """The alarm is over when nothing more has happened for so long."""


class AcCommandedNotRunning(Table):
    """The built-in alarm `ac_commanded_not_running`."""

    after: Annotated[Duration, Field(ge=10, le=86_400)] = 300.0
    """How long an air conditioner may be observed standing still after it was told to run."""


class RoomNotFollowing(Table):
    """The built-in alarm `room_not_following`."""

    after: Annotated[Duration, Field(ge=300, le=86_400)] = 2700.0
    """How long an air conditioner may run without the room following."""
    by: Annotated[float, Field(gt=0, le=20)] = 0.5
    """How far (K) the room must move in that time."""
    room: PointName | None = None
    """The room's temperature as DEVICE.POINT. Default: the first device that measures `temperature_c` and is neither an
    air conditioner nor part of a cabinet."""
    near: Annotated[float, Field(ge=0, le=10)] = 1.0
    """So close (K) to the set-point nothing is expected of it any more."""
    cool_from: float = 28.0
    """Where no set-point is known, cooling must show from this room temperature (°C) on …"""
    heat_from: float = 16.0
    """… and heating below this one."""


class CabinetOverTemp(Table):
    """The built-in alarm `cabinet_over_temp`."""

    above: Annotated[float, Field(ge=20, le=120)] = 55.0
    """Temperature (°C) inside a swap cabinet or one of its slots."""
    hysteresis: Annotated[float, Field(ge=0, le=50)] = 5.0
    """So far (K) below it is over."""
    after: Annotated[Duration, Field(ge=0, le=3600)] = 10.0
    """How long it must last."""


class MainsLost(Table):
    """The built-in alarm `mains_lost`."""

    below: Annotated[float, Field(ge=10, le=400)] = 150.0
    """Voltage (V) at a meter below which the mains are gone; a meter that never showed more than this is not judged."""
    after: Annotated[Duration, Field(ge=0, le=3600)] = 5.0
    """How long it must last."""


class NoVisits(Table):
    """The built-in alarm `no_visits_expected_some`."""

    weeks: Annotated[int, Field(ge=2, le=9)] = 4
    """Weeks of the station's own ledger that are needed before anything is expected."""
    chance: Annotated[float, Field(gt=0, le=0.01)] = 0.00001
    """How improbable a silence must be: the chance that a station which is well is silent for so long."""


class ClockBad(Table):
    """The built-in alarm `clock_bad`, where no device tells of the clock (driver `system`)."""

    after: Annotated[Duration, Field(ge=60, le=86_400)] = 900.0
    """How long the clock may be unsynchronised."""


class JournalPressure(Table):
    """The built-in alarm `journal_pressure`."""

    days: Annotated[float, Field(ge=0.1, le=400)] = 3.0
    """For fewer days of records than this there is room, at the rate at which they come: so long may the centre be out
    of reach before some must go."""


class AlarmRule(Table):
    """An alarm of the station's own: one condition over points, how long it must last, and what it says.

    Exactly one of `above`, `below`, `when`, `rises`, `differs_from`, `frozen` and `silent` says which kind it is.
    Only readings of good quality raise or clear it.
    """

    name: Id
    """Name of the rule, unique in the file."""
    point: PointName | None = None
    """DEVICE.POINT that is judged: `"climate.temperature_c"`. All kinds but `when` need it."""
    above: float | None = None
    """Limit, in the point's unit: raised above it, over at `hysteresis` below it."""
    below: float | None = None
    """Limit: raised below it, over at `hysteresis` above it."""
    hysteresis: Annotated[float, Field(ge=0)] = 0.0
    """With `above` and `below`: between here and the limit nothing changes."""
    when: ConditionText | None = None
    """A condition over any points: `"aircon.state == 'stopped' and climate.temperature_c > 30"`."""
    rises: Annotated[float, Field(gt=0)] | None = None
    """Rise, in the point's unit, within the time `within`."""
    within: Annotated[Duration, Field(ge=1, le=86_400)] = 600.0
    """With `rises`: how fast."""
    differs_from: PointName | None = None
    """Another DEVICE.POINT: raised while the two differ by more than `by`, or at all if they are no numbers."""
    by: Annotated[float, Field(ge=0)] = 0.0
    """With `differs_from`: how much they may."""
    frozen: Annotated[Duration, Field(ge=10, le=30 * 86_400)] | None = None
    """Raised when the point has repeated itself to the last digit for so long."""
    silent: Annotated[Duration, Field(ge=1, le=30 * 86_400)] | None = None
    """Raised when no good reading of the point has come for so long."""
    only_while: ConditionText | None = None
    """The rule judges only while this holds: `"aircon.running"`."""
    after: Annotated[Duration, Field(ge=0, le=7 * 86_400)] = 0.0
    """How long the condition must last."""
    clear_after: Annotated[Duration, Field(ge=0, le=7 * 86_400)] = 0.0
    """How long it must be over."""
    code: Code | None = None
    """Code of the alarm: a built-in one, or one of the station's own. Default: the rule's name with `_` for `-`."""
    text: Names | None = None
    """What the alarm says. A code of the station's own needs it."""
    severity: Severity = Severity.WARNING
    """`info`, `warning`, `major` or `critical`. A built-in code without `text` keeps its own."""
    latch: bool = False
    """It stays up after its cause is over, until somebody has acknowledged or cleared it."""

    @property
    def alarm(self) -> str:
        """Code of the alarm."""
        return self.code or self.name.replace("-", "_")

    @property
    def device(self) -> str:
        """Device whose alarm it is: that of the point, or of the first one the condition names."""
        if self.point is not None:
            return self.point.partition(".")[0]
        return self.when.comparisons[0].point[0] if self.when is not None else ""

    @property
    def points(self) -> frozenset[Point]:
        """Every point it names."""
        named = {split(point) for point in (self.point, self.differs_from) if point is not None}
        asked = {point for one in (self.when, self.only_while) if one is not None for point in one.points}
        return frozenset(named | asked)

    @model_validator(mode="after")
    def _one_kind(self) -> "AlarmRule":
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise misfit(given[-1] if given else "name", f"has {found} – give exactly one of {', '.join(_KINDS)}")
        if (self.point is None) != (self.when is not None):
            raise misfit("when" if self.when else given[0], "point belongs to every kind but when")
        if self.text is None and self.alarm not in CATALOGUE:
            raise misfit("name", f'{self.alarm} is no built-in alarm – add text = {{ zh = "…", en = "…" }}')
        for condition in (self.when, self.only_while):
            if condition is not None and any(one.within is not None for one in condition.comparisons):
                raise misfit("when", "within has no meaning in an alarm – use after and clear_after")
        return self


_KINDS = ("above", "below", "when", "rises", "differs_from", "frozen", "silent")


class Alarms(Table):
    """How alarms live, and the built-in ones. Each is on where a device has the points it needs."""

    off: tuple[Code, ...] = ()
    """Codes that are never raised: `off = ["door_held"]`. Smoke, SOS and hot batteries cannot be switched off."""
    latch: tuple[Code, ...] = tuple(sorted(LATCHED))
    """Codes that stay up after their cause is over, until somebody has acknowledged or cleared them."""
    flapping: Annotated[int, Field(ge=1, le=100)] = 5
    """An alarm raised more often than this within `flapping_window` is held up and told no more until it is quiet."""
    flapping_window: Annotated[Duration, Field(ge=10, le=86_400)] = 600.0
    """The time in which raises are counted, and for which it must then be quiet."""
    sensor_frozen: SensorFrozen = SensorFrozen()
    """A sensor repeats itself to the last digit."""
    door_held: DoorHeld = DoorHeld()
    """A door stands open."""
    door_forced: DoorForced = DoorForced()
    """A door was opened and nobody had leave to."""
    ac_commanded_not_running: AcCommandedNotRunning = AcCommandedNotRunning()
    """An air conditioner does not do what it was told."""
    room_not_following: RoomNotFollowing = RoomNotFollowing()
    """An air conditioner runs and the room stays as it is."""
    cabinet_over_temp: CabinetOverTemp = CabinetOverTemp()
    """It is hot in a swap cabinet."""
    mains_lost: MainsLost = MainsLost()
    """The mains are gone."""
    no_visits_expected_some: NoVisits = NoVisits()
    """Nobody came when, by the station's own past weeks, somebody should have."""
    clock_bad: ClockBad = ClockBad()
    """No time server answers."""
    journal_pressure: JournalPressure = JournalPressure()
    """The room for records would not outlive an outage."""

    @field_validator("off")
    @classmethod
    def _not_life_safety(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            if code not in CATALOGUE:
                raise ValueError(f"{code} is not a built-in alarm – leave its [[alarm]] table out instead")
            if code in LIFE_SAFETY:
                raise ValueError(f"{code} is about life and cannot be switched off – shelve it for maintenance")
        return codes
