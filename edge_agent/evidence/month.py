"""What the journal holds of one month: days, abilities, outages, comfort, alarms, gaps, and what could not be dated."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from edge_agent.config.model import Config
from edge_agent.journal.account import Account, Day, read, verify
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.ledger import Calendar

_INTERVALS = ("outage", "uplink_outage", "mains_outage")


@dataclass(frozen=True, slots=True)
class Interval:
    """Something that lasted: `kind` is `outage`, `uplink_outage`, `mains_outage` or `alarm`; Unix milliseconds.

    `what` is the cause or the alarm's code; an end or length that nobody knows is None.
    """

    kind: str
    device: str
    what: str
    begin: int | None
    end: int | None
    seconds: int | None
    text: Mapping[str, str] = field(default_factory=dict)
    """An alarm's sentence by language."""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A declared loss: records of a stream that will not come."""

    stream: str
    reason: str
    count: int
    at: int | None


@dataclass(frozen=True, slots=True)
class DayLine:
    """A business day: its counts, its seconds by subject and state with cause, and its visitors if they may be told."""

    day: Day
    visitors: int | None
    few_visitors: bool
    seconds: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Month:
    """Everything the report shows; `name` is `2026-11`, moments in Unix milliseconds."""

    config: Config
    name: str
    first: date
    last: date
    made_ms: int
    days: Sequence[DayLine]
    intervals: Sequence[Interval]
    gaps: Sequence[Gap]
    corrections: Sequence[Mapping[str, Any]]
    undated: Mapping[str, int]
    chain_holds: bool
    seal: str
    """Digest of the newest seal of the month, "" if there is none."""

    @property
    def totals(self) -> dict[str, int]:
        """Name -> count of the month."""
        total: Counter[str] = Counter()
        for line in self.days:
            total.update(line.day.totals)
        return dict(total)

    @property
    def seconds(self) -> dict[str, dict[str, int]]:
        """Subject -> state with cause -> seconds of the month."""
        total: dict[str, Counter[str]] = {}
        for line in self.days:
            for subject, states in line.seconds.items():
                total.setdefault(subject, Counter()).update(states)
        return {subject: dict(states) for subject, states in total.items()}

    @property
    def abilities(self) -> list[str]:
        """Those declared, then those that were counted and are not declared any more."""
        declared = [ability.name for ability in self.config.ability]
        return declared + sorted(set(self.seconds) - set(declared) - {"agent", "uplink", "comfort"})


def collect(reader: Reader, config: Config, name: str, now_ms: int) -> Month:
    """Read the month `name` (`2026-11`) as of `now_ms` (Unix milliseconds)."""
    calendar = Calendar(config.station.zone, config.station.day_starts)
    first = date.fromisoformat(f"{name}-01")
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    times = _Times(reader, calendar, first, last)
    account = read(reader, calendar)
    verdict = verify(reader)
    seals = [one.seal.digest for one in verdict.seals if one.day.startswith(name)]
    return Month(
        config,
        name,
        first,
        last,
        now_ms,
        list(_days(reader, account, times, first, last)),
        sorted([*_outages(reader, times), *_alarms(reader, times)], key=lambda one: one.begin or 0),
        [gap for gap in _gaps(reader, times) if gap.at is None or times.within(gap.at, gap.at)],
        [json.loads(row.body) for row in reader.of_type("usage", "correction") if times.of_month(row)],
        account.undated,
        verdict.good,
        seals[-1] if seals else "",
    )


class _Times:
    """When rows and stamps were, and whether that is in the month."""

    def __init__(self, reader: Reader, calendar: Calendar, first: date, last: date) -> None:
        self._offsets = reader.offsets()
        self._calendar = calendar
        self._first, self._last = first, last

    def dated(self, boot: int, mono_ms: int, wall_ms: int, good: object) -> int | None:
        """Return Unix milliseconds, None if nobody knows."""
        if good:
            return wall_ms
        return mono_ms + self._offsets[boot] if boot in self._offsets else None

    def row(self, row: Row) -> int | None:
        """Return when a row was."""
        return self.dated(row.boot, row.mono_ms, row.wall_ms, row.good)

    def day(self, at: int) -> date:
        """Return the business day of a moment."""
        return self._calendar.hour(at)[0]

    def of_month(self, row: Row) -> bool:
        """Return whether a row is known to be of the month."""
        at = self.row(row)
        return at is not None and self.within(at, at)

    def within(self, begin: int | None, end: int | None) -> bool:
        """Return whether a stretch touches the month; one without a beginning is judged by its end."""
        begin = end if begin is None else begin
        if begin is None:
            return False
        return self.day(begin) <= self._last and (end is None or self.day(end) >= self._first)


def _days(reader: Reader, account: Account, times: _Times, first: date, last: date) -> Iterator[DayLine]:
    closed = {body["day"]: body for row in reader.of_type("usage", "day_closed") if (body := json.loads(row.body))}
    seconds: dict[date, dict[str, Counter[str]]] = {}
    for row in reader.of_type("usage", "service"):
        if (at := times.row(row)) is not None:
            for subject, states in json.loads(row.body)["seconds"].items():
                seconds.setdefault(times.day(at), {}).setdefault(subject, Counter()).update(states)
    for day in sorted(set(account.days) | set(seconds)):
        if not first <= day <= last:
            continue
        body = closed.get(str(day), {})
        known = account.days.get(day, Day(day, {}, {}, closed=False))
        found = {subject: dict(states) for subject, states in seconds.get(day, {}).items()}
        yield DayLine(known, body.get("unique_visitors"), bool(body.get("unique_visitors_few")), found)


def _outages(reader: Reader, times: _Times) -> Iterator[Interval]:
    for kind in _INTERVALS:
        for row in reader.of_type("usage", kind):
            body = json.loads(row.body)
            begin, end = times.dated(*body["from"]), times.dated(*body["to"])
            length = body.get("seconds")
            if length is None and begin is not None and end is not None:
                length = (end - begin) // 1000
            if times.within(begin, end):
                yield Interval(kind, row.device, body["cause"], begin, end, length)


def _alarms(reader: Reader, times: _Times) -> Iterator[Interval]:
    """Yield each alarm once, from the raising to the clearing."""
    raised: dict[tuple[str, str], tuple[Row, dict[str, Any]]] = {}
    for row in reader.all_rows():
        if row.stream != "alarm" or row.type in {"gap", "clock_correction"}:
            continue
        body, key = json.loads(row.body), (row.device, row.type)
        if body["state"] == "raised":
            raised[key] = (row, body)
        elif body["state"] == "cleared" and key in raised:
            yield from _alarm(*raised.pop(key), row, times)
    for begin, body in raised.values():
        yield from _alarm(begin, body, None, times)


def _alarm(raised: Row, body: Mapping[str, Any], cleared: Row | None, times: _Times) -> Iterator[Interval]:
    begin, end = times.row(raised), None if cleared is None else times.row(cleared)
    if times.within(begin, end):
        seconds = None if begin is None or end is None else (end - begin) // 1000
        yield Interval("alarm", raised.device, raised.type, begin, end, seconds, body["text"], body["severity"])


def _gaps(reader: Reader, times: _Times) -> Iterator[Gap]:
    for stream in ("alarm", "usage", "tele"):
        for row in reader.of_type(stream, "gap"):
            body = json.loads(row.body)
            count = body.get("count", body["to_seq"] - body["from_seq"] + 1)
            yield Gap(stream, body["reason"], count, times.row(row))
