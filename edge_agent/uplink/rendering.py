"""Makes messages of journal rows: topic, payload, retain and expiry of each kind of record."""

from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.uplink import payloads
from edge_agent.uplink.connection import Message
from edge_agent.uplink.topics import CORRECTION, GAP, Topics

_DAY = 86_400
_TELE_EXPIRY = 7 * _DAY
_CLEARED_EXPIRY = _DAY
_BATCH_HEAD = 80
"""Bytes of a batch before and behind its samples: epoch, late, brackets."""
_SAMPLE_HEAD = 96
"""Bytes of a sample beside its body, at most: seq, ts, clock."""


class Renderer:
    """Looks up what rendering needs besides the row: epoch names, clock offsets, which alarm record is the newest."""

    def __init__(self, reader: Reader, topics: Topics) -> None:
        self._reader = reader
        self._topics = topics
        self._stale = True
        self.refresh()

    def refresh(self) -> None:
        """Look up epochs and clock offsets again."""
        self._names = payloads.Names(self._topics.station, self._reader.epochs(), self._reader.offsets())
        self._stale = False

    def changed(self) -> None:
        """Something was committed: a boot may have been dated since."""
        self._stale = True

    def tele(self, rows: tuple[Row, ...], *, late: bool) -> Message:
        """Render a batch of one device and epoch."""
        self._know(rows[0])
        return Message(self._topics.of(rows[0]), payloads.tele(rows, self._names, late=late), expiry=_TELE_EXPIRY)

    def single(self, row: Row, *, late: bool) -> Message:
        """Render a usage record, a gap or a clock correction."""
        self._know(row)
        topic = self._topics.of(row)
        if row.type == GAP:
            return Message(topic, payloads.gap(row, self._names))
        if row.type == CORRECTION:
            return Message(topic, payloads.correction(row, self._names))
        return Message(topic, payloads.event(row, self._names, late=late))

    def alarm(self, row: Row, *, late: bool, again: bool) -> Message:
        """Render an alarm; retained only if it is the newest of its (device, code), and not just sent `again`."""
        self._know(row)
        retain = not again and self._reader.newest_alarm(row.device, row.type) == (row.epoch, row.seq)
        expiry = _CLEARED_EXPIRY if payloads.is_cleared(row) else None
        payload = payloads.alarm(row, self._names, late=late or not retain)
        return Message(self._topics.of(row), payload, retain, expiry)

    def room(self, row: Row, limit: int) -> int:
        """Return how many bytes of samples fit behind `row` into a payload of `limit` bytes."""
        return limit - _BATCH_HEAD - sample_size(row)

    def _know(self, row: Row) -> None:
        undated = not row.good and row.boot not in self._names.offsets
        if row.epoch not in self._names.epochs or (undated and self._stale):
            self.refresh()


def sample_size(row: Row) -> int:
    """Bytes of a sample in a batch, at most."""
    return len(row.body.encode()) + _SAMPLE_HEAD
