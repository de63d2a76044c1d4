"""Rules played without a recorder: a clock that moves when told, and a memory that outlives restarts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from zoneinfo import ZoneInfo

from edge_agent.ledger import Calendar, counts
from edge_agent.records import Alarm, Event, Json, Reading, Record, Stamp, Value
from edge_agent.rules.rule import Moment, Rule, Rules, Said

CALENDAR = Calendar(ZoneInfo("Asia/Shanghai"), time(0))
NOON_MS = 1_795_320_000_000
"""2026-11-22, noon in Shanghai."""
DAY_S = 86_400.0

Make = Callable[[Mapping[str, str], Mapping[tuple[str, str], int]], Sequence[Rule]]
"""Builds rules as they were when state and ledger entries were kept."""


@dataclass
class Play:
    """A station that is nothing but rules; `known` says whether its clock is."""

    make: Make
    known: bool = True
    boot: int = 1
    mono: float = 1000.0
    wall: float = NOON_MS / 1000
    state: dict[str, str] = field(default_factory=dict)
    ledger: dict[tuple[str, str], int] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    by_day: dict[date, Counter[str]] = field(default_factory=dict)
    _offsets: dict[int, int] = field(default_factory=dict)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, *, boot: bool = False) -> None:
        """The agent starts with what it kept; with `boot` the machine does."""
        if boot:
            self.boot += 1
            self.mono = 5.0
        self.rules = Rules(self.make(self.state, self.ledger))
        self._tick()

    def moment(self, ago: float = 0.0) -> Moment:
        """Return what now (or some seconds ago) is."""
        if self.known:
            self._offsets[self.boot] = round((self.wall - self.mono) * 1000)
        stamp = Stamp(self.boot, round((self.mono - ago) * 1000), round((self.wall - ago) * 1000), self.known)
        return Moment(stamp, self.dated)

    def dated(self, stamp: Stamp) -> int | None:
        """Return when a stamp was, as a journal would know it."""
        if stamp.good:
            return stamp.wall_ms
        return None if stamp.boot not in self._offsets else stamp.mono_ms + self._offsets[stamp.boot]

    def tell(self, device: str, *records: Record, ago: float = 0.0) -> list[Said]:
        """Let a device say something; return what goes on."""
        self._tick()
        moment = self.moment(ago)
        out = [said for record in records for said in self.rules.take(device, record, moment)]
        self._enter(out, moment)
        return out

    def wait(self, seconds: float, step: float = 60.0) -> None:
        """Let time pass, a step at a time."""
        while seconds > 0:
            passing = min(step, seconds)
            self.mono += passing
            self.wall += passing
            seconds -= passing
            self._tick()

    def close_day(self, day: str, **totals: int) -> Mapping[str, Json]:
        """Let a day be closed; return its record."""
        found: dict[str, Json] = dict(totals)
        for _, record in self.tell("station", Event("day_closed", {"day": day, "totals": found})):
            if isinstance(record, Event):
                return record.data
        raise AssertionError("the record of the day is lost")

    def types(self) -> list[str]:
        """Return the types of all events that went on."""
        return [record.type for _, record in self.said if isinstance(record, Event)]

    def alarms(self) -> dict[tuple[str, str], bool]:
        """Return which alarms are up, of those that were ever spoken of."""
        return {(device, one.code): one.active for device, one in self.said if isinstance(one, Alarm)}

    def last(self, device: str, point: str) -> Value | None:
        """Return the newest value of a point."""
        told = [
            one.value for name, one in self.said if name == device and isinstance(one, Reading) and one.point == point
        ]
        return told[-1] if told else None

    def _tick(self) -> None:
        moment = self.moment()
        if self.rules.due <= moment.mono:
            self._enter(list(self.rules.tick(moment)), moment)

    def _enter(self, said: list[Said], moment: Moment) -> None:
        self.said += said
        for _, record in said:
            if isinstance(record, Event):
                added = counts(record)
                self.totals.update(added)
                if moment.at_ms is not None:
                    ago = 0.0 if record.at is None else moment.mono - record.at
                    day, _ = CALENDAR.hour(moment.at_ms - round(ago * 1000))
                    self.by_day.setdefault(day, Counter()).update(added)
        for kept in self.rules.kept():
            for key, text in kept.state.items():
                self.state.pop(key, None)
                if text is not None:
                    self.state[key] = text
            for entry, count in kept.ledger.items():
                self.ledger.pop(entry, None)
                if count is not None:
                    self.ledger[entry] = count
