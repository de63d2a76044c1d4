"""What makes a condition of the points it looks at: pure judgements without delays, one class a kind."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Protocol, TypeAlias

from edge_agent.config.condition import Comparison, Condition, Point
from edge_agent.records import Value
from edge_agent.rules.rule import Moment

Values: TypeAlias = Mapping[Point, Value]
"""(device, point) -> its last word, of those whose last word was good."""


class Verdict(Enum):
    """What one look says."""

    YES = "yes"
    NO = "no"
    BETWEEN = "between"
    """Neither: within the hysteresis nothing changes, and no delay runs."""
    UNKNOWN = "unknown"
    """Nothing can be told; a delay that runs waits for the next good word."""
    AGAIN = "again"
    """It begins anew: over now, and from now on true until this is said again."""


class Judge(Protocol):
    """Looks at points.

    `by_time` is whether a delay may end without a new look: true of all but those that judge by what a look repeats.
    """

    by_time: ClassVar[bool]

    @property
    def points(self) -> frozenset[Point]:
        """What it looks at."""

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Judge what is known now; called when one of the points has spoken."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Above (`sign` 1) or below (-1) a limit; over once back by the hysteresis."""

    point: Point
    limit: float
    hysteresis: float = 0.0
    sign: int = 1
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """The one."""
        return frozenset({self.point})

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Compare."""
        del moment
        value = number(values.get(self.point))
        if value is None:
            return Verdict.UNKNOWN
        beyond = (value - self.limit) * self.sign
        return Verdict.YES if beyond > 0 else Verdict.NO if beyond <= -self.hysteresis else Verdict.BETWEEN


@dataclass(slots=True)
class Fallen:
    """Below a limit that it has been above before: what never was there is not missed."""

    limit: Limit
    armed: bool = False
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """The one."""
        return self.limit.points

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Compare."""
        found = self.limit.look(values, moment)
        self.armed = self.armed or found is Verdict.NO
        return found if self.armed else Verdict.UNKNOWN


@dataclass(frozen=True, slots=True)
class When:
    """A condition of the station file holds."""

    condition: Condition
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """All it names."""
        return self.condition.points

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Ask."""
        del moment

        def holds(asked: Comparison) -> bool | None:
            return asked.holds(values.get(asked.point))

        found = self.condition.truth(holds)
        return Verdict.UNKNOWN if found is None else Verdict.YES if found else Verdict.NO


@dataclass(frozen=True, slots=True)
class Differs:
    """Two points disagree: numbers by more than `by`, anything else at all."""

    one: Point
    other: Point
    by: float = 0.0
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """Both."""
        return frozenset({self.one, self.other})

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Compare."""
        del moment
        one, other = values.get(self.one), values.get(self.other)
        if one is None or other is None:
            return Verdict.UNKNOWN
        a, b = number(one), number(other)
        apart = abs(a - b) > self.by if a is not None and b is not None else one != other
        return Verdict.YES if apart else Verdict.NO


@dataclass(slots=True)
class Same:
    """Every value repeats itself to the last digit; only a look at a good value can tell."""

    points: frozenset[Point]
    last: dict[Point, Value] = field(default_factory=dict)
    by_time: ClassVar[bool] = False

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Compare with the last look."""
        del moment
        now = {point: values[point] for point in self.points if point in values}
        before, self.last = self.last, {**self.last, **now}
        known = [point for point in now if point in before]
        if not known:
            return Verdict.UNKNOWN
        return Verdict.YES if all(before[point] == now[point] for point in known) else Verdict.NO


@dataclass(frozen=True, slots=True)
class Heard:
    """Has no good reading."""

    point: Point
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """The one."""
        return frozenset({self.point})

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Begin anew with each good word; a bad one is none."""
        del moment
        return Verdict.AGAIN if self.point in values else Verdict.UNKNOWN


@dataclass(slots=True)
class Window:
    """The course of a value over the last `span` seconds, in at most 64 steps; a long pause begins it anew."""

    span: float
    _steps: deque[tuple[float, float, float]] = field(default_factory=deque)
    """(when the step began, least, greatest)."""
    _began: float | None = None
    _last: float = 0.0

    def add(self, value: float, now: float) -> None:
        """Add a value at monotonic time `now` (s)."""
        if now - self._last > self.span / 4:
            self.clear()
        self._last = now
        self._began = now if self._began is None else self._began
        if self._steps and now - self._steps[-1][0] < self.span / 64:
            at, least, greatest = self._steps[-1]
            self._steps[-1] = (at, min(least, value), max(greatest, value))
        else:
            self._steps.append((now, value, value))
        while self._steps[0][0] < now - self.span:
            self._steps.popleft()

    def clear(self) -> None:
        """Begin anew."""
        self._steps.clear()
        self._began = None

    def full(self, now: float) -> bool:
        """Whether it has been looked at for the whole span."""
        return self._began is not None and now - self._began >= self.span

    @property
    def least(self) -> float:
        """The least value in it."""
        return min(step[1] for step in self._steps)

    @property
    def greatest(self) -> float:
        """The greatest value in it."""
        return max(step[2] for step in self._steps)


@dataclass(slots=True)
class Rises:
    """A value has risen by more than `by` within the window's span; over once it rises less than that by half."""

    point: Point
    by: float
    window: Window
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """The one."""
        return frozenset({self.point})

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Compare with the least of the window."""
        value = number(values.get(self.point))
        if value is None:
            return Verdict.UNKNOWN
        self.window.add(value, moment.mono)
        risen = value - self.window.least
        if risen > self.by:
            return Verdict.YES
        return Verdict.NO if risen <= self.by / 2 and self.window.full(moment.mono) else Verdict.BETWEEN


def number(value: Value | None) -> float | None:
    """Return a value that is a number, None for any other."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
