"""What the station could offer, second by second: abilities, outages and comfort, told as one event for each hour.

A mark is stored at most once a minute, with the group commit. What a crash loses is the time since the last mark, and
that time is part of the outage that the next start declares: no second is counted twice, and none goes missing.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edge_agent.config.abilities import Rule as AbilityRule
from edge_agent.config.condition import Condition, Point
from edge_agent.ledger import Calendar
from edge_agent.records import Event, Json, Reading, Record, Stamp
from edge_agent.rules.comfort import Comfort
from edge_agent.rules.judgement import Cause, Judge, Readings, State, Verdict
from edge_agent.rules.outages import Mark, Missed
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said
from edge_agent.rules.tally import Piece, Tally

DEVICE = "abilities"
"""Device id of the abilities' states."""
STATION = "station"
"""Device id of what concerns the station as a whole."""
STOPPED = "agent_stopped"
"""Event by which the station says that it stops in good order."""
UPLINK = "uplink_turned"
"""Event (`online`) by which the station says that the connection came or went; told to nobody as such."""
KEPT = "rule/abilities"
_STAFF: Point = (STATION, "staff")
"""Who is there for maintenance, absent if nobody is."""
_MARK_MS = 60_000
_WORTH_TELLING_S = 60.0
"""Shorter losses of the connection are the ordinary life of a mobile network."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is judged; `mains` is the condition that holds while there is mains power, None = nothing tells."""

    calendar: Calendar
    abilities: Mapping[str, AbilityRule]
    mains: Condition | None
    patience: Mapping[str, int]
    """Polled device -> milliseconds after which its values are too old."""
    networked: frozenset[str]


class Abilities(Rule):
    """See the module. Comes last: it judges what all other rules have let through or added."""

    def __init__(self, settings: Settings, comfort: Comfort, stored: Mapping[str, str]) -> None:
        self._settings = settings
        self._comfort = comfort
        self._last = Mark.load(stored.get(KEPT))
        """The last sign of life of the agent before this one, until it has been explained."""
        conditions = [c for rule in settings.abilities.values() for c in rule.conditions.values()]
        conditions += [settings.mains] if settings.mains is not None else []
        asked = frozenset(point for condition in conditions for point in condition.points)
        grace = max([_MARK_MS, *settings.patience.values()])
        self._readings = Readings(asked | comfort.points | {_STAFF}, settings.patience, settings.networked, grace)
        self._judge = Judge(settings.abilities, self._readings, self._last.held if self._last is not None else {})
        self._verdicts: dict[str, Verdict] = {}
        self._tally: Tally | None = None
        self._first = 0
        self._missed: Missed | None = None
        self._stopped = False
        self._offline: Stamp | None = None
        self._dark: Stamp | None = None
        self._holding: tuple[str, ...] = ()
        self._mark_at = 0
        self._due = 0.0
        self._kept = NOTHING

    @property
    def due(self) -> float:
        """When an hour ends, a value gets too old, or a mark is to be stored."""
        return self._due

    def judges(self, device: str, point: str) -> bool:
        """See `Rule.judges`."""
        return (device, point) in self._readings.asked

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Count the time until this record, let it through, and judge anew."""
        tally = self._tally
        if tally is None:
            tally = yield from self._begin(moment)
        if isinstance(record, Event) and record.type == UPLINK:
            yield from self._pass(tally, moment)
            yield from self._turn_uplink(record, moment)
        else:
            if self._matters(device, record, moment.stamp.mono_ms):
                yield from self._pass(tally, moment)
            if isinstance(record, Event) and record.type == STOPPED:
                self._stopped = True
                yield from _told(tally.cut())
                self._keep(tally, moment)
            yield device, record

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Count the time; say how things are, once a minute."""
        tally = self._tally
        if tally is None:
            tally = yield from self._begin(moment)
        yield from self._pass(tally, moment)
        if moment.stamp.mono_ms >= self._mark_at:
            self._keep(tally, moment)
            yield from self._states()
            self._plan(tally, moment)

    def kept(self) -> Kept:
        """Return the mark: with every piece that was told, and once a minute."""
        kept, self._kept = self._kept, NOTHING
        return kept

    # ---- from one moment to the next

    def _matters(self, device: str, record: Record, now: int) -> bool:
        """Note what may change a judgement; return whether it may."""
        if isinstance(record, Reading):
            return self._readings.take(device, record, now)
        return isinstance(record, Event) and record.type == STOPPED

    def _pass(self, tally: Tally, moment: Moment) -> Iterator[Said]:
        """Count what was the case until now, then see what is the case from now on."""
        offset = _offset(moment)
        if self._missed is not None and offset is not None:
            yield from self._make_up(self._missed, offset)
            self._missed = None
            self._keep(tally, moment)
        pieces = tally.let_pass(moment.stamp.mono_ms, self._holding, offset)
        if pieces:
            yield from _told(pieces)
            self._keep(tally, moment)
        yield from self._look(moment)
        self._plan(tally, moment)

    def _look(self, moment: Moment) -> Iterator[Said]:
        over = Cause.MAINTENANCE if self._attended(moment) else None
        if self._settings.mains is not None:
            mains = self._judge.truth(self._settings.mains, moment)
            over = Cause.POWER if mains is False else over
            yield from self._turn_mains(moment, mains=mains)
        verdicts = self._judge.verdicts(moment, over)
        if verdicts != self._verdicts:
            self._verdicts = verdicts
            yield from self._states()
        comfort = self._comfort.state(self._readings, moment)
        self._holding = (
            "agent.up",
            f"uplink.{'online' if self._offline is None else 'offline'}",
            *(f"{name}.{verdict.key}" for name, verdict in verdicts.items()),
            *([f"comfort.{comfort}"] if comfort is not None else []),
        )

    def _attended(self, moment: Moment) -> bool:
        staff = self._readings.reading(_STAFF, moment.stamp.mono_ms)
        return staff is not None and staff.value is not None

    def _states(self) -> Iterator[Said]:
        for name, verdict in self._verdicts.items():
            yield DEVICE, Reading(name, str(verdict.state))
            yield DEVICE, Reading(f"{name}_cause", None if verdict.cause is None else str(verdict.cause))

    def _plan(self, tally: Tally, moment: Moment) -> None:
        now, turn = moment.stamp.mono_ms, tally.turns(_offset(moment))
        self._due = min(turn, self._mark_at, self._readings.expires(now)) / 1000

    def _keep(self, tally: Tally, moment: Moment) -> None:
        stamp = moment.stamp
        mark = Mark(
            Stamp(stamp.boot, tally.at, stamp.wall_ms + tally.at - stamp.mono_ms, stamp.good),
            dict(tally.seconds),
            tally.began,
            self._first,
            self._stopped,
            self._attended(moment),
            self._offline,
            self._dark,
            dict(self._judge.held),
            self._missed,
        )
        self._mark_at = stamp.mono_ms + _MARK_MS
        self._kept = Kept({KEPT: mark.stored()})

    # ---- the beginning, and what was before it

    def _begin(self, moment: Moment) -> Generator[Said, None, Tally]:
        now, last = moment.stamp, self._last
        self._readings.started = now.mono_ms
        self._first = now.mono_ms
        self._offline = now
        pieces: list[Piece] = []
        tally = Tally(self._settings.calendar, now.mono_ms, now.mono_ms)
        if last is not None:
            self._offline, self._dark = last.offline or now, last.dark
            self._missed = last.missed
            tally, pieces = self._resume(last, last.cause(now), tally, moment)
        self._tally = tally
        yield from _told(pieces)
        if last is not None:
            yield STATION, _interval("outage", last.stamp, moment, cause=str(last.cause(now)))
        yield from self._look(moment)
        self._keep(tally, moment)
        self._plan(tally, moment)
        return tally

    def _resume(self, last: Mark, cause: Cause, fresh: Tally, moment: Moment) -> tuple[Tally, list[Piece]]:
        """Go on where the last mark stands, the time since then being an outage."""
        now = moment.stamp.mono_ms
        offset = _offset(moment)
        length = moment.since(last.stamp)
        if last.same_boot(moment.stamp):
            self._first = last.first
            at, began = last.stamp.mono_ms, last.began
        elif length is None or self._missed is not None:
            return fresh, self._set_aside(last, cause, now, moment)
        else:
            at = now - max(0, round(length * 1000))
            began = at - (last.stamp.mono_ms - last.began)
        tally = Tally(self._settings.calendar, at, began, dict(last.seconds), dated=last.stamp.good)
        return tally, tally.let_pass(now, self._down(cause), offset)

    def _set_aside(self, last: Mark, cause: Cause, now: int, moment: Moment) -> list[Piece]:
        """Keep what cannot be counted before the time is known; what never can be dated is told as it is."""
        mark_ms = moment.dated(last.stamp)
        if self._missed is None and mark_ms is not None:
            self._missed = Missed(mark_ms, last.seconds, cause)
            return []
        if self._missed is not None:
            counted = self._missed.counted + last.stamp.mono_ms // 1000 - last.first // 1000
            self._missed = Missed(self._missed.mark_ms, self._missed.seconds, cause, counted)
        return [Piece(now, last.seconds)] if last.seconds else []

    def _make_up(self, missed: Missed, offset: int) -> Iterator[Said]:
        """Count an outage once its length can be told."""
        length = max(0, self._first + offset - missed.mark_ms - missed.counted * 1000)
        begin = self._first - length
        tally = Tally(self._settings.calendar, begin, begin, dict(missed.seconds), dated=True)
        yield from _told([*tally.let_pass(self._first, self._down(missed.cause), offset), *tally.cut()])

    def _down(self, cause: Cause) -> tuple[str, ...]:
        """Return what is the case while the agent is not there.

        Without power nothing can be offered; else the station may have gone on by itself, but nobody saw it.
        """
        state = State.UNAVAILABLE if cause is Cause.POWER else State.UNKNOWN
        return (f"agent.down_{cause}", *(f"{name}.{state}_{cause}" for name in self._settings.abilities))

    # ---- outages with the agent alive

    def _turn_uplink(self, record: Event, moment: Moment) -> Iterator[Said]:
        if not record.data.get("online"):
            self._offline = self._offline or moment.stamp
        elif self._offline is not None:
            begin, self._offline = self._offline, None
            length = moment.since(begin)
            if length is None or length >= _WORTH_TELLING_S:
                yield STATION, _interval("uplink_outage", begin, moment, cause=str(Cause.NETWORK))
        yield from self._look(moment)

    def _turn_mains(self, moment: Moment, *, mains: bool | None) -> Iterator[Said]:
        if mains is False:
            self._dark = self._dark or moment.stamp
        elif mains is True and self._dark is not None:
            begin, self._dark = self._dark, None
            yield STATION, _interval("mains_outage", begin, moment, cause=str(Cause.POWER))


def _offset(moment: Moment) -> int | None:
    return None if moment.at_ms is None else moment.at_ms - moment.stamp.mono_ms


def _interval(kind: str, begin: Stamp, moment: Moment, **more: Json) -> Event:
    length = moment.since(begin)
    data: dict[str, Json] = {"from": begin.stored(), "to": moment.stamp.stored(), **more}
    return Event(kind, data if length is None else {**data, "seconds": max(0, round(length))})


def _told(pieces: Iterable[Piece]) -> Iterator[Said]:
    """Yield each piece as an event of its hour."""
    for piece in pieces:
        by_subject: dict[str, dict[str, Json]] = {}
        for key, seconds in piece.seconds.items():
            subject, _, state = key.partition(".")
            by_subject.setdefault(subject, {})[state] = seconds
        subjects: dict[str, Json] = dict(by_subject)
        yield STATION, Event("service", {"seconds": subjects}, at=piece.at / 1000)
