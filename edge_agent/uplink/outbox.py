"""What to send next: the order of the contract over everything the centre does not have yet.

alarm > usage > state > tele; alarm and usage strictly by seq, live before backlog elsewhere, the backlog paced. The
outbox remembers acknowledgements as ranges of seqs; it holds a page of rows of each stream, never the backlog.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.journal import Row
from edge_agent.journal_reader import Reader
from edge_agent.journal_schema import STREAMS
from edge_agent.picture import Picture
from edge_agent.ranges import Ranges
from edge_agent.uplink import payloads
from edge_agent.uplink.connection import Message
from edge_agent.uplink.topics import Topics

_PAGE = 200
_DAY = 86_400
_TELE_EXPIRY = 7 * _DAY
_STATE_EXPIRY = _DAY
_CLEARED_EXPIRY = _DAY
_BATCH_HEAD = 80
"""Bytes of a batch before and behind its samples: epoch, late, brackets."""
_SAMPLE_HEAD = 96
"""Bytes of a sample beside its body, at most: seq, ts, clock."""

Position = tuple[int, int]
"""(epoch number, seq)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message and the journal rows it carries (none for state and the like)."""

    message: Message
    rows: tuple[Row, ...] = ()


class _Cursor:
    """Reads one stretch of a stream in order, skipping what is acknowledged; `until` ends it (inclusive)."""

    def __init__(self, stream: str, after: Position, until: Position | None) -> None:
        self.stream = stream
        self._read_to = after
        self._until = until
        self._page: deque[Row] = deque()
        self.dirty = True

    def peek(self, reader: Reader, delivered: Mapping[tuple[str, int], Ranges]) -> Row | None:
        """Return the next row to send, without taking it."""
        while True:
            while self._page:
                row = self._page[0]
                ranges = delivered.get((self.stream, row.epoch))
                if ranges is None or row.seq not in ranges:
                    return row
                self.take()
            if not self.dirty:
                return None
            rows = reader.rows(self.stream, self._read_to, _PAGE)
            # A short page is the end for now; only a new commit can bring more.
            self.dirty = len(rows) == _PAGE
            if rows:
                self._read_to = (rows[-1].epoch, rows[-1].seq)
            if self._until is not None:
                rows = [row for row in rows if (row.epoch, row.seq) <= self._until]
            if not rows:
                self.dirty = False
                return None
            self._page.extend(rows)

    def take(self) -> Row:
        """Take the row that `peek` showed."""
        return self._page.popleft()

    def take_like(self, row: Row, room: int, delivered: Mapping[tuple[str, int], Ranges]) -> list[Row]:
        """Take the rows of the same device that are already read, in order, as many as fit into `room` bytes."""
        taken: list[Row] = []
        left: deque[Row] = deque()
        known = delivered.get((self.stream, row.epoch), Ranges())
        while self._page:
            other = self._page.popleft()
            size = len(other.body.encode()) + _SAMPLE_HEAD
            same = other.device == row.device and other.epoch == row.epoch and other.type == row.type
            if same and other.seq in known:
                continue
            if same and size <= room:
                taken.append(other)
                room -= size
                continue
            if same:
                # Later rows of this device must not overtake the one that did not fit.
                room = 0
            left.append(other)
        self._page = left
        return taken


@dataclass(slots=True)
class _Pace:
    """A token bucket: `rate` messages a second, 0 = no limit."""

    rate: float
    tokens: float = 1.0
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until one more may go."""
        if self.rate <= 0:
            return 0.0
        self.tokens = min(self.tokens + (now - self.at) * self.rate, max(1.0, self.rate))
        self.at = now
        return max(0.0, (1.0 - self.tokens) / self.rate)

    def spend(self) -> None:
        """One has gone."""
        self.tokens -= 1.0


@dataclass(slots=True)
class _Told:
    """Which versions of the retained pictures this connection has sent."""

    devices: dict[str, int] = field(default_factory=dict)
    totals: int = -1


class Outbox:
    """See the module; used by the uplink's thread only, except `changed`."""

    def __init__(self, reader: Reader, topics: Topics, picture: Picture, *, pace: float) -> None:
        self._reader = reader
        self._topics = topics
        self._picture = picture
        self.delivered = reader.delivered()
        self._pace = _Pace(pace)
        self._changed = True
        self._border = {stream: reader.last(stream) for stream in STREAMS}
        self._unsent = {stream: self._count_unsent(stream) for stream in STREAMS}
        self._first_accepted = dict(picture.view.storage.accepted)
        self.acknowledged = dict.fromkeys(STREAMS, 0)
        self.begin()

    def begin(self) -> None:
        """Begin a connection: all that is not acknowledged is to be sent, and what exists by now is late."""
        self._names = payloads.Names(self._topics.station, self._reader.epochs(), self._reader.offsets())
        self._border = {stream: self._reader.last(stream) for stream in STREAMS}
        self._alarm = _Cursor("alarm", self._start("alarm"), None)
        self._usage = _Cursor("usage", self._start("usage"), None)
        self._live = _Cursor("tele", self._border["tele"], None)
        self._backlog = _Cursor("tele", self._start("tele"), self._border["tele"])
        self._told = _Told()
        self._announced: set[tuple[str, str]] = set()

    def changed(self) -> None:
        """Note that there is something new to look at (any thread)."""
        self._changed = True

    def next(self, now: float, now_ms: int) -> Outgoing | float | None:
        """Return the next message; or the seconds until the pace allows one; or None if there is nothing to send."""
        if self._changed:
            self._changed = False
            for cursor in (self._alarm, self._usage, self._live):
                cursor.dirty = True
        found = self._next_alarm() or self._next_usage(late=False) or self._next_state(now_ms) or self._next_live()
        if found is not None:
            return found
        if self._usage.peek(self._reader, self.delivered) is None and self._next_row(self._backlog) is None:
            return None
        wait = self._pace.wait(now)
        if wait > 0:
            return wait
        self._pace.spend()
        return self._next_usage(late=True) or self._batch(self._backlog, late=True)

    def confirm(self, outgoing: Outgoing) -> None:
        """The broker has it."""
        for row in outgoing.rows:
            ranges = self.delivered.setdefault((row.stream, row.epoch), Ranges())
            if row.seq not in ranges:
                ranges.add(row.seq)
                self.acknowledged[row.stream] += 1

    def pending(self) -> dict[str, int]:
        """Count what is accepted and not acknowledged, by stream."""
        accepted = self._picture.view.storage.accepted
        return {
            stream: self._unsent[stream]
            + accepted.get(stream, 0)
            - self._first_accepted.get(stream, 0)
            - self.acknowledged[stream]
            for stream in STREAMS
        }

    def oldest_ms(self) -> int | None:
        """Return the wall time (ms) of the oldest record that is not acknowledged."""
        oldest: list[int] = []
        for stream in STREAMS:
            rows = self._reader.rows(stream, self._start(stream), 1)
            oldest += [row.wall_ms for row in rows]
        return min(oldest, default=None)

    def _start(self, stream: str) -> Position:
        """Return the position before the first row that is not acknowledged."""
        for epoch in sorted(self._reader.epochs()):
            ranges = self.delivered.get((stream, epoch), Ranges())
            before = (epoch, ranges.first_missing(1) - 1)
            rows = self._reader.rows(stream, before, 1)
            if rows and rows[0].epoch == epoch:
                return before
        return self._reader.last(stream)

    def _count_unsent(self, stream: str) -> int:
        held = self._reader.count_after(stream, self._start(stream))
        start = self._start(stream)
        beyond = sum(
            last - max(first, start[1] + 1) + 1
            for (name, epoch), ranges in self.delivered.items()
            if name == stream and epoch >= start[0]
            for first, last in ranges
            if epoch > start[0] or last > start[1]
        )
        return held - beyond

    def _late(self, row: Row) -> bool:
        return (row.epoch, row.seq) <= self._border[row.stream]

    def _next_row(self, cursor: _Cursor) -> Row | None:
        return cursor.peek(self._reader, self.delivered)

    def _next_alarm(self) -> Outgoing | None:
        row = self._next_row(self._alarm)
        if row is None:
            return self._announce()
        self._alarm.take()
        if row.type == "gap":
            return self._gap(row)
        return self._alarm_message(row, newest=self._reader.newest_alarm(row.device, row.type))

    def _announce(self) -> Outgoing | None:
        """After a connect, say again what is raised: a broker that lost its state has lost the retained alarms."""
        for key, alarm in self._picture.view.alarms.items():
            if key in self._announced:
                continue
            self._announced.add(key)
            row = self._reader.row("alarm", alarm.epoch, alarm.seq)
            if row is not None and row.seq in self.delivered.get(("alarm", row.epoch), Ranges()):
                return self._alarm_message(row, newest=(row.epoch, row.seq))
        return None

    def _alarm_message(self, row: Row, *, newest: Position | None) -> Outgoing:
        retain = newest == (row.epoch, row.seq)
        self._know(row)
        payload = payloads.alarm(row, self._names, late=not retain or self._late(row))
        cleared = '"state":"cleared"' in row.body[:20]
        expiry = _CLEARED_EXPIRY if cleared else None
        return Outgoing(Message(self._topics.alarm(row.device, row.type), payload, retain, expiry), (row,))

    def _next_usage(self, *, late: bool) -> Outgoing | None:
        row = self._next_row(self._usage)
        if row is None or self._late(row) is not late:
            return None
        self._usage.take()
        if row.type == "gap":
            return self._gap(row)
        self._know(row)
        return Outgoing(Message(self._topics.event(row.device), payloads.event(row, self._names, late=late)), (row,))

    def _gap(self, row: Row) -> Outgoing:
        self._know(row)
        return Outgoing(Message(self._topics.gap(row.stream), payloads.gap(row, self._names)), (row,))

    def _next_state(self, now_ms: int) -> Outgoing | None:
        view = self._picture.view
        if view.totals.changes != self._told.totals:
            self._told.totals = view.totals.changes
            payload = payloads.usage(view.totals, now_ms)
            return Outgoing(Message(self._topics.leaf("usage"), payload, retain=True))
        for name, device in view.devices.items():
            if self._told.devices.get(name) != device.told:
                self._told.devices[name] = device.told
                payload = payloads.state(device, now_ms)
                return Outgoing(Message(self._topics.state(name), payload, retain=True, expiry=_STATE_EXPIRY))
        return None

    def _next_live(self) -> Outgoing | None:
        return self._batch(self._live, late=False)

    def _batch(self, cursor: _Cursor, *, late: bool) -> Outgoing | None:
        """Take the next rows of one device, as many as fit one message."""
        row = self._next_row(cursor)
        if row is None:
            return None
        self._know(row)
        cursor.take()
        if row.type == "gap":
            return self._gap(row)
        room = payloads.MAX_PAYLOAD - _BATCH_HEAD - len(row.body.encode()) - _SAMPLE_HEAD
        rows = [row, *cursor.take_like(row, room, self.delivered)]
        payload = payloads.tele(rows, self._names, late=late)
        return Outgoing(Message(self._topics.tele(row.device), payload, expiry=_TELE_EXPIRY), tuple(rows))

    def _know(self, row: Row) -> None:
        """An epoch that began after this connection must have its name before its first row is rendered.

        So must a boot that has been dated since: what is not rendered with its time is not corrected later either.
        """
        if row.epoch not in self._names.epochs or not (row.good or row.boot in self._names.offsets):
            self._names = payloads.Names(self._topics.station, self._reader.epochs(), self._reader.offsets())
