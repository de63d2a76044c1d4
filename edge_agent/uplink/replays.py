"""Ranges that the centre asks for again: one after the other, whether or not the broker has them already.

What belongs to a topic that the broker refuses waits until that is let go, the rest of the range goes on. Nothing of it
outlives the process: a centre that still misses something asks again.
"""

from collections import deque
from dataclasses import dataclass, replace

from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.uplink.cursor import Cursor
from edge_agent.uplink.delivery import Delivery
from edge_agent.uplink.refusals import Refusals
from edge_agent.uplink.topics import Topics

_MOST = 100


@dataclass(frozen=True, slots=True)
class Replay:
    """A range to be sent again: epoch number, both ends inclusive; of one topic only unless that is ""."""

    stream: str
    epoch: int
    first: int
    last: int
    topic: str = ""


class Replays:
    """Used by the uplink's thread only, except `ask`."""

    def __init__(self, reader: Reader, delivery: Delivery, topics: Topics, refusals: Refusals) -> None:
        self._reader = reader
        self._delivery = delivery
        self._topics = topics
        self._refusals = refusals
        self._waiting: deque[Replay] = deque()
        self._present: Cursor | None = None
        self._topic = ""
        self._held: dict[tuple[str, int, str], Replay] = {}
        """What was passed over, one range for each (stream, epoch, topic), however many rows that are."""

    def ask(self, replay: Replay) -> bool:
        """Send a range again (any thread); False if too many wait already."""
        if len(self._waiting) >= _MOST:
            return False
        self._waiting.append(replay)
        return True

    def take_back(self, rows: tuple[Row, ...]) -> None:
        """These rows of one topic were sent and not taken: they go next, or wait with their topic."""
        first, last = rows[0], rows[-1]
        self._waiting.appendleft(Replay(first.stream, first.epoch, first.seq, last.seq, self._topics.of(first)))

    def release(self) -> None:
        """Let what waits for its topic have another try: topics may be free again."""
        self._waiting.extend(self._held.values())
        self._held.clear()

    def cursor(self) -> Cursor | None:
        """Return where the next row is, None if there is nothing to send again."""
        while True:
            if self._present is None:
                if not self._waiting:
                    return None
                self._present = self._begin(self._waiting.popleft())
            if self._present.peek() is not None or self._present.unread:
                return self._present
            self._present = None

    def _begin(self, asked: Replay) -> Cursor:
        after, until = (asked.epoch, asked.first - 1), (asked.epoch, asked.last)
        self._topic = asked.topic
        return Cursor(self._reader, self._delivery, asked.stream, after, until, skip=self._skip)

    def _skip(self, row: Row) -> bool:
        topic = self._topics.of(row) if self._topic or self._refusals.any_held() else ""
        if self._topic and topic != self._topic:
            return True
        if not self._refusals.holds(topic):
            return False
        key = (row.stream, row.epoch, topic)
        before = self._held.get(key)
        if before is None:
            self._held[key] = Replay(row.stream, row.epoch, row.seq, row.seq, topic)
        else:
            self._held[key] = replace(before, first=min(before.first, row.seq), last=max(before.last, row.seq))
        return True
