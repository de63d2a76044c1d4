"""Words of the page: one catalogue a language, and how each writes numbers, spans, times and values."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from edge_agent.records import Value

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_UNITS = {
    "c": "°C",
    "pct": "%",
    "v": "V",
    "a": "A",
    "w": "W",
    "kwh": "kWh",
    "ah": "Ah",
    "hz": "Hz",
    "s": "s",
    "kg": "kg",
    "l": "L",
}
"""Last word of a point's name -> unit shown."""
_LOCK = re.compile(r"lock_0*(\d+)")
_SPANS = (("d", 86400), ("h", 3600), ("m", 60))
_LATEST = 253_400_000_000
"""Unix seconds, late in 9999: a broken clock may say more than a calendar can hold."""
_GB, _MB = 1_000_000_000, 1_000_000


class Bilingual(Protocol):
    """Anything that says the same in both languages: a label, an alarm's text."""

    @property
    def zh(self) -> str:
        """Chinese."""

    @property
    def en(self) -> str:
        """English."""


@dataclass(frozen=True, slots=True)
class Said:
    """A text in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its catalogue, flattened to dotted keys."""

    language: Language
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of `key` with `{name}` filled in; an unknown key is a mistake and raises KeyError."""
        return self.texts[key].format(**values) if values else self.texts[key]

    def own(self, text: Bilingual) -> str:
        """Return the text in this language."""
        return text.zh if self.language == "zh" else text.en

    def ago(self, seconds: float) -> str:
        """`3 秒前`; the page's script says the same from then on."""
        return self._span("ago", seconds)

    def span(self, seconds: float) -> str:
        """`12 分钟`."""
        return self._span("span", seconds)

    def time(self, wall_ms: int, zone: ZoneInfo, now: float) -> str:
        """`14:02` today, `11-21 14:02` on another day; `now` in Unix seconds."""
        local = _local(wall_ms / 1000, zone)
        return f"{local:%H:%M}" if local.date() == _local(now, zone).date() else f"{local:%m-%d %H:%M}"

    def point(self, name: str) -> str:
        """Return what a point is called; one the catalogue does not know goes by its own name."""
        if lock := _LOCK.fullmatch(name):
            return self("point.lock", n=lock[1])
        known = self.texts.get(f"point.{name}")
        return known or name.removesuffix(f"_{name.rpartition('_')[2]}" if unit(name) else "").replace("_", " ")

    def value(self, name: str, value: Value | None) -> str:
        """Return a point's value with its unit; None is a dash."""
        if value is None:
            return "–"
        if isinstance(value, tuple):
            inner = " / ".join(self._plain(one) for one in value)
            return f"{inner} {unit(name)}".rstrip() if value else "–"
        return f"{self._plain(value)} {unit(name)}".rstrip()

    def size(self, count: int) -> str:
        """`3.2 GB`, `41 MB`: decimal, as disks are sold."""
        return f"{count / _GB:.1f} GB" if count >= _GB else f"{count / _MB:.0f} MB"

    def _plain(self, value: bool | float | str) -> str:  # noqa: FBT001  (a value as read)
        if isinstance(value, bool):
            return self("value.true" if value else "value.false")
        if isinstance(value, str):
            return self.texts.get(f"value.{value}", value)
        return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

    def _span(self, kind: str, seconds: float) -> str:
        seconds = max(0.0, seconds)
        for name, size in _SPANS:
            if seconds >= size:
                return self(f"{kind}.{name}", n=int(seconds // size))
        return self(f"{kind}.s", n=int(seconds))


def unit(point: str) -> str:
    """Return the unit in a point's name, "" if there is none."""
    head, _, last = point.rpartition("_")
    return _UNITS.get(last, "") if head else ""


def said(key: str) -> Said:
    """Return a text of the catalogues in both languages."""
    return Said(words("zh")(key), words("en")(key))


@cache
def words(language: Language) -> Words:
    """Load a language's catalogue; each is read once."""
    text = files("edge_agent.page").joinpath("catalogue", f"{language}.toml").read_text(encoding="utf-8")
    return Words(language, dict(_flat("", tomllib.loads(text))))


def choose(query: str | None, cookie: str | None, accept: str, default: Language) -> Language:
    """Return the language asked for: by the switch, by its cookie, or by the browser's `Accept-Language`."""
    for asked in (query, cookie):
        for language in LANGUAGES:
            if asked == language:
                return language
    return _accepted(accept) or default


def _accepted(header: str) -> Language | None:
    """Return the best of our languages in an `Accept-Language` header (RFC 9110, section 12.5.4)."""
    best: tuple[float, Language] | None = None
    for part in header.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        quality = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", parameter)
        weight = float(quality[1]) if quality else 1.0
        for language in LANGUAGES:
            if primary == language and weight > (best[0] if best else 0.0):
                best = (weight, language)
    return best[1] if best else None


def _flat(prefix: str, table: Mapping[str, object]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += _flat(f"{prefix}{key}.", value)
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found


def _local(seconds: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), _LATEST), tz=UTC).astimezone(zone)
