"""The messages in flight on one connection: fills the window, hears what became of each, and acts on refusals."""

import logging
from typing import Protocol

from edge_agent.errors import UplinkError
from edge_agent.journal.missing import Missing
from edge_agent.journal.reader import Reader
from edge_agent.ranges import Ranges
from edge_agent.records import Alarm, Json, Record
from edge_agent.uplink.connection import Acknowledged, Connection, Opened
from edge_agent.uplink.outbox import Outbox, Outgoing
from edge_agent.uplink.refusals import REFUSED, TOO_LARGE, Concerns, Refusals, concerns
from edge_agent.uplink.set_aside import Refused, SetAside

log = logging.getLogger(__name__)

STATION = "station"
_LONGEST_WAIT = 1.0


class Sink(Protocol):
    """The Recorder, as the uplink uses it."""

    def submit(self, device: str, records: list[Record], at: float | None = None) -> None:
        """Record something."""

    def acknowledge(self, delivered: dict[tuple[str, int], Ranges]) -> None:
        """Take what the centre has acknowledged since the last call."""

    def remember(self, key: str, text: str | None) -> None:
        """Keep text across restarts."""

    def distrust(self, why: str) -> None:
        """Begin a new epoch."""

    def declare(self, gaps: list[tuple[str, dict[str, Json]]], state: dict[str, str | None]) -> None:
        """Declare losses, as (stream, body), and remember `state` in the same transaction."""


class Traffic:
    """See the module; lives as long as the uplink, `begin` at each new connection."""

    def __init__(self, outbox: Outbox, refusals: Refusals, aside: SetAside, reader: Reader, sink: Sink) -> None:
        self.published = 0
        self.progress_at = 0.0
        """Monotonic time at which the broker last acknowledged, or was last owed nothing."""
        self.answered = False
        """True once this connection's broker has accepted a message."""
        self._outbox = outbox
        self._refusals = refusals
        self._aside = aside
        self._reader = reader
        self._sink = sink
        self._in_flight: dict[int, Outgoing] = {}
        self._window = 1
        self._maximum_packet = 0
        self._rewind = False
        self._alarm: bool | None = None
        for refused in aside.all():
            outbox.delivery.set_aside(refused.stream, refused.epoch, refused.first, refused.last)

    @property
    def in_flight(self) -> int:
        """Messages not acknowledged yet."""
        return len(self._in_flight)

    def pending(self) -> dict[str, int]:
        """Count by stream what the broker does not have and may still get, or was not told of as a gap."""
        aside = self._aside.waiting()
        return {stream: count + aside.get(stream, 0) for stream, count in self._outbox.delivery.pending().items()}

    def begin(self, session: str, window: int, opened: Opened, now: float) -> None:
        """Begin a connection that has just opened."""
        self._window = max(1, min(window, opened.receive_maximum))
        self._maximum_packet = opened.maximum_packet
        self._rewind = False
        self.answered = False
        self.progress_at = now
        self._refusals.reconnected()
        self._outbox.begin(session, opened.maximum_packet)

    def end(self, code: int, now: float) -> None:
        """The connection is over; `code` is the reason in the broker's DISCONNECT, 0 without one."""
        if code == TOO_LARGE and self._in_flight:
            # MQTT 5 ends the connection of whoever sends too much (3.1.2.11.4); the largest is the one to blame.
            mid = max(self._in_flight, key=lambda mid: self._in_flight[mid].message.size)
            self._refused(self._in_flight.pop(mid), code, now, fatal=True)
        for outgoing in self._in_flight.values():
            self._outbox.take_back(outgoing)
        self._in_flight.clear()

    def fill(self, connection: Connection, now: float, now_ms: int) -> float:
        """Send as much as the window, the pace and the refusals allow; return the seconds until more may go."""
        if now < self._refusals.pause_until:
            return min(self._refusals.pause_until - now, _LONGEST_WAIT)
        self._rewind = self._refusals.due(now) or self._rewind
        if self._rewind:
            if self._in_flight:
                return _LONGEST_WAIT
            self._outbox.rewind()
            self._rewind = False
        while len(self._in_flight) < self._window:
            found = self._outbox.next(now, now_ms)
            if found is None:
                if not self._in_flight:
                    self._refusals.forget_tried()
                return _LONGEST_WAIT
            if not isinstance(found, Outgoing):
                return min(found, _LONGEST_WAIT)
            if found.message.size > self._maximum_packet:
                self._refused(found, TOO_LARGE, now)
                continue
            self.send(connection, found, now)
        return _LONGEST_WAIT

    def send(self, connection: Connection, outgoing: Outgoing, now: float) -> None:
        """Send one message; raises UplinkError if the connection is gone."""
        try:
            mid = connection.send(outgoing.message)
        except UplinkError:
            self._outbox.take_back(outgoing)
            raise
        if not self._in_flight:
            self.progress_at = now
        self._in_flight[mid] = outgoing
        self.published += 1

    def acknowledged(self, happening: Acknowledged, now: float) -> None:
        """Hear what became of a message: only a code below 0x80 means that the broker has it."""
        self.progress_at = now
        outgoing = self._in_flight.pop(happening.mid, None)
        if outgoing is None:
            return
        if happening.code >= REFUSED:
            self._refused(outgoing, happening.code, now)
            return
        self.answered = True
        self._refusals.accepted(outgoing.message.topic)
        for row in outgoing.rows:
            self._outbox.delivery.confirm(row)

    def settle(self) -> None:
        """Hand over what was acknowledged since the last call."""
        if fresh := self._outbox.delivery.fresh():
            self._sink.acknowledge(fresh)

    def tidy(self, now: float, *, idle: bool) -> None:
        """Do what is due about refusals: remember, declare, end the alarm when all is well (`idle`: nothing waits)."""
        self._rewind = self._outbox.delivery.grown or self._rewind
        self._aside.save()
        overdue, state = self._aside.overdue()
        if overdue:
            self._sink.declare([(refused.stream, self._gap(refused)) for refused in overdue], state)
        self._declare_lost(self._outbox.delivery.newly_lost())
        well = idle and self._refusals.over(now) and not self._aside.waiting()
        if well and self._alarm is not False:
            self._alarm = False
            self._sink.submit(STATION, [Alarm("publish_refused", active=False)])

    def _declare_lost(self, lost: dict[tuple[str, int], Ranges]) -> None:
        """Say which records of the journal cannot be read any more; that done, they count as told."""
        if not lost:
            return
        epochs = self._reader.epochs()
        missing = [Missing(stream, epochs[epoch], *ends) for (stream, epoch), ranges in lost.items() for ends in ranges]
        for one in missing:
            log.error("records cannot be read any more stream=%s from=%d to=%d", one.stream, one.first, one.last)
        self._sink.declare([one.gap() for one in missing], {})
        self._sink.acknowledge(lost)
        detail: dict[str, Json] = {"why": "records that cannot be read any more"}
        self._sink.submit(STATION, [Alarm("journal_damaged", active=True, detail=detail)])

    def _refused(self, outgoing: Outgoing, code: int, now: float, *, fatal: bool = False) -> None:
        topic, rows = outgoing.message.topic, outgoing.rows
        self._tell(topic, code)
        self._refusals.refused(now)
        about = concerns(code)
        if about is Concerns.MESSAGE and rows:
            if code == TOO_LARGE and len(rows) > 1:
                self._outbox.shrink(outgoing.message.size // 2)
            if len(rows) > 1:
                self._outbox.split(outgoing)
            elif not self._outbox.delivery.is_settled(rows[0]):
                self._aside.add(rows[0])
                self._outbox.delivery.set_aside(rows[0].stream, rows[0].epoch, rows[0].seq, rows[0].seq)
            return
        self._outbox.take_back(outgoing)
        if about is Concerns.BROKER:
            self._refusals.rest(now)
            self._rewind = True
        else:
            self._refusals.hold(topic, now, sticky=fatal)

    def _tell(self, topic: str, code: int) -> None:
        if self._alarm:
            return
        self._alarm = True
        log.error("broker refuses messages, they are kept topic=%s reason=0x%02x", topic, code)
        detail: dict[str, Json] = {"topic": topic, "reason": f"0x{code:02x}"}
        self._sink.submit(STATION, [Alarm("publish_refused", active=True, detail=detail)])

    def _gap(self, refused: Refused) -> dict[str, Json]:
        epochs = self._reader.epochs()
        body: dict[str, Json] = {
            "from_seq": refused.first,
            "to_seq": refused.last,
            "reason": "refused",
            "count": refused.last - refused.first + 1,
        }
        if refused.epoch != max(epochs):
            body["of_epoch"] = epochs[refused.epoch]
        for key, seq in (("from", refused.first), ("to", refused.last)):
            row = self._reader.row(refused.stream, refused.epoch, seq)
            if row is not None:
                body[key] = [row.boot, row.mono_ms, row.wall_ms, int(row.good)]
        return body
