"""What the next commit will hold: assemble -> rules -> ledger -> thin, in that visible order.

A draft is nothing yet: what it says becomes true, and shown, with its commit. Used by the journal's thread only.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.journal.chain import CHAIN, Chain
from edge_agent.journal.journal import Batch, Journal
from edge_agent.journal.row import Row
from edge_agent.ledger import Ledger, counts
from edge_agent.memory import key_of
from edge_agent.picture import ActiveAlarm
from edge_agent.recorder.alarms import OnAlarm, known_alarms, nobody, stored
from edge_agent.recorder.assembly import Assembly
from edge_agent.recorder.days import CLOSED, Closed, Days
from edge_agent.recorder.effects import JOURNAL, Effects
from edge_agent.recorder.queue import Overflow, Submission
from edge_agent.recorder.thinning import Thinner
from edge_agent.recorder.time import StationTime
from edge_agent.records import AlarmState, Event, Json, Memory, Reading, Record, Stamp
from edge_agent.rules.alarm_state import ALARM, told
from edge_agent.rules.rule import Moment, Rules, Said
from edge_agent.wire_json import dumps

log = logging.getLogger(__name__)


class Draft:
    """Records become rows of `batch`, and what they change in the picture `effects`.

    `tight` tells whether there is no room for telemetry; `state` is what the journal remembers.
    """

    def __init__(
        self,
        journal: Journal,
        time: StationTime,
        rules: Rules,
        ledger: Ledger,
        thinner: Thinner,
        *,
        cabinets: Sequence[Cabinet],
        state: Mapping[str, str],
        boot_id: str,
        publish_card_ref: bool,
        tight: Callable[[], bool],
    ) -> None:
        self.on_alarm: OnAlarm = nobody
        self.batch = Batch()
        self._alarms = known_alarms(state)
        self.effects = Effects(alarms=dict(self._alarms), totals=True)
        self._journal = journal
        self._time = time
        self._rules = rules
        self._ledger = ledger
        self._thinner = thinner
        self._assembly = Assembly(cabinets, thinner.latest, boot_id)
        self._days = Days(ledger)
        self._chain = Chain(journal, state.get(CHAIN))
        self._publish_card_ref = publish_card_ref
        self._tight = tight
        self._unstored: Overflow | None = None

    def take(self, submission: Submission) -> None:
        """Take what was handed over, and what it means."""
        stamp = submission.stamp
        for stream, body in submission.gaps:
            self.row(stream, JOURNAL, "gap", stamp, body)
        assembled = self._assembly.assemble(submission)
        self.batch.state |= assembled.state
        self.effects.poll_now += assembled.poll_now
        self.let_time_pass(stamp)
        said: list[tuple[Stamp, Said]] = []
        for device, record in assembled.records:
            when = _when(stamp, record)
            said += [(when, out) for out in self._rules.take(device, record, Moment(when, self._time.dated))]
        self._enter(said, stamp)

    def let_time_pass(self, stamp: Stamp) -> None:
        """Let the rules judge that nothing more has come until `stamp`."""
        if self._rules.due <= stamp.mono:
            self._enter([(stamp, said) for said in self._rules.tick(Moment(stamp, self._time.dated))], stamp)

    def turn_hour(self, stamp: Stamp) -> None:
        """Show the totals anew once another hour has begun."""
        self.effects.totals |= self._days.turned(stamp)

    def close_days(self, stamp: Stamp) -> None:
        """Put down each day that is over, and anew each closed one into which something has been counted since."""
        self._close(self._days.over(stamp), stamp)
        self._close(self._days.reopened(), stamp)

    def row(self, stream: str, device: str, kind: str, stamp: Stamp, body: Mapping[str, Json], *, seq: int = 0) -> None:
        """Put down one record, as the next of its stream unless its `seq` has been given out already."""
        seq = seq or self._journal.reserve(stream)
        times = (stamp.boot, stamp.mono_ms, stamp.wall_ms)
        self.batch.rows.append(Row(stream, self._journal.epoch, seq, device, kind, *times, stamp.good, dumps(body)))

    def declare_overflow(self, stream: str, overflow: Overflow, reason: str) -> None:
        """What found no room gets seqs that stay empty, and a gap record that says so."""
        body = overflow.body(self._journal.reserve(stream, overflow.count), reason)
        self.row(stream, JOURNAL, "gap", overflow.last, body)
        log.error("%d records found no room and are lost stream=%s reason=%s", overflow.count, stream, reason)

    def declare_unstored(self) -> None:
        """Declare the telemetry for which there was no room, once there is some again."""
        if self._unstored is not None and not self._tight():
            self.declare_overflow("tele", self._unstored, "disk_full")
            self._unstored = None

    def committed(self) -> Batch:
        """Return the batch that is accepted now, and begin the next."""
        batch, self.batch = self.batch, Batch()
        return batch

    def shown(self) -> Effects:
        """Return what is to be shown now, and begin anew."""
        effects, self.effects = self.effects, Effects()
        return effects

    def _enter(self, said: Iterable[tuple[Stamp, Said]], stamp: Stamp) -> None:
        """Enter what the rules let through, with what they must remember of it."""
        readings: dict[str, list[Reading]] = {}
        for when, (device, record) in said:
            if isinstance(record, Event):
                self._event(device, record, _when(when, record))
            elif isinstance(record, AlarmState):
                self._alarm(device, record, stamp)
            elif isinstance(record, Memory):
                self.batch.state[key_of(device, record)] = record.text
            elif isinstance(record, Reading):
                readings.setdefault(device, []).append(record)
        # Readings last: a change is told beside the event that explains it, in the same transaction.
        for device, values in readings.items():
            self._tell(device, values, stamp)
        for kept in self._rules.kept():
            self.batch.state |= kept.state
            self.batch.ledger |= kept.ledger

    def _event(self, device: str, event: Event, stamp: Stamp) -> None:
        body = dict(event.data)
        if event.card is not None and self._publish_card_ref:
            body |= {"card_ref": event.card.ref, "key_id": event.card.key_id}
        added = counts(event)
        if added:
            self.batch.ledger |= self._ledger.add(added, self._time.dated(stamp), stamp.boot)
            self.effects.totals = True
        if event.type == "visit":
            self.effects.visit = stamp.mono
        self.row("usage", device, event.type, stamp, body)

    def _alarm(self, device: str, state: AlarmState, stamp: Stamp) -> None:
        key = (device, state.code)
        before = self._alarms.get(key)
        if state.told or before is None:
            now = ActiveAlarm(device, state, self._journal.epoch, self._journal.reserve("alarm"))
            self.row("alarm", device, state.code, stamp, told(state), seq=now.seq)
        else:
            now = replace(before, state=state)
        self._alarms[key] = self.effects.alarms[key] = now
        self.on_alarm(device, state.code, stands=state.stands)
        self.batch.state[f"{ALARM}{device}/{state.code}"] = dumps(stored(now))

    def _tell(self, device: str, readings: Sequence[Reading], stamp: Stamp) -> None:
        self.effects.see(device, {reading.point: reading for reading in readings}, stamp)
        sample = self._thinner.offer(device, readings, stamp.mono)
        if sample is None:
            return
        self.effects.told.add(device)
        body = sample.body()
        if body and self._tight():
            self._unstored = Overflow.of(self._unstored, stamp)
        elif body:
            self.row("tele", device, "sample", stamp, body)

    def _close(self, days: Iterable[Closed], stamp: Stamp) -> None:
        for closed in days:
            seal, self.batch.state[CHAIN] = self._chain.seal(self.batch.rows)
            event = Event("day_closed", closed.body | {"seal": seal.body()})
            # Through the rules: what they know of a day beside its counts goes into its record.
            said = self._rules.take("station", event, Moment(stamp, self._time.dated))
            self._enter([(stamp, one) for one in said], stamp)
            self.batch.ledger |= closed.ledger
            self.batch.state[CLOSED] = closed.until
            self.effects.totals = True


def _when(stamp: Stamp, record: Record) -> Stamp:
    """Return `stamp`, or when an event was if whoever says it knows that better than the moment of hearing it."""
    if not isinstance(record, Event) or record.at is None:
        return stamp
    earlier = stamp.mono_ms - round(record.at * 1000)
    return replace(stamp, mono_ms=stamp.mono_ms - earlier, wall_ms=stamp.wall_ms - earlier)
