"""Which readings are worth telling: a value that left its dead-band, a quality that changed, or the heartbeat.

A poll a second of a room that does not change would be 86,400 rows a day and a gigabyte of flash; this is where it
becomes a few hundred.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from edge_agent.records import Json, Quality, Reading, Value


@dataclass(frozen=True, slots=True)
class Sample:
    """What one row of the tele stream says of one device: the points that changed, or all of them at a heartbeat."""

    readings: tuple[Reading, ...]
    prompt: bool
    """True if a door or safety point changed: the centre is told at once."""

    def body(self) -> dict[str, Json]:
        """Return the row's JSON: good values by point, and in `quality` which of the others are not good.

        Absent values are absent keys. A number that JSON cannot carry (infinite, not a number) is bad.
        """
        values: dict[str, Json] = {}
        doubtful: dict[str, Json] = {}
        for reading in self.readings:
            if reading.quality is not Quality.GOOD:
                doubtful[reading.point] = str(reading.quality)
            elif not _finite(reading.value):
                doubtful[reading.point] = str(Quality.BAD)
            elif reading.value is not None:
                values[reading.point] = list(reading.value) if isinstance(reading.value, tuple) else reading.value
        return values | {"quality": doubtful} if doubtful else values


@dataclass(slots=True)
class _Device:
    latest: dict[str, Reading] = field(default_factory=dict)
    told: dict[str, Reading] = field(default_factory=dict)
    told_at: float = float("-inf")
    full_at: float = float("-inf")


class Thinner:
    """Remembers what was told of each device; times are monotonic seconds."""

    def __init__(self, *, min_interval: float, heartbeat: float) -> None:
        self._min_interval = min_interval
        self._heartbeat = heartbeat
        self._devices: dict[str, _Device] = {}

    def offer(self, name: str, readings: Iterable[Reading], now: float) -> Sample | None:
        """Take the newest readings of a device; return what to tell of it now, if anything."""
        device = self._devices.setdefault(name, _Device())
        for reading in readings:
            device.latest[reading.point] = reading
        changed = [r for point, r in device.latest.items() if _differs(device.told.get(point), r)]
        prompt = any(reading.prompt for reading in changed)
        if now - device.full_at >= self._heartbeat:
            changed = list(device.latest.values())
            device.full_at = now
        elif not prompt and now - device.told_at < self._min_interval:
            return None
        if not changed:
            return None
        device.told.update((reading.point, reading) for reading in changed)
        device.told_at = now
        return Sample(tuple(changed), prompt)

    def latest(self, name: str) -> list[Reading]:
        """Return the newest reading of every point of a device."""
        device = self._devices.get(name)
        return list(device.latest.values()) if device else []


def _differs(told: Reading | None, latest: Reading) -> bool:
    if told is None or told.quality is not latest.quality:
        return True
    if latest.quality is not Quality.GOOD:
        return False
    return _moved(told.value, latest.value, latest.change)


def _moved(old: Value | None, new: Value | None, change: float) -> bool:
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        return any(_moved(a, b, change) for a, b in zip(old, new, strict=True))
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    if numbers and change > 0 and not isinstance(old, bool) and not isinstance(new, bool):
        # The small allowance keeps 23.1 -> 23.6 a change of 0.5 in binary floating point.
        return abs(cast("float", new) - cast("float", old)) >= change - 1e-9
    return old != new


def _finite(value: Value | None) -> bool:
    if isinstance(value, tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
