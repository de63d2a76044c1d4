"""What to send next: the order of the contract over everything the centre does not have yet.

alarm > usage > state > tele; alarm and usage strictly by seq, live before backlog elsewhere, the backlog paced. What a
topic that the broker refuses would get is passed over, the rest keeps its order. The outbox holds a page of rows of
each stream, never the backlog.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS
from edge_agent.picture import Picture, View
from edge_agent.public import Card
from edge_agent.uplink.backoff import Pace
from edge_agent.uplink.connection import PACKET_HEAD, Message
from edge_agent.uplink.cursor import Cursor
from edge_agent.uplink.delivery import Delivery, Position
from edge_agent.uplink.payloads import MAX_PAYLOAD
from edge_agent.uplink.refusals import Refusals
from edge_agent.uplink.rendering import Renderer, sample_size
from edge_agent.uplink.replays import Replay, Replays
from edge_agent.uplink.retained import Retained
from edge_agent.uplink.topics import CORRECTION, GAP, Topics

_MOST_REPLIES = 100


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message and the journal rows it carries (none for state and the like); `again`: the broker had them once."""

    message: Message
    rows: tuple[Row, ...] = ()
    again: bool = False


class Outbox:
    """See the module; used by the uplink's thread only, except `changed` and `replay`."""

    def __init__(
        self,
        reader: Reader,
        topics: Topics,
        picture: Picture,
        refusals: Refusals,
        *,
        info: Callable[[], Mapping[str, object]],
        unknown: Sequence[tuple[str, str]] = (),
        card: Card | None = None,
        pace: float,
    ) -> None:
        self.delivery = Delivery(reader)
        self._reader = reader
        self._topics = topics
        self._picture = picture
        self._refusals = refusals
        self._renderer = Renderer(reader, topics)
        self._retained = Retained(topics, picture, info, unknown, card)
        self._pace = Pace(pace)
        self._replies: deque[Message] = deque(maxlen=_MOST_REPLIES)
        self._replays = Replays(reader, self.delivery, topics, refusals)
        self._announced: dict[tuple[str, str], Position] = {}
        self._limit = MAX_PAYLOAD
        self._changed = True
        self.begin("", 2 * MAX_PAYLOAD)

    def begin(self, session: str, maximum_packet: int) -> None:
        """Begin a connection: all that is not settled is to be sent, and what exists by now is late."""
        self._border = {stream: self._reader.last(stream) for stream in STREAMS}
        self._room = min(self._limit, maximum_packet - PACKET_HEAD)
        self._retained.begin(session)
        self._announced.clear()
        self._replies.clear()
        self.rewind()

    def rewind(self) -> None:
        """Go back to the first row that is not settled; only while nothing is in flight."""
        self._renderer.refresh()
        self.delivery.grown = False
        self._alarm = self._cursor("alarm", self.delivery.start("alarm"))
        self._usage = self._cursor("usage", self.delivery.start("usage"))
        self._live = self._cursor("tele", self._border["tele"])
        self._backlog = self._cursor("tele", self.delivery.start("tele"), self._border["tele"])
        self._halves: deque[Outgoing] = deque()
        self._announcing: View | None = None
        self._retained.look_again()
        self._replays.release()

    def changed(self) -> None:
        """Note that there is something new to look at (any thread)."""
        self._changed = True

    def replay(self, replay: Replay) -> bool:
        """Send a range again, whether or not the broker has it (any thread); False if too many wait already."""
        return self._replays.ask(replay)

    def reply(self, message: Message) -> None:
        """Send the answer to a command before all else; it is not kept for another connection."""
        self._replies.append(message)

    def shrink(self, size: int) -> None:
        """Make batches of at most `size` bytes from now on: a larger one was refused."""
        self._limit = min(self._limit, size)
        self._room = min(self._room, size)

    def split(self, refused: Outgoing) -> None:
        """Send the rows of a refused batch again in two halves: one of them may be the culprit."""
        half = len(refused.rows) // 2
        for rows in (refused.rows[:half], refused.rows[half:]):
            self._halves.append(Outgoing(self._renderer.tele(rows, late=True), rows, refused.again))

    def take_back(self, outgoing: Outgoing) -> None:
        """The broker does not have it after all. Rows come again by `rewind`, what only the broker lost here."""
        if outgoing.again:
            self._replays.take_back(outgoing.rows)
        elif not outgoing.rows:
            self._retained.forget(outgoing.message.topic)
        for row in outgoing.rows:
            self._announced.pop((row.device, row.type), None)

    def next(self, now: float, now_ms: int) -> Outgoing | float | None:
        """Return the next message; or the seconds until the pace allows one; or None if there is nothing to send."""
        if self._changed:
            self._changed = False
            self._renderer.changed()
            for cursor in (self._alarm, self._usage, self._live):
                cursor.unread = True
        found = (
            self._prompt(now_ms)
            or self._next_alarm()
            or self._next_usage(late=False)
            or self._next_retained(now_ms)
            or self._next_half()
            or self._batch(self._live, late=False)
        )
        if found is not None:
            return found
        if self._usage.peek() is None and self._backlog.peek() is None and self._replays.cursor() is None:
            # A cursor that has passed over a whole page of held rows has not come to its end.
            cursors = (self._alarm, self._usage, self._live, self._backlog)
            return 0.0 if any(cursor.unread for cursor in cursors) else None
        wait = self._pace.wait(now)
        if wait > 0:
            return wait
        found = self._next_usage(late=True) or self._batch(self._backlog, late=True) or self._next_replay()
        if found is None:
            return 0.0
        self._pace.spend()
        return found

    def _cursor(self, stream: str, after: Position, until: Position | None = None) -> Cursor:
        return Cursor(self._reader, self.delivery, stream, after, until, skip=self._skip)

    def _skip(self, row: Row) -> bool:
        return self.delivery.is_settled(row) or self._held(row)

    def _held(self, row: Row) -> bool:
        return self._refusals.any_held() and self._refusals.holds(self._topics.of(row))

    def _late(self, row: Row) -> bool:
        return (row.epoch, row.seq) <= self._border[row.stream]

    def _prompt(self, now_ms: int) -> Outgoing | None:
        message = self._replies.popleft() if self._replies else self._retained.greeting(now_ms, self._refusals.holds)
        return None if message is None else Outgoing(message)

    def _next_alarm(self) -> Outgoing | None:
        row = self._alarm.peek()
        return self._announce() if row is None else self._single(self._alarm.take(), late=self._late(row))

    def _announce(self) -> Outgoing | None:
        """After a connect, say again what is raised: a broker that lost its state has lost the retained alarms."""
        view = self._picture.view
        if view is self._announcing:
            return None
        for key, alarm in view.alarms.items():
            if self._announced.get(key) != (alarm.epoch, alarm.seq):
                row = self._reader.row("alarm", alarm.epoch, alarm.seq)
                if row is not None and self.delivery.is_confirmed(row) and not self._held(row):
                    return self._single(row, late=True)
        self._announcing = view
        return None

    def _next_usage(self, *, late: bool) -> Outgoing | None:
        row = self._usage.peek()
        return None if row is None or self._late(row) is not late else self._single(self._usage.take(), late=late)

    def _next_retained(self, now_ms: int) -> Outgoing | None:
        message = self._retained.next(now_ms, self._refusals.holds)
        return None if message is None else Outgoing(message)

    def _next_half(self) -> Outgoing | None:
        return self._halves.popleft() if self._halves else None

    def _next_replay(self) -> Outgoing | None:
        cursor = self._replays.cursor()
        return None if cursor is None else self._batch(cursor, late=True, again=True)

    def _batch(self, cursor: Cursor, *, late: bool, again: bool = False) -> Outgoing | None:
        """Take the next row, and if it is a sample those of the same device that fit beside it."""
        row = cursor.peek()
        if row is None:
            return None
        cursor.take()
        if row.stream != "tele" or row.type in (GAP, CORRECTION):
            return self._single(row, late=late, again=again)
        room = self._renderer.room(row, self._room - len(self._topics.of(row)))
        rows = (row, *cursor.take_like(row, sample_size, room))
        return Outgoing(self._renderer.tele(rows, late=late), rows, again)

    def _single(self, row: Row, *, late: bool, again: bool = False) -> Outgoing:
        if row.stream != "alarm" or row.type in (GAP, CORRECTION):
            return Outgoing(self._renderer.single(row, late=late), (row,), again)
        message = self._renderer.alarm(row, late=late, again=again)
        if message.retain:
            self._announced[row.device, row.type] = (row.epoch, row.seq)
        return Outgoing(message, (row,), again)
