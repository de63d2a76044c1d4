"""The single door into the journal: stamp -> assemble -> rules -> ledger -> thin -> commit, in that visible order.

Workers and the uplink hand over what they have through a bounded queue; one thread owns everything behind it. What
still waits in the queue is not accepted: nothing is counted, shown or published from it. What waits together shares one
commit. A usage event or an alarm commits at once, telemetry and acknowledgements with the next group commit.
"""

import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from edge_agent.cabinet import Cabinet, Moment
from edge_agent.clock import Clock
from edge_agent.errors import JournalError
from edge_agent.journal import Batch, Journal, Row
from edge_agent.journal_open import Missing
from edge_agent.journal_schema import STREAMS
from edge_agent.ledger import Calendar, Ledger, counter
from edge_agent.picture import ActiveAlarm, Device, Picture, Storage, Totals, View, with_readings
from edge_agent.ranges import Ranges
from edge_agent.records import Alarm, Event, Json, Quality, Reading, Record, Stamp
from edge_agent.rules import ALARM, SWIPES, Alarms, Swipes
from edge_agent.thinning import Thinner

log = logging.getLogger(__name__)

CABINET = "cabinet/"
_CLOSED = "closed_until"
_QUEUE = 4096
"""Submissions that may wait: about a minute of the busiest station behind a stalled SD card."""
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the Recorder works; seconds."""

    calendar: Calendar
    group_commit: float = 10.0
    min_interval: float = 10.0
    heartbeat: float = 300.0
    double_swipe: float = 10.0
    publish_card_ref: bool = False
    queue: int = _QUEUE


@dataclass(frozen=True, slots=True)
class _Submission:
    device: str
    stamp: Stamp
    records: tuple[Record, ...]
    unreachable: str | None = None
    """Why the device does not answer, None if it does."""
    state: Mapping[str, str | None] = field(default_factory=dict)
    """What to remember in the same transaction: key -> JSON text, None forgets."""
    gaps: tuple[tuple[str, Mapping[str, Json]], ...] = ()
    """Losses to declare: (stream, body of the gap record)."""


@dataclass(slots=True)
class _Effects:
    """What becomes visible once the batch it belongs to is accepted."""

    readings: dict[str, tuple[dict[str, Reading], Stamp]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    alarms: bool = False
    totals: bool = False
    visit: float | None = None
    poll_now: list[str] = field(default_factory=list)


class Recorder:
    """See the module; `submit` and `acknowledge` may be called from any thread, `step` only from its own."""

    def __init__(
        self, journal: Journal, clock: Clock, settings: Settings, picture: Picture, cabinets: Sequence[Cabinet] = ()
    ) -> None:
        self.poll_now: Callable[[str], None] = lambda _device: None
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._picture = picture
        self._cabinets = cabinets
        state = journal.state()
        self._swipes = Swipes(settings.double_swipe, state.get(SWIPES))
        self._alarms = Alarms(state)
        self._closed_until = state.get(_CLOSED, "")
        self._ledger = Ledger(settings.calendar, journal.ledger())
        self._thinner = Thinner(min_interval=settings.min_interval, heartbeat=settings.heartbeat)
        self._wanted = threading.Condition()
        self._queue: deque[_Submission] = deque()
        self._handed_over = self._taken = self._durable = 0
        self._delivered: dict[tuple[str, int], Ranges] = {}
        self._overflow: dict[str, tuple[int, Stamp, Stamp]] = {}
        self._stopping = False
        self._hurry = False
        self._batch = Batch()
        self._effects = _Effects()
        self._failed = False
        self._hour: tuple[date, int] | None = None
        self._group_due = clock.monotonic() + settings.group_commit
        self._show(_Effects(alarms=True, totals=True))

    # ---- from any thread

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Hand over what `device` said at monotonic time `at` (seconds; default now)."""
        self._put(_Submission(device, self._stamp(at), tuple(records)))

    def remember(self, key: str, text: str | None) -> None:
        """Keep JSON `text` under `key` across restarts, from the next group commit on; None forgets it."""
        self._put(_Submission("journal", self._stamp(None), (), state={key: text}))

    def declare(
        self, gaps: Iterable[tuple[str, Mapping[str, Json]]], state: Mapping[str, str | None] | None = None
    ) -> None:
        """Declare losses, as (stream, body of the gap record), and remember `state` in the same transaction."""
        self._put(_Submission("journal", self._stamp(None), (), state=state or {}, gaps=tuple(gaps)))

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Submit, with what to `remember` in the same transaction, and wait until it is durable.

        False if that takes longer than `within` seconds, or if the queue is full.
        """
        submission = _Submission(device, self._stamp(None), tuple(records), state=state)
        with self._wanted:
            if not self._put(submission):
                return False
            number = self._handed_over
            self._hurry = True
            return self._wanted.wait_for(lambda: self._durable >= number, within)

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """Say that `device` does not answer: its last values turn bad, for the reason given."""
        self._put(_Submission(device, self._stamp(None), tuple(records), unreachable=why))

    def acknowledge(self, delivered: Mapping[tuple[str, int], Ranges]) -> None:
        """Take what the centre has acknowledged since the last call, as (stream, epoch number) -> seqs."""
        with self._wanted:
            for key, ranges in delivered.items():
                known = self._delivered.setdefault(key, Ranges())
                for first, last in ranges:
                    known.add(first, last)

    def commit_soon(self) -> None:
        """Do not wait for the group commit this time."""
        with self._wanted:
            self._hurry = True
            self._wanted.notify()

    def stop(self) -> None:
        """Make `run` commit everything that waits, and return."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()

    def _put(self, submission: _Submission) -> bool:
        with self._wanted:
            if len(self._queue) < self._settings.queue:
                self._handed_over += 1
                self._queue.append(submission)
                self._wanted.notify_all()
                return True
            for record in submission.records:
                stream = _stream_of(record)
                count, first, _ = self._overflow.get(stream, (0, submission.stamp, submission.stamp))
                self._overflow[stream] = (count + 1, first, submission.stamp)
            return False

    def _stamp(self, at: float | None) -> Stamp:
        now = self._clock.monotonic()
        at = now if at is None else at
        wall = self._clock.wall() - (now - at)
        return Stamp(self._journal.boot, round(at * 1000), round(wall * 1000), self._clock.good())

    # ---- the journal thread

    def run(self, promise: Callable[[float], None]) -> None:
        """Work until `stop`; `promise(deadline)` is told the monotonic time by which the next step will be done."""
        while True:
            promise(self._clock.monotonic() + 15.0)
            rest = self.step()
            with self._wanted:
                if self._stopping and not self._queue and not self._failed:
                    break
                if not self._queue and not self._stopping and not self._hurry:
                    promise(self._clock.monotonic() + rest + 15.0)
                    self._wanted.wait(rest)
                elif self._failed:
                    self._wanted.wait(rest)
                    if self._stopping:
                        break
        self.flush()

    def step(self) -> float:
        """Process what waits, commit if it is time; return seconds to rest."""
        if self._failed:
            return self._commit()
        self._close_days()
        with self._wanted:
            taken = list(self._queue)
            self._queue.clear()
            self._taken += len(taken)
            overflow, self._overflow = self._overflow, {}
            hurry, self._hurry = self._hurry, False
        for stream, (count, first, last) in overflow.items():
            self._declare_overflow(stream, count, first, last)
        for submission in taken:
            self._process(submission)
        now = self._clock.monotonic()
        if hurry or self._batch.urgent or now >= self._group_due:
            return self._commit()
        self._reveal()
        return max(0.0, self._group_due - now)

    def flush(self) -> None:
        """Commit whatever waits, acknowledgements included; raises nothing."""
        if not self._failed:
            self.step()
        self._commit()

    def _process(self, submission: _Submission) -> None:
        stamp = submission.stamp
        self._batch.state |= submission.state
        for stream, body in submission.gaps:
            self._row(stream, "journal", "gap", stamp, dict(body))
        readings: dict[str, list[Reading]] = {}
        for device, record in self._assemble(submission):
            if isinstance(record, Event):
                self._event(device, record, stamp)
            elif isinstance(record, Alarm):
                self._alarm(device, record, stamp)
            else:
                readings.setdefault(device, []).append(record)
        # Readings last: a change is told beside the event that explains it, in the same transaction.
        for device, values in readings.items():
            self._tell(device, values, stamp)

    def _assemble(self, submission: _Submission) -> list[tuple[str, Record]]:
        """Return what was said, and behind it what the cabinets make of it."""
        said: list[Record] = list(submission.records)
        if submission.unreachable is not None:
            why = submission.unreachable
            said += [replace(r, quality=Quality.BAD, why=why) for r in self._thinner.latest(submission.device)]
        records = [(submission.device, record) for record in said]
        readings = [record for record in said if isinstance(record, Reading)]
        stamp = submission.stamp
        for cabinet in self._cabinets:
            if not readings or submission.device not in cabinet.devices:
                continue
            moment = Moment(stamp.mono, stamp.wall_ms / 1000, self._clock.boot_id)
            outcome = cabinet.update(submission.device, readings, moment)
            for device, values in outcome.readings.items():
                records += [(device, reading) for reading in values]
            records += outcome.events
            records += outcome.alarms
            self._effects.poll_now += outcome.poll_now
            if outcome.changed:
                self._batch.state[CABINET + cabinet.name] = json.dumps(cabinet.stored(), ensure_ascii=False)
        return records

    def _event(self, device: str, event: Event, stamp: Stamp) -> None:
        if event.at is not None:
            earlier = stamp.mono_ms - round(event.at * 1000)
            stamp = replace(stamp, mono_ms=stamp.mono_ms - earlier, wall_ms=stamp.wall_ms - earlier)
        body = dict(event.data)
        if event.card is not None and event.type == "visit":
            if not self._swipes.admit(event.card, stamp):
                return
            self._batch.state[SWIPES] = self._swipes.stored()
        if event.card is not None and self._settings.publish_card_ref:
            body |= {"card_ref": event.card.ref, "key_id": event.card.key_id}
        name = counter(event)
        if name is not None:
            self._batch.ledger |= self._ledger.add(name, stamp.wall_ms, good=stamp.good, boot=stamp.boot)
            self._effects.totals = True
        if event.type == "visit":
            self._effects.visit = stamp.mono
        self._row("usage", device, event.type, stamp, body)

    def _alarm(self, device: str, alarm: Alarm, stamp: Stamp) -> None:
        if not self._alarms.changes(device, alarm):
            return
        seq = self._journal.reserve("alarm")
        state, body = self._alarms.apply(device, alarm, stamp, self._journal.epoch, seq)
        self._batch.state[f"{ALARM}{device}/{alarm.code}"] = state.stored()
        self._row("alarm", device, alarm.code, stamp, body, seq=seq)
        self._effects.alarms = True

    def _tell(self, device: str, readings: Sequence[Reading], stamp: Stamp) -> None:
        known, _ = self._effects.readings.setdefault(device, ({}, stamp))
        known |= {reading.point: reading for reading in readings}
        self._effects.readings[device] = (known, stamp)
        sample = self._thinner.offer(device, readings, stamp.mono)
        if sample is None:
            return
        body: dict[str, Json] = {}
        doubtful: dict[str, Json] = {}
        for reading in sample.readings:
            if reading.quality is not Quality.GOOD:
                doubtful[reading.point] = str(reading.quality)
            elif reading.value is not None:
                body[reading.point] = list(reading.value) if isinstance(reading.value, tuple) else reading.value
        if doubtful:
            body["quality"] = doubtful
        self._row("tele", device, "sample", stamp, body)
        self._effects.told.add(device)

    def _row(self, stream: str, device: str, kind: str, stamp: Stamp, body: dict[str, Json], *, seq: int = 0) -> None:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        seq = seq or self._journal.reserve(stream)
        where = (stream, self._journal.epoch, seq)
        self._batch.rows.append(Row(*where, device, kind, stamp.boot, stamp.mono_ms, stamp.wall_ms, stamp.good, text))

    def _declare_overflow(self, stream: str, count: int, first: Stamp, last: Stamp) -> None:
        """What could not even wait gets seqs that stay empty, and a gap record that says so."""
        seqs = [self._journal.reserve(stream) for _ in range(count)]
        body: dict[str, Json] = {
            "from_seq": seqs[0],
            "to_seq": seqs[-1],
            "from": first.stored(),
            "to": last.stored(),
            "reason": "overflow",
            "count": count,
        }
        self._row(stream, "journal", "gap", last, body)
        log.error("journal is too slow: %d records could not wait and are lost stream=%s", count, stream)

    def declare_missing(self, missing: Iterable[Missing]) -> None:
        """Declare what a damaged journal has lost; to be called before `run`."""
        stamp = self._stamp(None)
        for gap in missing:
            body: dict[str, Json] = {
                "of_epoch": gap.epoch_name,
                "from_seq": gap.first,
                "to_seq": gap.last,
                "reason": "damage",
            }
            self._row(gap.stream, "journal", "gap", stamp, body)

    def _close_days(self) -> None:
        """Write a `day_closed` record for each finished business day, once; never on a clock that is not good."""
        stamp = self._stamp(None)
        if not stamp.good:
            return
        hour = self._ledger.today(stamp.wall_ms)
        if hour != self._hour:
            self._hour = hour
            self._effects.totals = True
        for day in self._ledger.open_days(self._closed_until, stamp.wall_ms):
            body: dict[str, Json] = {"day": str(day), "totals": dict(self._ledger.day(day))}
            body["hours"] = {name: list(hours) for name, hours in self._ledger.hours(day).items()}
            self._row("usage", "station", "day_closed", stamp, body)
            self._closed_until = str(day)
            self._batch.state[_CLOSED] = self._closed_until
            self._effects.totals = True

    # ---- commit, and what becomes visible after it

    def _commit(self) -> float:
        now = self._clock.monotonic()
        self._group_due = now + self._settings.group_commit
        if not self._failed:
            with self._wanted:
                self._batch.delivered, self._delivered = self._delivered, {}
        if self._batch:
            try:
                self._journal.commit(self._batch)
            except JournalError as error:
                self._trouble(error)
                return _RETRY_S
            self._accepted(self._batch, self._clock.monotonic() - now)
            self._batch = Batch()
        with self._wanted:
            self._durable = self._taken
            self._wanted.notify_all()
        self._reveal()
        return max(0.0, self._group_due - self._clock.monotonic())

    def _trouble(self, error: JournalError) -> None:
        if not self._failed:
            log.error("journal cannot be written, nothing new is accepted: %s", error)
        self._failed = True
        with self._wanted:
            waiting = len(self._queue)
        self._picture.change(
            lambda view: replace(view, storage=replace(view.storage, trouble=str(error), waiting=waiting))
        )

    def _accepted(self, batch: Batch, seconds: float) -> None:
        if self._failed:
            log.warning("journal can be written again")
            self._failed = False
        added = Counter(row.stream for row in batch.rows)

        def edit(view: View) -> View:
            before = view.storage
            accepted = {stream: before.accepted.get(stream, 0) + added[stream] for stream in STREAMS}
            slowest = max(before.slowest_commit_s, seconds)
            return replace(view, storage=Storage(accepted, before.commits + 1, slowest))

        self._picture.change(edit)

    def _reveal(self) -> None:
        effects, self._effects = self._effects, _Effects()
        if effects.readings or effects.alarms or effects.totals or effects.visit is not None:
            self._show(effects)
        for device in effects.poll_now:
            self.poll_now(device)

    def _show(self, effects: _Effects) -> None:
        def edit(view: View) -> View:
            devices = dict(view.devices)
            for name, (readings, stamp) in effects.readings.items():
                device = with_readings(devices.get(name, Device()), readings, stamp.wall_ms, stamp.mono)
                if name in effects.told:
                    device = replace(device, told=device.told + 1)
                devices[name] = device
            view = replace(view, devices=devices)
            if effects.alarms:
                view = replace(view, alarms=self._active_alarms())
            if effects.totals:
                view = replace(view, totals=self._totals(view.totals))
            return view if effects.visit is None else replace(view, last_visit_mono=effects.visit)

        self._picture.change(edit)

    def _active_alarms(self) -> dict[tuple[str, str], ActiveAlarm]:
        return {
            (device, code): ActiveAlarm(device, code, state.severity, state.since, state.epoch, state.seq, state.detail)
            for (device, code), state in self._alarms.states.items()
            if state.active
        }

    def _totals(self, before: Totals) -> Totals:
        ledger = self._ledger
        now = self._stamp(None)
        common = Totals(
            epoch_name=self._journal.epoch_name,
            seq=self._journal.last_seq("usage"),
            lifetime=ledger.lifetime(),
            undated=ledger.undated(),
            changes=before.changes + 1,
        )
        if not now.good:
            return common
        day, hour = ledger.today(now.wall_ms)
        return replace(
            common,
            day=day,
            hour=hour,
            today=ledger.day(day),
            hours=ledger.hours(day),
            yesterday=ledger.day(day - timedelta(days=1)),
        )


def _stream_of(record: Record) -> str:
    if isinstance(record, Event):
        return "usage"
    return "alarm" if isinstance(record, Alarm) else "tele"
