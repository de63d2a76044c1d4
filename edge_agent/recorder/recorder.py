"""The single door into the journal: stamp -> assemble -> rules -> ledger -> thin -> commit, in that visible order.

Workers and the uplink hand over what they have through a bounded queue; one thread owns everything behind it. What
still waits in the queue is not accepted: nothing is counted, shown or published from it. What waits together shares one
commit. A usage event or an alarm commits at once, telemetry and acknowledgements with the next group commit.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.clock import Clock
from edge_agent.errors import JournalDamaged, JournalError
from edge_agent.journal.chain import CHAIN, Chain
from edge_agent.journal.file import wrap
from edge_agent.journal.journal import Batch, Journal, counted
from edge_agent.journal.open import Opened
from edge_agent.journal.row import Row
from edge_agent.journal.upkeep import Upkeep
from edge_agent.ledger import Calendar, Ledger, counts
from edge_agent.memory import Memories, key_of
from edge_agent.picture import ActiveAlarm, Picture
from edge_agent.ranges import Ranges
from edge_agent.recorder.alarms import OnAlarm, known_alarms, nobody, stored
from edge_agent.recorder.assembly import Assembly
from edge_agent.recorder.days import CLOSED, Closed, Days
from edge_agent.recorder.effects import JOURNAL, Display, Effects
from edge_agent.recorder.queue import Overflow, Queue, Submission, checked
from edge_agent.recorder.thinning import Thinner
from edge_agent.recorder.time import StationTime
from edge_agent.records import AlarmState, Event, Json, Memory, Reading, Record, Stamp
from edge_agent.rules.alarm_state import ALARM, told
from edge_agent.rules.alarms import AlarmLife
from edge_agent.rules.rule import Moment, Rule, Rules, Said
from edge_agent.wire_json import dumps

log = logging.getLogger(__name__)

_QUEUE = 4096
"""Submissions that may wait: about a minute of the busiest station behind a stalled SD card."""
_RETRY_S = 1.0
_FIGURES_S = 30.0
"""At first the figures about the journal say nothing yet."""
_MORE_S = 0.05
"""Rest between two steps of the journal's own work."""
_LONGEST_STEP = 15.0
"""Seconds; a card that takes 5 s for an fsync needs several of them for one step."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the Recorder works; seconds."""

    calendar: Calendar
    group_commit: float = 10.0
    min_interval: float = 10.0
    heartbeat: float = 300.0
    publish_card_ref: bool = False
    queue: int = _QUEUE
    flash_budget: int = 150_000_000
    """Bytes a day."""
    fewest_days: float = 3.0
    """Days of records there must be room for."""


class Recorder:
    """See the module. What is under "from any thread" may be called from there, the rest by the journal's thread."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        picture: Picture,
        cabinets: Sequence[Cabinet] = (),
        *,
        rules: Sequence[Rule] | None = None,
        upkeep: Upkeep | None = None,
    ) -> None:
        self.poll_now: Callable[[str], None] = lambda _device: None
        self.on_alarm: OnAlarm = nobody
        self.by_turns = False
        """True where one thread does everything by turns: whoever waits for a commit must make it."""
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._upkeep = upkeep or Upkeep(Opened(journal))
        self._time = StationTime(journal, clock, self._upkeep.known_ms)
        state = journal.state()
        self._memories = Memories(state)
        counts = journal.ledger()
        self._rules = Rules([AlarmLife(state)] if rules is None else rules)
        self._ledger = Ledger(settings.calendar, counts, state.get(CLOSED, ""))
        self._thinner = Thinner(min_interval=settings.min_interval, heartbeat=settings.heartbeat)
        self._assembly = Assembly(cabinets, self._thinner.latest, clock.boot_id)
        self._queue = Queue(settings.queue)
        self._batch = Batch()
        self._alarms = known_alarms(state)
        self._effects = Effects(alarms=dict(self._alarms), totals=True)
        self._failed = False
        self._unstored: Overflow | None = None
        self._days = Days(self._ledger)
        self._chain = Chain(journal, state.get(CHAIN))
        self._figures_at = clock.monotonic() + _FIGURES_S
        self._due = self._tend_at = clock.monotonic()
        self._display = Display(picture, journal, self._ledger, self._rules.today)
        self._reveal()

    # ---- from any thread

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Hand over what `device` said at monotonic time `at` (seconds; default now).

        Raises KeyError for an alarm that is not in the catalogue: that mistake belongs to whoever makes it.
        """
        submission = Submission(device, self._time.stamp(at), checked(records))
        self._memories.note(device, submission.records)
        self._queue.put(submission)

    def recall(self, device: str) -> Mapping[str, str]:
        """Return what `device` asked to be remembered (`Memory`), as of its last word."""
        return self._memories.of(device)

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """Say that `device` does not answer: its last values turn bad, for the reason given."""
        self._queue.put(Submission(device, self._time.stamp(), checked(records), unreachable=why))

    def remember(self, key: str, text: str | None) -> None:
        """Keep JSON `text` under `key` across restarts, from the next group commit on; None forgets it."""
        self._queue.remember(key, text)

    def declare(
        self, gaps: Iterable[tuple[str, Mapping[str, Json]]], state: Mapping[str, str | None] | None = None
    ) -> None:
        """Declare losses, as (stream, body of the gap record), and remember `state` in the same transaction."""
        self._queue.put(Submission(JOURNAL, self._time.stamp(), (), state=state or {}, gaps=tuple(gaps)))

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Submit, with what to `remember` in the same transaction, and wait until it is durable.

        False if that takes longer than `within` seconds, or if the queue is full.
        """
        submission = Submission(device, self._time.stamp(), checked(records), state=state)
        self._memories.note(device, submission.records)
        if self.by_turns:
            self._queue.put(submission)
            self.flush()
            return not self._failed
        return self._queue.put_durably(submission, within)

    def acknowledge(self, delivered: Mapping[tuple[str, int], Ranges]) -> None:
        """Take what the centre has acknowledged since the last call, as (stream, epoch number) -> seqs."""
        self._queue.acknowledge(delivered)

    def distrust(self, why: str) -> None:
        """Begin a new epoch: the centre knows records of this one that the journal does not (a copy was put back)."""
        self._queue.distrust(why)

    def commit_soon(self) -> None:
        """Do not wait for the group commit this time."""
        self._queue.hurry()

    def stop(self) -> None:
        """Make `run` commit everything that waits, and return."""
        self._queue.stop()

    # ---- the journal's thread

    def run(self, promise: Callable[[float], None]) -> None:
        """Work until `stop`; `promise(deadline)` is told the monotonic time by which the next step will be done.

        Raises JournalDamaged if the file breaks while in use: only a new start can set it aside.
        """
        while not self._queue.stopping:
            promise(self._clock.monotonic() + _LONGEST_STEP)
            rest = self.step()
            promise(self._clock.monotonic() + rest + _LONGEST_STEP)
            self._queue.wait(rest, patiently=self._failed)
        self.flush()

    def step(self) -> float:
        """Process what waits, commit if it is time; return seconds to rest. Raises JournalDamaged."""
        try:
            return self._step()
        except sqlite3.Error as error:
            # A commit that fails is kept for another try; this is the journal's own work, which could not be looked up.
            failure = wrap(error, self._journal.path, "it is read again")
            self._display.trouble(str(failure), len(self._queue))
            if isinstance(failure, JournalDamaged):
                raise failure from error
            return _RETRY_S

    def _step(self) -> float:
        now = self._clock.monotonic()
        if self._failed:
            return self._commit() if now >= self._due else self._due - now
        why = self._queue.take_distrust()
        if self._batch and (why or self._time.to_be_dated):
            # Both look at what the journal holds, so it must be there.
            self._commit()
        if self._failed:
            self._queue.distrust(why)
            return _RETRY_S
        stamp = self._time.stamp()
        if why:
            self._begin_epoch(why)
        if self._time.to_be_dated:
            self._date_boot(stamp)
        self._effects.totals |= self._days.turned(stamp)
        taken = self._queue.take()
        self._batch.state |= taken.state
        for submission in taken.submissions:
            self._process(submission)
        self._let_time_pass(stamp)
        for stream, overflow in taken.overflow.items():
            self._declare_overflow(stream, overflow, "overflow")
        if self._unstored is not None and not self._upkeep.tight:
            self._declare_overflow("tele", self._unstored, "disk_full")
            self._unstored = None
        # Behind what waited and what the time alone has brought: both may belong to the day that is over.
        self._close_days(self._days.over(stamp), stamp)
        self._close_days(self._days.reopened(), stamp)
        if now >= self._tend_at:
            self._tend(now)
        worked = bool(self._batch.restored or self._batch.removed)
        if worked or taken.hurry or self._batch.urgent or now >= self._due:
            return self._commit()
        self._reveal()
        return self._rest()

    def flush(self) -> None:
        """Commit whatever waits, acknowledgements included; a batch that failed before has one more try."""
        if self._failed:
            self._commit()
        if not self._failed:
            self._queue.hurry()
            self.step()

    def _process(self, submission: Submission) -> None:
        stamp = submission.stamp
        for stream, body in submission.gaps:
            self._row(stream, JOURNAL, "gap", stamp, body)
        assembled = self._assembly.assemble(submission)
        self._batch.state |= assembled.state
        self._effects.poll_now += assembled.poll_now
        self._let_time_pass(stamp)
        said: list[tuple[Stamp, Said]] = []
        for device, record in assembled.records:
            when = _when(stamp, record)
            said += [(when, out) for out in self._rules.take(device, record, Moment(when, self._time.dated))]
        self._enter(said, stamp)

    def _let_time_pass(self, stamp: Stamp) -> None:
        """Let the rules judge that nothing more has come until `stamp`."""
        if self._rules.due <= stamp.mono:
            self._enter([(stamp, said) for said in self._rules.tick(Moment(stamp, self._time.dated))], stamp)

    def _enter(self, said: Iterable[tuple[Stamp, Said]], stamp: Stamp) -> None:
        """Enter what the rules let through, with what they must remember of it."""
        readings: dict[str, list[Reading]] = {}
        for when, (device, record) in said:
            if isinstance(record, Event):
                self._event(device, record, _when(when, record))
            elif isinstance(record, AlarmState):
                self._alarm(device, record, stamp)
            elif isinstance(record, Memory):
                self._batch.state[key_of(device, record)] = record.text
            elif isinstance(record, Reading):
                readings.setdefault(device, []).append(record)
        # Readings last: a change is told beside the event that explains it, in the same transaction.
        for device, values in readings.items():
            self._tell(device, values, stamp)
        for kept in self._rules.kept():
            self._batch.state |= kept.state
            self._batch.ledger |= kept.ledger

    def _event(self, device: str, event: Event, stamp: Stamp) -> None:
        body = dict(event.data)
        if event.card is not None and self._settings.publish_card_ref:
            body |= {"card_ref": event.card.ref, "key_id": event.card.key_id}
        added = counts(event)
        if added:
            self._batch.ledger |= self._ledger.add(added, self._time.dated(stamp), stamp.boot)
            self._effects.totals = True
        if event.type == "visit":
            self._effects.visit = stamp.mono
        self._row("usage", device, event.type, stamp, body)

    def _alarm(self, device: str, state: AlarmState, stamp: Stamp) -> None:
        key = (device, state.code)
        before = self._alarms.get(key)
        if state.told or before is None:
            now = ActiveAlarm(device, state, self._journal.epoch, self._journal.reserve("alarm"))
            self._row("alarm", device, state.code, stamp, told(state), seq=now.seq)
        else:
            now = replace(before, state=state)
        self._alarms[key] = self._effects.alarms[key] = now
        self.on_alarm(device, state.code, stands=state.stands)
        self._batch.state[f"{ALARM}{device}/{state.code}"] = dumps(stored(now))

    def _tell(self, device: str, readings: Sequence[Reading], stamp: Stamp) -> None:
        self._effects.see(device, {reading.point: reading for reading in readings}, stamp)
        sample = self._thinner.offer(device, readings, stamp.mono)
        if sample is None:
            return
        self._effects.told.add(device)
        body = sample.body()
        if body and self._upkeep.tight:
            self._unstored = Overflow.of(self._unstored, stamp)
        elif body:
            self._row("tele", device, "sample", stamp, body)

    def _row(
        self, stream: str, device: str, kind: str, stamp: Stamp, body: Mapping[str, Json], *, seq: int = 0
    ) -> None:
        seq = seq or self._journal.reserve(stream)
        times = (stamp.boot, stamp.mono_ms, stamp.wall_ms)
        self._batch.rows.append(Row(stream, self._journal.epoch, seq, device, kind, *times, stamp.good, dumps(body)))

    def _declare_overflow(self, stream: str, overflow: Overflow, reason: str) -> None:
        """What found no room gets seqs that stay empty, and a gap record that says so."""
        body = overflow.body(self._journal.reserve(stream, overflow.count), reason)
        self._row(stream, JOURNAL, "gap", overflow.last, body)
        log.error("%d records found no room and are lost stream=%s reason=%s", overflow.count, stream, reason)

    def _tend(self, now: float) -> None:
        """Give the journal's own work its turn."""
        self._tend_at = now + self._settings.group_commit
        work = self._upkeep.step(self._batch, round(now * 1000))
        if work.more:
            self._tend_at = now + _MORE_S
        stamp = self._time.stamp()
        for stream, body in work.gaps:
            self._row(stream, JOURNAL, "gap", stamp, body)
        moments = [(counted(row), self._time.dated(row)) for row in work.recount]
        dated = [(counts, at) for counts, at in moments if at is not None]
        self._batch.ledger |= self._ledger.regain(work.regained, dated)
        self._effects.totals |= bool(work.regained or dated)

    # ---- time

    def _date_boot(self, stamp: Stamp) -> None:
        """The clock has become good: date what this boot has stamped before."""
        correction = self._time.date(stamp)
        self._batch.dated.append(correction.dated)
        self._batch.ledger |= self._ledger.settle(stamp.boot, correction.moments)
        for stream, body in correction.records:
            self._row(stream, JOURNAL, "clock_correction", stamp, body)
        self._effects.totals = True

    def _begin_epoch(self, why: str) -> None:
        """Begin a new epoch; if the disk fails, the wish stays."""
        try:
            gaps = self._upkeep.begin_epoch(why)
        except JournalError as error:
            self._queue.distrust(why)
            self._display.trouble(str(error), len(self._queue))
            return
        for stream, body in gaps:
            self._row(stream, JOURNAL, "gap", self._time.stamp(), body)
        self._effects.totals = True

    def _close_days(self, days: Iterable[Closed], stamp: Stamp) -> None:
        for closed in days:
            seal, self._batch.state[CHAIN] = self._chain.seal(self._batch.rows)
            event = Event("day_closed", closed.body | {"seal": seal.body()})
            # Through the rules: what they know of a day beside its counts goes into its record.
            said = self._rules.take("station", event, Moment(stamp, self._time.dated))
            self._enter([(stamp, one) for one in said], stamp)
            self._batch.ledger |= closed.ledger
            self._batch.state[CLOSED] = closed.until
            self._effects.totals = True

    # ---- commit, and what becomes visible after it

    def _commit(self) -> float:
        """Commit the batch, or once more the one that failed; return seconds to rest."""
        begin = self._clock.monotonic()
        if not self._failed:
            self._batch.delivered = self._queue.take_delivered()
            if self._batch:
                self._upkeep.seal(self._batch, round(begin * 1000))
        if self._batch:
            try:
                self._journal.commit(self._batch)
            except JournalError as error:
                self._trouble(error)
                if isinstance(error, JournalDamaged):
                    raise
                self._due = begin + (0.0 if self._upkeep.relieve(error) else _RETRY_S)
                return self._due - begin
            self._accepted(self._clock.monotonic() - begin)
        self._queue.durable()
        self._due = begin + self._settings.group_commit
        self._reveal()
        if self._upkeep.note_due(begin):
            self._upkeep.note(self._time.stamp(), self._ledger.lifetime())
            self._display.storage(self._upkeep.figures)
            if begin >= self._figures_at:
                self._display.tell_journal(self._thinner, self._time.stamp())
            settings = self._settings
            found = (self._upkeep.flash_alarm(settings.flash_budget), self._upkeep.pressure_alarm(settings.fewest_days))
            if alarms := [alarm for alarm in found if alarm is not None]:
                self.submit("station", alarms)
        return self._rest()

    def _rest(self) -> float:
        return max(0.0, min(self._due, self._tend_at, self._rules.due) - self._clock.monotonic())

    def _trouble(self, error: JournalError) -> None:
        if not self._failed:
            log.error("journal cannot be written, nothing new is accepted: %s", error)
        self._failed = True
        self._display.trouble(str(error), len(self._queue))
        self._display.tell_journal(self._thinner, self._time.stamp())

    def _accepted(self, seconds: float) -> None:
        healed, self._failed = self._failed, False
        batch, self._batch = self._batch, Batch()
        self._upkeep.accept()
        self._display.accepted(batch, seconds)
        if batch.restored or self._upkeep.tight:
            self._display.storage(self._upkeep.figures)
        if healed:
            log.warning("journal can be written again")
            self._reveal()
            self._display.tell_journal(self._thinner, self._time.stamp())

    def _reveal(self) -> None:
        effects, self._effects = self._effects, Effects()
        self._display.show(effects, self._time.dated(self._time.stamp()) if effects.totals else None)
        for device in effects.poll_now:
            self.poll_now(device)


def _when(stamp: Stamp, record: Record) -> Stamp:
    """Return `stamp`, or when an event was if whoever says it knows that better than the moment of hearing it."""
    if not isinstance(record, Event) or record.at is None:
        return stamp
    earlier = stamp.mono_ms - round(record.at * 1000)
    return replace(stamp, mono_ms=stamp.mono_ms - earlier, wall_ms=stamp.wall_ms - earlier)
