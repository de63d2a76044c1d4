"""When something that draws current is in use: told from a measured value, with hysteresis and shortest times.

An air conditioner's compressor stops and starts by itself; a microwave pauses. So a use begins when the value has been
above `on` for `on_for`, and ends when it has been below `off` for `off_for`: shorter pauses belong to the use.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.records import Event, Json, Quality, Reading, Record


@dataclass(frozen=True, slots=True)
class UseRule:
    """Which point of a device to judge; `on` and `off` in its unit, `on_for` and `off_for` in seconds."""

    point: str
    on: float
    off: float
    on_for: float
    off_for: float


@dataclass(frozen=True, slots=True)
class _Sum:
    """Value times seconds, in steps from one look to the next, and the seconds that were looked at."""

    area: float = 0.0
    seconds: float = 0.0


class UseDetector:
    """The state of one device; what it was doing before the first look is no event, because nobody saw it begin."""

    def __init__(self, rule: UseRule) -> None:
        self._rule = rule
        self._running: bool | None = None
        self._turning_since: float | None = None
        """Monotonic time (s) since which the value has spoken for the other state."""
        self._began: float | None = None
        self._sum = self._sum_then = _Sum()
        """What was measured since the use began: by now, and by `_turning_since`."""
        self._last: tuple[float, float] | None = None
        """Monotonic time and value of the last look."""

    def take(self, records: Iterable[Record], now: float) -> Iterator[Record]:
        """Judge what the device told at monotonic time `now` (s); yields `running`, `use_started` and `use_ended`."""
        value = next((value for record in records if (value := self._value(record)) is not None), None)
        if value is None:
            return
        self._measure(value, now)
        yield from self._turn(value, now)
        if self._running is not None:
            yield Reading("running", self._running)

    def _value(self, record: Record) -> float | None:
        if not isinstance(record, Reading) or record.point != self._rule.point or record.quality is not Quality.GOOD:
            return None
        value = record.value
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def _measure(self, value: float, now: float) -> None:
        """Add to the use; a look after a long silence proves nothing about the time between."""
        if self._last is not None:
            at, before = self._last
            if now - at > max(self._rule.on_for, self._rule.off_for):
                self._turning_since = None
            else:
                self._sum = _Sum(self._sum.area + before * (now - at), self._sum.seconds + now - at)
        self._last = (now, value)

    def _turn(self, value: float, now: float) -> Iterator[Record]:
        rule = self._rule
        other = None
        if value > rule.on and self._running is not True:
            other = True
        elif value < rule.off and self._running is not False:
            other = False
        if other is None:
            self._turning_since = None
            return
        if self._turning_since is None:
            self._turning_since = now
            self._sum = _Sum() if other else self._sum
            self._sum_then = self._sum
        if now - self._turning_since < (rule.on_for if other else rule.off_for):
            return
        known = self._running is not None
        self._running = other
        since, self._turning_since = self._turning_since, None
        if not known:
            return
        if other:
            self._began = since
            yield Event("use_started", {"point": rule.point}, at=since)
        else:
            yield Event("use_ended", self._summary(since), at=since)
            self._began = None

    def _summary(self, ended: float) -> dict[str, Json]:
        """Return how long and how strong the use was; what began unseen has no length."""
        if self._began is None:
            return {"point": self._rule.point, "observed": False}
        summary: dict[str, Json] = {"point": self._rule.point, "seconds": round(ended - self._began, 1)}
        if self._sum_then.seconds:
            summary["mean"] = round(self._sum_then.area / self._sum_then.seconds, 4)
        return summary
