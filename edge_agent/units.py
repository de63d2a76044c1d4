"""Durations and sizes as people write them: "10s", "1.5h", "250ms", "512 MB"; inside, float seconds and int bytes.

A bare number is refused on purpose: `every = 5` leaves open whether minutes were meant.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_FORM = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", re.ASCII)


def parse_duration(text: object) -> float:
    """Return the seconds that a string such as "10s" or "250ms" means; raises ValueError saying what to write."""
    number, unit = _split(text, "duration", "10s", "ms, s, m, h or d")
    if unit not in _SECONDS:
        raise ValueError(f'is not a duration – use ms, s, m, h or d after the number, like "10s", not {unit!r}')
    return round(float(number) * _SECONDS[unit], 6)


def parse_size(text: object) -> int:
    """Return the bytes that a string such as "512 MB" means (decimal units); raises ValueError saying what to write."""
    number, unit = _split(text, "size", "512 MB", "B, kB, MB or GB")
    for name, factor in _BYTES.items():
        if name.lower() == unit.lower():
            return round(float(number) * factor)
    raise ValueError(f'is not a size – use B, kB, MB or GB after the number, like "512 MB", not {unit!r}')


def format_duration(seconds: float) -> str:
    """Write seconds back in the largest unit that keeps the number whole: 300.0 becomes "5m"."""
    milliseconds = round(seconds * 1000, 3)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size:.0f}{unit}"
    return f"{milliseconds:.3f}".rstrip("0").rstrip(".") + "ms" if milliseconds else "0s"


def format_size(size: int) -> str:
    """Write bytes back in the largest unit that keeps the number whole: 512000000 becomes "512 MB"."""
    for unit in ("GB", "MB", "kB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]} {unit}"
    return f"{size} B"


def _split(text: object, kind: str, example: str, units: str) -> tuple[str, str]:
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f'has no unit – write it as text with {units}, like "{example}"')  # noqa: TRY004
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'is not a {kind} – write a number and {units}, like "{example}"')
    return match[1], match[2]


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["10s"]}),
]
"""Seconds as float, written as "10s"."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "format": "size", "examples": ["512 MB"]}),
]
"""Bytes as int, written as "512 MB"."""
