"""Texts of the report in both languages, and how it writes hours, shares and moments."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from zoneinfo import ZoneInfo

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


class Words:
    """The texts of one language."""

    def __init__(self, language: Language, zone: ZoneInfo) -> None:
        self.language = language
        self._zone = zone

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of `key` (`states.unknown`); raises KeyError for one that does not exist."""
        found: Any = _texts()
        for part in key.split("."):
            found = found[part]
        return str(found[self.language]).format(**values)

    def own(self, text: Mapping[str, str]) -> str:
        """Return a text that came in both languages."""
        return text[self.language]

    def hours(self, seconds: int) -> str:
        """`712.5`: hours with one decimal."""
        return f"{seconds / 3600:.1f}"

    def share(self, part: int, whole: int) -> str:
        """`99.1 %`, rounded down so that what is not whole is never shown as 100 %; a dash of nothing."""
        return f"{part * 1000 // whole / 10:.1f} %" if whole else "–"

    def span(self, seconds: int | None) -> str:
        """`2:05:30`: hours, minutes, seconds."""
        if seconds is None:
            return self("unknown_time")
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    def moment(self, at_ms: int | None) -> str:
        """`2026-11-21 14:02:10`, local."""
        if at_ms is None:
            return self("unknown_time")
        return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(self._zone):%Y-%m-%d %H:%M:%S}"


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads(files("edge_agent.evidence").joinpath("words.toml").read_text(encoding="utf-8"))
