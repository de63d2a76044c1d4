"""From a script to a list of moments: every chance is drawn here, before anything is played."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from edge_agent.config.types import Table
from edge_agent.rehearse.acts import Doing
from edge_agent.rehearse.moments import unix
from edge_agent.rehearse.script import At, Every, Script

_MINUTES = range(3, 57)
"""Moments drawn by chance keep away from the full hour: what takes a minute then belongs to the hour of its start."""
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = range(24)


@dataclass(frozen=True, slots=True)
class Planned:
    """`act` at `at` (Unix seconds of the true time)."""

    at: float
    act: Table


def begin_of(script: Script, zone: ZoneInfo) -> float:
    """Return when the script begins, Unix seconds."""
    return unix(script.start, zone)


def plan(script: Script, zone: ZoneInfo) -> list[Planned]:
    """Return everything that happens, in order; each entry draws from its own chances, so none changes another's."""
    begin = begin_of(script, zone)
    end = begin + script.lasts
    found: list[Planned] = []
    kinds: tuple[tuple[str, Sequence[At | Every]], ...] = (("at", script.at), ("every", script.every))
    for kind, entries in kinds:
        for index, entry in enumerate(entries):
            rng = random.Random(f"{script.seed}/{kind}/{index}")  # noqa: S311  (a simulation, no secret)
            for moment in _moments(entry, script, zone, rng):
                found += _with_what_follows(entry, moment, rng)
    return sorted((one for one in found if begin <= one.at < end), key=lambda one: one.at)


def _with_what_follows(entry: At | Every, moment: float, rng: random.Random) -> Iterator[Planned]:
    yield Planned(moment, _act(entry))
    for then in entry.then:
        if rng.random() < then.chance:
            moment += then.after
            yield Planned(moment, _act(then))


def _act(doing: Doing) -> Table:
    return doing.act


def _moments(entry: At | Every, script: Script, zone: ZoneInfo, rng: random.Random) -> Iterator[float]:
    """Yield the moments of one entry, Unix seconds."""
    if isinstance(entry, At):
        yield unix(entry.time.after(script.start), zone)
        return
    for local in _drawn(entry, script, rng):
        if rng.random() < entry.chance:
            yield unix(local, zone)


def _drawn(entry: Every, script: Script, rng: random.Random) -> Iterator[datetime]:
    first = script.start.date()
    days = [first + timedelta(days=n) for n in range(int(script.lasts // 86_400) + 2)]
    days = [day for number, day in enumerate(days, start=1) if _wanted(entry, number, day)]
    if entry.period is not None:
        step, wanted = timedelta(seconds=entry.period), set(days)
        for count in range(1, int(script.lasts / entry.period) + 1):
            moment = script.start + count * step
            if moment.date() in wanted:
                yield moment
        return
    if entry.daily:
        for day in days:
            yield from (_midnight(day) + timedelta(seconds=seconds) for seconds in entry.daily)
        return
    if entry.per_day is not None:
        for day in days:
            yield from _on(day, rng.choices(_HOURS, entry.hours, k=entry.per_day), rng)
        return
    # Whole days only: what was drawn beyond the end would be missing.
    whole = [day for day in days if day < (script.start + timedelta(seconds=script.lasts)).date()]
    chosen = sorted(rng.choices(whole or days[:1], k=entry.in_all or 0))
    for day in sorted(set(chosen)):
        yield from _on(day, rng.choices(_HOURS, entry.hours, k=chosen.count(day)), rng)


def _on(day: date, hours: list[int], rng: random.Random) -> Iterator[datetime]:
    """Yield a moment in each of the hours, no two of them in one minute unless there are more than minutes."""
    for hour in sorted(set(hours)):
        count = hours.count(hour)
        minutes = rng.sample(_MINUTES, count) if count <= len(_MINUTES) else rng.choices(_MINUTES, k=count)
        for minute in sorted(minutes):
            yield _midnight(day) + timedelta(hours=hour, minutes=minute, seconds=rng.randrange(20))


def _wanted(entry: Every, number: int, day: date) -> bool:
    return (entry.days is None or number in entry.days) and (
        not entry.weekdays or _WEEKDAYS[day.weekday()] in entry.weekdays
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
