"""What the centre has of each stream, what it will never get, and how much is still to come.

A seq is settled when it need not be sent (again): acknowledged, set aside after a refusal, or a hole left by quotas or
damage, which a gap record declares. All is kept as ranges, so that a year of records costs a few numbers.
"""

from dataclasses import dataclass

from edge_agent.journal.reader import Reader
from edge_agent.journal.row import UNREADABLE, Row
from edge_agent.journal.schema import STREAMS
from edge_agent.ranges import Ranges

Position = tuple[int, int]
"""(epoch number, seq)."""


@dataclass(slots=True)
class _Settled:
    """Settled seqs of one (stream, epoch); `count` is their number, kept because adding up the ranges is dear."""

    ranges: Ranges
    count: int
    newest: int
    """Newest seq found in the journal."""

    @property
    def pending(self) -> int:
        """What exists and is not settled; a damaged file may have lost rows that were acknowledged."""
        ends = [self.newest, *(last for _, last in self.ranges)]
        return max(ends) - self.count

    def add(self, first: int, last: int) -> None:
        """Add what is not all in it yet."""
        self.ranges.add(first, last)
        self.count = self.count + 1 if first == last else self.ranges.total()


class Delivery:
    """See the module; belongs to the uplink's thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, int], _Settled] = {}
        for (stream, epoch), ranges in reader.delivered().items():
            self._known[stream, epoch] = _Settled(ranges, ranges.total(), reader.last_of(stream, epoch))
        for stream in STREAMS:
            for epoch in reader.epochs():
                self._of(stream, epoch)
        self._aside: dict[tuple[str, int], Ranges] = {}
        self._fresh: dict[tuple[str, int], Ranges] = {}
        self._lost: dict[tuple[str, int], Ranges] = {}
        self._newly_lost: dict[tuple[str, int], Ranges] = {}
        self._oldest: dict[str, tuple[int, int, int]] = {}
        self.acknowledged = 0
        self.grown = False
        """True once records came to an earlier epoch: a damaged journal is being carried over."""

    def is_settled(self, row: Row) -> bool:
        """Return True if `row` need not be sent."""
        known = self._known.get((row.stream, row.epoch))
        return known is not None and row.seq in known.ranges

    def confirm(self, row: Row) -> None:
        """The broker has it."""
        known = self._of(row.stream, row.epoch)
        if row.seq not in known.ranges:
            known.add(row.seq, row.seq)
            self._fresh.setdefault((row.stream, row.epoch), Ranges()).add(row.seq)
            self.acknowledged += 1

    def is_confirmed(self, row: Row) -> bool:
        """Return True if the broker has `row`."""
        return self.is_settled(row) and row.seq not in self._aside.get((row.stream, row.epoch), Ranges())

    def set_aside(self, stream: str, epoch: int, first: int, last: int) -> None:
        """The broker will never take `first` to `last`."""
        self.settle(stream, epoch, first, last)
        self._aside.setdefault((stream, epoch), Ranges()).add(first, last)

    def settle(self, stream: str, epoch: int, first: int, last: int) -> None:
        """There is nothing to send from `first` to `last`."""
        known = self._of(stream, epoch)
        if known.ranges.first_missing(first) <= last:
            known.add(first, last)

    def lose(self, stream: str, epoch: int, first: int, last: int) -> None:
        """`first` to `last` cannot be read any more, and nobody has been told."""
        before = self._lost.get((stream, epoch), Ranges())
        if first <= last and before.first_missing(first) <= last:
            self.settle(stream, epoch, first, last)
            self._lost.setdefault((stream, epoch), Ranges()).add(first, last)
            self._newly_lost.setdefault((stream, epoch), Ranges()).add(first, last)

    def newly_lost(self) -> dict[tuple[str, int], Ranges]:
        """Take what was found lost since the last call, as (stream, epoch number) -> seqs."""
        taken, self._newly_lost = self._newly_lost, {}
        return taken

    def fresh(self) -> dict[tuple[str, int], Ranges]:
        """Take what was confirmed since the last call, as (stream, epoch number) -> seqs."""
        taken, self._fresh = self._fresh, {}
        return taken

    def start(self, stream: str) -> Position:
        """Return the position before the first row to send; the last one if there is none."""
        for epoch in sorted(self._reader.epochs()):
            before = 0
            while rows := self._reader.rows(stream, (epoch, before), 1):
                row = rows[0]
                if row.epoch != epoch:
                    break
                if row.seq > before + 1:
                    self.settle(stream, epoch, before + 1, row.seq - 1)
                if not self.is_settled(row):
                    return epoch, row.seq - 1
                before = self._of(stream, epoch).ranges.first_missing(row.seq) - 1
        return self._reader.last(stream)

    def pending(self) -> dict[str, int]:
        """Count by stream what exists and is not settled."""
        self._look()
        return {
            stream: sum(known.pending for (name, _), known in self._known.items() if name == stream)
            for stream in STREAMS
        }

    def oldest_ms(self) -> int | None:
        """Return the wall time (ms) of the oldest record still to be sent."""
        found: list[int] = []
        for stream in STREAMS:
            epoch, seq, wall_ms = self._oldest.get(stream, (0, 0, 0))
            known = self._known.get((stream, epoch))
            if known is None or seq in known.ranges:
                rows = self._reader.rows(stream, self.start(stream), 1)
                if not rows or rows[0].type == UNREADABLE:
                    self._oldest.pop(stream, None)
                    continue
                epoch, seq, wall_ms = rows[0].epoch, rows[0].seq, rows[0].wall_ms
                self._oldest[stream] = (epoch, seq, wall_ms)
            found.append(wall_ms)
        return min(found, default=None)

    def _look(self) -> None:
        epochs = self._reader.epochs()
        for stream in STREAMS:
            for epoch in epochs:
                known = self._of(stream, epoch)
                newest = self._reader.last_of(stream, epoch)
                self.grown = self.grown or (newest > known.newest and epoch < max(epochs))
                known.newest = newest

    def _of(self, stream: str, epoch: int) -> _Settled:
        known = self._known.get((stream, epoch))
        if known is None:
            known = _Settled(Ranges(), 0, self._reader.last_of(stream, epoch))
            self._known[stream, epoch] = known
        return known
