"""The single door into the journal: stamp -> draft (assemble -> rules -> ledger -> thin) -> commit -> show.

Workers and the uplink hand over what they have through a bounded queue; one thread owns everything behind it. What
still waits in the queue is not accepted: nothing is counted, shown or published from it. What waits together shares one
commit. A usage event or an alarm commits at once, telemetry and acknowledgements with the next group commit.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.clock import Clock
from edge_agent.errors import JournalDamaged, JournalError
from edge_agent.journal.file import wrap
from edge_agent.journal.journal import Journal, counted
from edge_agent.journal.open import Opened
from edge_agent.journal.upkeep import Upkeep
from edge_agent.ledger import Calendar, Ledger
from edge_agent.memory import Memories
from edge_agent.picture import Picture
from edge_agent.ranges import Ranges
from edge_agent.recorder.alarms import OnAlarm
from edge_agent.recorder.days import CLOSED
from edge_agent.recorder.draft import Draft
from edge_agent.recorder.effects import JOURNAL, Display
from edge_agent.recorder.queue import Queue, Submission, checked
from edge_agent.recorder.thinning import Thinner
from edge_agent.recorder.time import StationTime
from edge_agent.records import Json, Record, Stamp
from edge_agent.rules.alarms import AlarmLife
from edge_agent.rules.rule import Rule, Rules

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
        self.by_turns = False
        """True where one thread does everything by turns: whoever waits for a commit must make it."""
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._upkeep = upkeep or Upkeep(Opened(journal))
        self._time = StationTime(journal, clock, self._upkeep.known_ms)
        state = journal.state()
        self._memories = Memories(state)
        self._rules = Rules([AlarmLife(state)] if rules is None else rules)
        self._ledger = Ledger(settings.calendar, journal.ledger(), state.get(CLOSED, ""))
        self._thinner = Thinner(min_interval=settings.min_interval, heartbeat=settings.heartbeat)
        self._draft = Draft(
            journal,
            self._time,
            self._rules,
            self._ledger,
            self._thinner,
            cabinets=cabinets,
            state=state,
            boot_id=clock.boot_id,
            publish_card_ref=settings.publish_card_ref,
            tight=lambda: self._upkeep.tight,
        )
        self._queue = Queue(settings.queue)
        self._failed = False
        self._figures_at = clock.monotonic() + _FIGURES_S
        self._due = self._tend_at = clock.monotonic()
        self._display = Display(picture, journal, self._ledger, self._rules.today)
        self._reveal()

    @property
    def on_alarm(self) -> OnAlarm:
        """Told of each alarm that rules raise or clear, before that is durable."""
        return self._draft.on_alarm

    @on_alarm.setter
    def on_alarm(self, told: OnAlarm) -> None:
        self._draft.on_alarm = told

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
        if self._draft.batch and (why or self._time.to_be_dated):
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
        draft = self._draft
        draft.turn_hour(stamp)
        taken = self._queue.take()
        draft.batch.state |= taken.state
        for submission in taken.submissions:
            draft.take(submission)
        draft.let_time_pass(stamp)
        for stream, overflow in taken.overflow.items():
            draft.declare_overflow(stream, overflow, "overflow")
        draft.declare_unstored()
        # Behind what waited and what the time alone has brought: both may belong to the day that is over.
        draft.close_days(stamp)
        if now >= self._tend_at:
            self._tend(now)
        worked = bool(draft.batch.restored or draft.batch.removed)
        if worked or taken.hurry or draft.batch.urgent or now >= self._due:
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

    def _tend(self, now: float) -> None:
        """Give the journal's own work its turn."""
        self._tend_at = now + self._settings.group_commit
        work = self._upkeep.step(self._draft.batch, round(now * 1000))
        if work.more:
            self._tend_at = now + _MORE_S
        stamp = self._time.stamp()
        for stream, body in work.gaps:
            self._draft.row(stream, JOURNAL, "gap", stamp, body)
        moments = [(counted(row), self._time.dated(row)) for row in work.recount]
        dated = [(counts, at) for counts, at in moments if at is not None]
        self._draft.batch.ledger |= self._ledger.regain(work.regained, dated)
        self._draft.effects.totals |= bool(work.regained or dated)

    # ---- time

    def _date_boot(self, stamp: Stamp) -> None:
        """The clock has become good: date what this boot has stamped before."""
        correction = self._time.date(stamp)
        self._draft.batch.dated.append(correction.dated)
        self._draft.batch.ledger |= self._ledger.settle(stamp.boot, correction.moments)
        for stream, body in correction.records:
            self._draft.row(stream, JOURNAL, "clock_correction", stamp, body)
        self._draft.effects.totals = True

    def _begin_epoch(self, why: str) -> None:
        """Begin a new epoch; if the disk fails, the wish stays."""
        try:
            gaps = self._upkeep.begin_epoch(why)
        except JournalError as error:
            self._queue.distrust(why)
            self._display.trouble(str(error), len(self._queue))
            return
        for stream, body in gaps:
            self._draft.row(stream, JOURNAL, "gap", self._time.stamp(), body)
        self._draft.effects.totals = True

    # ---- commit, and what becomes visible after it

    def _commit(self) -> float:
        """Commit the batch, or once more the one that failed; return seconds to rest."""
        begin = self._clock.monotonic()
        if not self._failed:
            self._draft.batch.delivered = self._queue.take_delivered()
            if self._draft.batch:
                self._upkeep.seal(self._draft.batch, round(begin * 1000))
        if self._draft.batch:
            try:
                self._journal.commit(self._draft.batch)
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
        batch = self._draft.committed()
        self._upkeep.accept()
        self._display.accepted(batch, seconds)
        if batch.restored or self._upkeep.tight:
            self._display.storage(self._upkeep.figures)
        if healed:
            log.warning("journal can be written again")
            self._reveal()
            self._display.tell_journal(self._thinner, self._time.stamp())

    def _reveal(self) -> None:
        effects = self._draft.shown()
        self._display.show(effects, self._time.dated(self._time.stamp()) if effects.totals else None)
        for device in effects.poll_now:
            self.poll_now(device)
