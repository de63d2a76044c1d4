"""How many rows and bytes each stream takes, kept beside them instead of counted anew."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from edge_agent.journal.journal import Batch, Journal
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS, TALLY, pack

_OVERHEAD = 40
"""Bytes that a row takes beside its texts: header, numbers, its place in the page."""
SIZE = f"length(CAST(body AS BLOB)) + length(device) + length(type) + {_OVERHEAD}"
"""What SQL says of one row where `row_size` says it of a Row."""
_STORE_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Tally:
    """What a stream takes: `rows` and `bytes` up to the rowid `upto`."""

    upto: int = 0
    rows: int = 0
    bytes: int = 0

    def plus(self, upto: int, rows: int, size: int) -> "Tally":
        """Return what it is with so many rows of `size` bytes more, up to the rowid `upto`."""
        return Tally(max(self.upto, upto), self.rows + rows, self.bytes + size)


class Tallies:
    """One Tally for each stream, as of the last commit; used by the journal's thread only."""

    def __init__(self, journal: Journal, state: Mapping[str, str]) -> None:
        self._journal = journal
        self._now = {stream: self._recount(stream, state.get(TALLY + stream)) for stream in STREAMS}
        self._sealed = self._now
        self._stored_at = 0

    def __getitem__(self, stream: str) -> Tally:
        return self._now[stream]

    def used(self) -> dict[str, int]:
        """Return stream -> bytes."""
        return {stream: tally.bytes for stream, tally in self._now.items()}

    def seal(self, batch: Batch, leaving: Mapping[str, tuple[int, int]], now_ms: int) -> None:
        """Take `batch` into account, which is complete; `leaving` is stream -> rows and bytes that go with it.

        The counts are stored along with it about once a minute.
        """
        self._sealed = self._after(batch, leaving)
        if batch.removed or batch.restored or now_ms - self._stored_at >= _STORE_EVERY_MS:
            self._stored_at = now_ms
            for stream, tally in self._sealed.items():
                batch.state[TALLY + stream] = json.dumps([tally.upto, tally.rows, tally.bytes])

    def accept(self) -> None:
        """What was sealed is durable."""
        self._now = self._sealed

    def _recount(self, stream: str, stored: str | None) -> Tally:
        """Return what was stored plus the few rows that have come since."""
        before = Tally()
        if stored is not None:
            # What a damage has left may make no sense; then every row is counted.
            with suppress(ValueError, TypeError):
                before = Tally(*map(int, json.loads(stored)))
        query = f"SELECT max(id), count(*), coalesce(sum({SIZE}), 0) FROM {stream} WHERE id > ?"  # noqa: S608
        upto, rows, size = self._journal.db.execute(query, (before.upto,)).fetchone()
        return Tally(upto or before.upto, before.rows + rows, before.bytes + size)

    def _after(self, batch: Batch, leaving: Mapping[str, tuple[int, int]]) -> dict[str, Tally]:
        after = dict(self._now)
        for stream, (rows, freed) in leaving.items():
            after[stream] = after[stream].plus(after[stream].upto, -rows, -freed)
        for row in batch.rows:
            after[row.stream] = after[row.stream].plus(pack(row.epoch, row.seq), 1, row_size(row))
        for row in batch.restored:
            # Of an earlier epoch: behind `upto` there are only new rows.
            after[row.stream] = after[row.stream].plus(0, 1, row_size(row))
        return after


def row_size(row: Row) -> int:
    """Return the bytes that a row takes, as SQL counts them."""
    return len(row.body.encode()) + len(row.device) + len(row.type) + _OVERHEAD
