"""Keeps the room in its comfort band: decides, tells the air conditioner, and sees whether it obeys.

Commanded and observed stay apart: what it was told is on record as `commanded`, what it does is read from the point
that shows it. It is told nothing but the verbs of its table, no sooner than its shortest times allow, and once more
only if it was seen to do something else for long enough. A temperature that is not told any more stops it. While the
time is not known only what holds all year and all day is kept.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from edge_agent.commands import CommandRefused
from edge_agent.config.climate import Climate, Period
from edge_agent.config.maintenance import split
from edge_agent.picture import Device, View
from edge_agent.records import Json, Quality, Value
from edge_agent.verbs import Command, Verbs

log = logging.getLogger(__name__)

_LOOK_S = 10.0
_STEP_S = 60.0
"""Longest time one look may take, with several commands on a busy wire."""
_PAUSE_S = 60.0
_TRUST_S = 600.0
"""How long a temperature is believed that is not told any more."""
_PEOPLE = ("station", "people_inside")
_SETPOINT = "setpoint"

Want: TypeAlias = Literal["cool", "heat", "off"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision is made of; None where nobody knows. `running` is observed, `mono` is monotonic seconds."""

    mono: float
    local: datetime | None
    celsius: float | None
    running: bool | None
    occupied: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What the air conditioner shall do, and how warm the room shall be."""

    want: Want
    celsius: float | None = None


class Keeper:
    """Decides for one air conditioner; pure. It begins as if just switched: what was before is not known."""

    def __init__(self, climate: Climate, mono: float) -> None:
        self._climate = climate
        self._told: Decision | None = None
        self._told_at = mono
        self._was_running: bool | None = None
        self._switched_at = mono
        self._not_before = mono
        self._seen: tuple[float, float] | None = None
        """The last known temperature (°C), and when it was seen."""

    def decide(self, now: Situation) -> Decision | None:
        """Return what to tell it, None if nothing is to be told now."""
        if now.running is not None and now.running is not self._was_running:
            if self._was_running is not None:
                self._switched_at = now.mono
            self._was_running = now.running
        if now.celsius is not None:
            self._seen = (now.celsius, now.mono)
        wanted = self._wanted(now)
        runs = wanted.want != "off"
        if now.mono < self._not_before:
            return None
        if now.mono - self._switched_at < (self._climate.min_off if runs else self._climate.min_on):
            return None
        if self._told == wanted and now.running in {None, runs}:
            return None
        if self._told == wanted and now.mono - self._told_at < self._climate.repeat:
            return None
        if self._told is None and now.running is False and not runs:
            return None
        return wanted

    def told(self, decision: Decision, mono: float) -> None:
        """Note that it was told."""
        if self._told is None or self._told.want != decision.want:
            self._switched_at = mono
        self._told, self._told_at = decision, mono

    def refused(self, mono: float) -> None:
        """Note that it could not be told: not again at once, as each attempt is a record."""
        self._not_before = mono + _PAUSE_S

    def _wanted(self, now: Situation) -> Decision:
        period = next((one for one in self._climate.when if _holds(one, now.local)), None)
        celsius = self._celsius(now.mono)
        if period is None or period.mode == "off" or celsius is None:
            return Decision("off")
        keep = period.occupied if now.occupied else period.empty
        if keep is None:
            return Decision("off")
        beyond = celsius - keep if period.mode == "cool" else keep - celsius
        runs = self._told is not None and self._told.want == period.mode
        # Once on it goes on down to the wanted temperature, once off it stays off up to the edge of the band.
        return Decision(period.mode, keep) if beyond > (0.0 if runs else self._climate.band) else Decision("off")

    def _celsius(self, mono: float) -> float | None:
        """Return the temperature; one missed answer of the sensor is no reason to stop."""
        return self._seen[0] if self._seen is not None and mono - self._seen[1] < _TRUST_S else None


def _holds(period: Period, local: datetime | None) -> bool:
    if local is None:
        return not period.months and period.start is None
    if period.months and local.month not in period.months:
        return False
    if period.start is None or period.end is None:
        return True
    at = local.time()
    if period.start <= period.end:
        return period.start <= at < period.end
    return at >= period.start or at < period.end


class ClimateKeeper:
    """Looks at the picture every few seconds and tells each air conditioner what its Keeper decides.

    `act` tells a device (raises CommandRefused), `verbs` returns what a device knows, `local_time` the station's time
    or None.
    """

    def __init__(
        self,
        climates: Sequence[Climate],
        *,
        view: Callable[[], View],
        act: Callable[[str, Command], object],
        verbs: Callable[[str], Verbs],
        local_time: Callable[[], datetime | None],
        monotonic: Callable[[], float],
    ) -> None:
        self._keepers = [(climate, Keeper(climate, monotonic())) for climate in climates]
        self._view = view
        self._act = act
        self._verbs = verbs
        self._local_time = local_time
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._refused: dict[str, str] = {}

    def run(self, promise: Callable[[float], None]) -> None:
        """Work until `stop`."""
        while not self._stop.is_set():
            promise(self._monotonic() + _LOOK_S + _STEP_S)
            self.step()
            self._stop.wait(_LOOK_S)

    def stop(self) -> None:
        """End `run`; the air conditioners stay as they are."""
        self._stop.set()

    def step(self) -> None:
        """Look once."""
        for climate, keeper in self._keepers:
            decision = keeper.decide(situation(climate, self._view(), self._local_time(), self._monotonic()))
            if decision is None:
                continue
            if self._tell(climate, decision):
                keeper.told(decision, self._monotonic())
            else:
                keeper.refused(self._monotonic())

    def _tell(self, climate: Climate, decision: Decision) -> bool:
        refused = ""
        for command in commands(climate, decision, self._verbs(climate.device)):
            try:
                self._act(climate.device, command)
            except CommandRefused as error:
                refused = str(error)
                break
        if refused != self._refused.get(climate.device, ""):
            self._refused[climate.device] = refused
            if refused:
                log.error("%s cannot be told to %s: %s", climate.device, decision.want, refused)
            else:
                log.warning("%s can be told again", climate.device)
        return not refused


def commands(climate: Climate, decision: Decision, known: Verbs) -> list[Command]:
    """Return what to tell the device, in order: of the listed verbs those that it knows."""
    listed: tuple[str, ...] = getattr(climate, decision.want)
    made = []
    for verb in listed:
        if verb in known:
            args: Mapping[str, Json] = {"setpoint_c": round(decision.celsius or 0)} if verb == _SETPOINT else {}
            made.append(Command(verb, args))
    return made


def situation(climate: Climate, view: View, local: datetime | None, mono: float) -> Situation:
    """Read from the picture what a decision is made of."""
    celsius = _good(view, split(climate.temperature))
    state = _good(view, split(climate.observed))
    people = _good(view, _PEOPLE)
    if isinstance(people, int | float):
        occupied = people >= 1
    else:
        last = view.last_visit_mono
        occupied = last is not None and mono - last < climate.empty_after
    return Situation(
        mono,
        local,
        float(celsius) if isinstance(celsius, int | float) else None,
        None if state is None or state == "unknown" else state is True or state in climate.running,
        occupied,
    )


def _good(view: View, where: tuple[str, str]) -> Value | None:
    point = view.devices.get(where[0], Device()).points.get(where[1])
    return point.reading.value if point is not None and point.reading.quality is Quality.GOOD else None
