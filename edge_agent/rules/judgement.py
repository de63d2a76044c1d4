"""What an ability's rule says of the newest readings, and why: available, degraded, unavailable or unknown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge_agent.config.abilities import Rule
from edge_agent.config.condition import Comparison, Condition, Point, Truth
from edge_agent.records import Quality, Reading, Stamp
from edge_agent.rules.rule import Moment


class State(StrEnum):
    """What a station can offer of an ability."""

    AVAILABLE = "available"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why an ability is not available."""

    POWER = "power"
    REBOOT = "reboot"
    AGENT = "agent"
    MAINTENANCE = "maintenance"
    NETWORK = "network"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of an ability, and the cause if it is not available."""

    state: State
    cause: Cause | None = None

    @property
    def key(self) -> str:
        """`available`, `unknown_device`: under which its seconds are told."""
        return self.state if self.cause is None else f"{self.state}_{self.cause}"


@dataclass(slots=True)
class Readings:
    """The newest value of every point that is asked for.

    `patience` is how long a polled device may be silent before its values are not believed any more; `networked` are
    the devices behind a network. Times are whole milliseconds of the monotonic clock, as stamps have them: what is due
    at a moment is then due at it, and not a rounding error later.
    """

    asked: frozenset[Point]
    patience: Mapping[str, int]
    networked: frozenset[str]
    grace: int
    """How long after the start what was never heard is laid to the agent."""
    started: int = 0
    _seen: dict[Point, tuple[Reading, int]] = field(default_factory=dict)

    def take(self, device: str, reading: Reading, now: int) -> bool:
        """Note it; return whether a rule may say something else now."""
        point = (device, reading.point)
        if point not in self.asked:
            return False
        before = self._seen.get(point)
        self._seen[point] = (reading, now)
        if before is None or self._outdated(point, now, before[1]):
            return True
        return (before[0].value, before[0].quality) != (reading.value, reading.quality)

    def reading(self, point: Point, now: int) -> Reading | None:
        """Return it if it can be believed now."""
        found = self._seen.get(point)
        if found is None or found[0].quality is not Quality.GOOD or self._outdated(point, now, found[1]):
            return None
        return found[0]

    def number(self, point: Point, now: int) -> float | None:
        """Return the number it is, None if it is none or cannot be believed."""
        found = self.reading(point, now)
        value = None if found is None else found.value
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def expires(self, now: int) -> float:
        """Return when the next value will be too old if nothing is heard, infinity = never."""
        ends = (at + self.patience[point[0]] for point, (_, at) in self._seen.items() if point[0] in self.patience)
        first = (self.started + self.grace,)
        return min((end for end in (*ends, *first) if end > now), default=float("inf"))

    def fault(self, point: Point, now: int) -> Cause:
        """Return why a point cannot be believed."""
        if self.reading(point, now) is not None or (point not in self._seen and now < self.started + self.grace):
            # It has not been watched for long enough.
            return Cause.AGENT
        return Cause.NETWORK if point[0] in self.networked else Cause.DEVICE

    def _outdated(self, point: Point, now: int, at: int) -> bool:
        return now - at >= self.patience.get(point[0], float("inf"))


class Judge:
    """Judges conditions; remembers when a comparison with `within` last held."""

    def __init__(self, rules: Mapping[str, Rule], readings: Readings, held: Mapping[str, Stamp]) -> None:
        self._rules = rules
        self._readings = readings
        self.held = dict(held)
        """Comparison -> when it last held, or `not ` and the comparison -> since when it is watched."""

    def verdicts(self, moment: Moment, over: Cause | None) -> dict[str, Verdict]:
        """Judge every ability; `over` is a cause that explains whatever is not available (no mains, maintenance)."""
        return {name: self._verdict(rule, moment, over) for name, rule in self._rules.items()}

    def truth(self, condition: Condition, moment: Moment) -> Truth:
        """Judge one condition."""
        return condition.truth(lambda one: self._holds(one, moment))

    def _verdict(self, rule: Rule, moment: Moment, over: Cause | None) -> Verdict:
        doubtful: list[Point] = []

        def ask(one: Comparison) -> Truth:
            truth = self._holds(one, moment)
            if truth is None:
                doubtful.append(one.point)
            return truth

        # All are asked each time: `within` must see each moment.
        truths = {key: condition.truth(ask) for key, condition in rule.conditions.items()}
        available, needed, degraded = truths["available"], truths.get("needed", True), truths.get("degraded", False)
        if available is True or needed is False:
            return Verdict(State.AVAILABLE)
        if available is None or needed is None or degraded is None:
            return Verdict(State.UNKNOWN, over or self._worst(doubtful, moment.stamp.mono_ms))
        return Verdict(State.DEGRADED if degraded else State.UNAVAILABLE, over or Cause.DEVICE)

    def _worst(self, points: Iterable[Point], now: int) -> Cause:
        causes = {self._readings.fault(point, now) for point in points}
        return next(cause for cause in (Cause.DEVICE, Cause.NETWORK, Cause.AGENT) if cause in causes)

    def _holds(self, one: Comparison, moment: Moment) -> Truth:
        reading = self._readings.reading(one.point, moment.stamp.mono_ms)
        now = None if reading is None else one.holds(reading.value)
        if one.within is None:
            return now
        name = str(one)
        if now:
            self.held[name] = moment.stamp
            return True
        if name in self.held:
            since = moment.since(self.held[name])
            if since is None or since <= one.within:
                return None if since is None else True
            return now
        watched = moment.since(self.held.setdefault(f"not {name}", moment.stamp))
        return now if watched is not None and watched > one.within else None
