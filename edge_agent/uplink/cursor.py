"""Reads one stretch of a stream in order, a page at a time, passing over what need not or must not be sent now."""

from collections import deque
from collections.abc import Callable

from edge_agent.journal.reader import Reader
from edge_agent.journal.row import UNREADABLE, Row
from edge_agent.uplink.delivery import Delivery, Position

_PAGE = 200


class Cursor:
    """Rows of `stream` behind `after` up to `until` (inclusive; None: also those still to come).

    `skip` says which rows to pass over. `unread` is True while a look at the journal may bring more; it is set anew
    when something was committed.
    """

    def __init__(
        self,
        reader: Reader,
        delivery: Delivery,
        stream: str,
        after: Position,
        until: Position | None = None,
        *,
        skip: Callable[[Row], bool],
    ) -> None:
        self.unread = True
        self._reader = reader
        self._delivery = delivery
        self._stream = stream
        self._read_to = self._sound = after
        self._torn = False
        """Something behind `_sound`, the last row that could be read, cannot be read."""
        self._until = until
        self._skip = skip
        self._page: deque[Row] = deque()
        self._head: Row | None = None
        """The first row of the page, once it is known that it need not be passed over."""

    def peek(self) -> Row | None:
        """Return the next row to send, without taking it; reads one page at most, so None may come before the end."""
        if self._head is None:
            self._pass_over()
            if self._head is None and self.unread:
                self._read()
                self._pass_over()
        return self._head

    def take(self) -> Row:
        """Take the row that `peek` showed."""
        self._head = None
        return self._page.popleft()

    def take_like(self, row: Row, size: Callable[[Row], int], room: int) -> list[Row]:
        """Take the rows of the same device that are already read, in order, as many as fit into `room` bytes."""
        taken: list[Row] = []
        left: deque[Row] = deque()
        for other in self._page:
            if other.device != row.device or other.epoch != row.epoch or other.type != row.type:
                left.append(other)
            elif not self._skip(other):
                needed = size(other)
                if needed <= room:
                    taken.append(other)
                    room -= needed
                else:
                    # Later rows of this device must not overtake the one that did not fit.
                    room = 0
                    left.append(other)
        self._page = left
        return taken

    def _pass_over(self) -> None:
        while self._page:
            if not self._skip(self._page[0]):
                self._head = self._page[0]
                return
            self._page.popleft()

    def _read(self) -> None:
        rows = self._reader.rows(self._stream, self._read_to, _PAGE)
        # A short page is the end for now; only a new commit can bring more.
        self.unread = len(rows) == _PAGE
        for row in rows:
            if row.type == UNREADABLE:
                # What it says of its own place is not to be trusted either: the rows around it tell.
                self._torn = True
                continue
            if self._until is not None and (row.epoch, row.seq) > self._until:
                self.unread = False
                return
            self._bridge(row)
            self._read_to = self._sound = (row.epoch, row.seq)
            self._page.append(row)
        if self.unread and not self._page:
            self._read_to = (rows[-1].epoch, rows[-1].seq)

    def _bridge(self, row: Row) -> None:
        """Account for what lies between the last row that could be read and `row`."""
        epoch, seq = self._sound
        if self._torn and row.epoch != epoch:
            self._delivery.lose(self._stream, epoch, seq + 1, self._reader.last_of(self._stream, epoch))
        first = seq + 1 if row.epoch == epoch else 1
        if row.seq > first:
            # Rows are committed in order, so what is missing here will never come.
            pass_over = self._delivery.lose if self._torn else self._delivery.settle
            pass_over(self._stream, row.epoch, first, row.seq - 1)
        self._torn = False
