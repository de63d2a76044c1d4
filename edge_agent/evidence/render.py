"""The report as one HTML page that needs nothing else, and as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from edge_agent import __version__
from edge_agent.evidence.month import Interval, Month
from edge_agent.evidence.words import LANGUAGES, Language, Words

_STATES = ("available", "degraded", "unavailable", "unknown")
_ROWS_SHOWN = 40
"""Outages and kinds of alarms on the page; all of them are in the CSV file."""
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class AbilityLine:
    """An ability in the month: seconds by state, and by (state, cause) what was not available."""

    name: str
    label: str
    seconds: dict[str, int]
    causes: list[tuple[str, str, int]]

    @property
    def whole(self) -> int:
        """All seconds."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """All alarms of one kind at one device."""

    device: str
    text: str
    severity: str
    times: int
    seconds: int
    open: bool


def html(month: Month, languages: Sequence[Language] = LANGUAGES) -> str:
    """Return the page; each language is a whole report of its own."""
    environment = Environment(
        loader=PackageLoader("edge_agent.evidence", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    reports = [_context(month, Words(language, month.config.station.zone)) for language in languages]
    return environment.get_template("report.html").render(reports=reports, month=month, version=__version__)


def days_csv(month: Month) -> str:
    """Return one line a day: counts, visitors, and seconds by subject, state and cause."""
    names = sorted({name for line in month.days for name in line.day.totals if not name.endswith("_s")})
    keys = sorted({(s, state) for line in month.days for s, states in line.seconds.items() for state in states})
    head = ["day", "status", *names, "unique_visitors", *(f"{subject}_{state}_s" for subject, state in keys)]
    rows = [
        [
            line.day.day,
            _status(line.day),
            *(line.day.totals.get(name, 0) for name in names),
            "" if line.visitors is None else line.visitors,
            *(line.seconds.get(subject, {}).get(state, 0) for subject, state in keys),
        ]
        for line in month.days
    ]
    return _csv([head, *rows])


def intervals_csv(month: Month) -> str:
    """Return one line for each outage and alarm; an end or length that is not known is empty."""
    head = ["kind", "device", "what", "from", "to", "seconds", "severity"]
    rows = [
        [one.kind, one.device, one.what, _utc(one.begin), _utc(one.end), one.seconds, one.severity]
        for one in month.intervals
    ]
    return _csv([head, *rows])


def _context(month: Month, words: Words) -> dict[str, Any]:
    station, totals, seconds = month.config.station, month.totals, month.seconds
    visitors = [line.visitors for line in month.days if line.visitors is not None]
    agent = seconds.get("agent", {})
    outages = [one for one in month.intervals if one.kind != "alarm"]
    alarms = _alarms(month.intervals, words)
    return {
        "w": words,
        "station": station,
        "running": month.last >= datetime.fromtimestamp(month.made_ms / 1000, tz=UTC).astimezone(station.zone).date(),
        "starts": f"{station.day_starts:%H:%M}",
        "totals": totals,
        "visitors": round(median(visitors)) if visitors else None,
        "covered": sum(agent.values()),
        "down": sum(count for state, count in agent.items() if state != "up"),
        "abilities": [_ability(month, name, words) for name in month.abilities],
        "states": _STATES,
        "comfort": seconds.get("comfort", {}),
        "outages": outages[:_ROWS_SHOWN],
        "outages_more": max(0, len(outages) - _ROWS_SHOWN),
        "alarms": alarms[:_ROWS_SHOWN],
        "alarms_more": max(0, len(alarms) - _ROWS_SHOWN),
        "statuses": {line.day.day: _status(line.day) for line in month.days},
        "most": max((line.day.totals.get("visits", 0) for line in month.days), default=0),
        "least": min((line.day.totals.get("visits", 0) for line in month.days), default=0),
        "day_s": _DAY_S,
    }


def _ability(month: Month, name: str, words: Words) -> AbilityLine:
    found: Counter[str] = Counter()
    causes: Counter[tuple[str, str]] = Counter()
    for key, seconds in month.seconds.get(name, {}).items():
        state, _, cause = key.partition("_")
        found[state] += seconds
        if cause:
            causes[state, cause] += seconds
    return AbilityLine(
        name, _label(month, name, words), dict(found), [(*key, count) for key, count in causes.most_common()]
    )


def _label(month: Month, name: str, words: Words) -> str:
    own = next((ability.label for ability in month.config.ability if ability.name == name), None)
    if own is not None:
        return own.zh if words.language == "zh" else own.en
    try:
        return words(f"ability_names.{name}")
    except KeyError:
        return name


def _alarms(intervals: Sequence[Interval], words: Words) -> list[AlarmLine]:
    """Return the kinds of alarms, those that lasted longest first."""
    kinds: dict[tuple[str, str], list[Interval]] = {}
    for one in intervals:
        if one.kind == "alarm":
            kinds.setdefault((one.device, one.what), []).append(one)
    lines = [
        AlarmLine(
            device,
            words.own(found[-1].text),
            found[-1].severity,
            len(found),
            sum(one.seconds or 0 for one in found),
            found[-1].end is None,
        )
        for (device, _), found in kinds.items()
    ]
    return sorted(lines, key=lambda line: -line.seconds)


def _status(day: Any) -> str:
    return ("revised" if day.revised else "closed") if day.closed else "open"


def _utc(at_ms: int | None) -> str:
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def _csv(rows: Sequence[Sequence[object]]) -> str:
    """Write with a byte order mark: without it a spreadsheet takes Chinese for something else."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return f"\ufeff{text.getvalue()}"
