"""Comfort delivered: whether the room was in the band while people were in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from edge_agent.config.condition import Point
from edge_agent.rules import presence
from edge_agent.rules.judgement import Readings
from edge_agent.rules.rule import Moment

_PEOPLE: Point = ("station", presence.POINT)


@dataclass(frozen=True, slots=True)
class Comfort:
    """`room` is the point of the temperature, None = no comfort is counted; `bands` month -> (low, high) in °C."""

    room: Point | None
    bands: Mapping[int, tuple[float, float]]
    zone: ZoneInfo

    @property
    def points(self) -> frozenset[Point]:
        """What it looks at."""
        return frozenset() if self.room is None else frozenset({self.room, _PEOPLE})

    def state(self, readings: Readings, moment: Moment) -> str | None:
        """Return `in`, `out` or `unknown` while people are inside, None while nobody is known to be."""
        now = moment.stamp.mono_ms
        people = readings.number(_PEOPLE, now)
        if self.room is None or not people:
            return None
        temperature = readings.number(self.room, now)
        if temperature is None or moment.at_ms is None:
            return "unknown"
        low, high = self.bands[datetime.fromtimestamp(moment.at_ms / 1000, tz=UTC).astimezone(self.zone).month]
        return "in" if low <= temperature <= high else "out"
