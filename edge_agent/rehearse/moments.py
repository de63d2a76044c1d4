"""Points in time as a script writes them, always in the station's own time zone."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_CLOCK = r"(?P<h>[01]\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?"
_DAY = re.compile(rf"day (?P<day>[1-9]\d{{0,3}}) {_CLOCK}")
_DATE = re.compile(rf"(?P<date>\d{{4}}-\d\d-\d\d) {_CLOCK}")
_OF_DAY = re.compile(_CLOCK)
_DAYS = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def parse_local(text: object) -> datetime:
    """Return the naive local time that "2026-10-20 08:15" or "2026-10-20 08:15:30" means; raises ValueError."""
    found = _DATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('is not a date and time – write it like "2026-10-20 08:15"')
    try:
        return datetime.fromisoformat(f"{found['date']} {found['h']}:{found['m']}:{found['s'] or '00'}")
    except ValueError:
        raise ValueError("is not a date of the calendar") from None


LocalTime = Annotated[
    datetime, BeforeValidator(parse_local), PlainSerializer(str), WithJsonSchema({"type": "string", "format": "local"})
]
"""Naive local time, written as "2026-10-20 08:15"."""


@dataclass(frozen=True, slots=True)
class When:
    """A moment: of a day of the script (from 1), or of a date."""

    day: int
    """0 where `local` is given."""
    seconds: int
    """Since local midnight."""
    local: datetime | None = None

    def after(self, start: datetime) -> datetime:
        """Return the naive local time; `start` is when the script begins."""
        if self.local is not None:
            return self.local
        midnight = start.replace(hour=0, minute=0, second=0)
        return midnight + timedelta(days=self.day - 1, seconds=self.seconds)


def parse_when(text: object) -> When:
    """Return what "day 3 08:15" or "2026-10-22 08:15:30" means; raises ValueError."""
    found = _DAY.fullmatch(text) if isinstance(text, str) else None
    if found is not None:
        return When(int(found["day"]), _seconds(found))
    if isinstance(text, str) and _DATE.fullmatch(text):
        return When(0, 0, parse_local(text))
    raise ValueError('is not a moment – write it like "day 3 08:15" or "2026-10-22 08:15:30"')


def parse_time_of_day(text: object) -> int:
    """Return seconds since midnight of "08:15" or "08:15:30"; raises ValueError."""
    found = _OF_DAY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('is not a time of day – write it like "08:15"')
    return _seconds(found)


def parse_days(text: object) -> frozenset[int]:
    """Return the days (from 1) that "1-5, 8" names; raises ValueError."""
    days: set[int] = set()
    for part in str(text).split(",") if isinstance(text, str) else [""]:
        found = _DAYS.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last:
            raise ValueError('is not a list of days – the first is 1; write it like "1-5, 8"')
        days |= set(range(first, last + 1))
    return frozenset(days)


def _seconds(found: re.Match[str]) -> int:
    return int(found["h"]) * 3600 + int(found["m"]) * 60 + int(found["s"] or 0)


def unix(local: datetime, zone: ZoneInfo) -> float:
    """Return Unix seconds of a naive local time."""
    return local.replace(tzinfo=zone).timestamp()


_text: Any = PlainSerializer(str, return_type=str)
Moment: TypeAlias = Annotated[When, BeforeValidator(parse_when), _text, WithJsonSchema({"type": "string"})]
TimeOfDay: TypeAlias = Annotated[int, BeforeValidator(parse_time_of_day), _text, WithJsonSchema({"type": "string"})]
DayList: TypeAlias = Annotated[frozenset[int], BeforeValidator(parse_days), _text, WithJsonSchema({"type": "string"})]
