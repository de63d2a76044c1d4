"""Carrying over the records that can be read of a damaged journal, in bounded steps, after `seed` has done the rest.

Records keep their epoch and seq, whatever comes new belongs to a new epoch; so acquisition does not wait for a backlog
of a million rows. What cannot be read is declared, range by range.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.journal.file import FILE, connect_damaged
from edge_agent.journal.head import Head
from edge_agent.journal.journal import Journal, counted
from edge_agent.journal.missing import END_OF_EPOCH, Missing
from edge_agent.journal.row import UNREADABLE, Row, row_of
from edge_agent.journal.schema import pack, unpack

STATE = "salvage"
"""Key of the progress, remembered in the transaction of the rows it speaks of."""
_ROWS = 500
"""Records carried over in one step."""
_PROBES = 1000
"""Numbers tried in one step where pages are unreadable: some ten milliseconds."""
_LEAP = 8
"""Distance of those numbers: a page holds more records than that."""
_BEYOND = 1 << 17
"""Numbers tried behind the last readable record when nobody knows where the stream ended: what one lost page of the
b-tree can hide."""
_TYPES = (int, str, str, int, int, int, int, str)


@dataclass(slots=True)
class Progress:
    """How far the salvage is; `at` is the rowid read last, `good` the one found last."""

    folder: str
    new_epoch: int
    """Epochs below this one are in the damaged file."""
    rebuild: bool
    """The ledger could not be read in full: hours are counted again from the records."""
    base: dict[str, int]
    """Lifetime totals to begin with."""
    proved: dict[str, int] = field(default_factory=dict)
    """What the records carried over so far count."""
    stretch: int = 0
    at: int = 0
    good: int = 0
    torn: bool = False
    """Something between `good` and `at` could not be read."""


@dataclass(slots=True)
class Carried:
    """What one step found."""

    rows: list[Row] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    regained: dict[str, int] = field(default_factory=dict)
    """Lifetime counts to add: the records prove more than the ledger knew."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    stream: str
    epoch: int
    last: int
    """Rowid behind which there is nothing."""
    open_end: bool
    """Nobody knows whether there was more."""
    known: bool
    """`last` is known, not just the largest number there can be."""


class Salvage:
    """Reads the damaged files that are `waiting`, one after the other; nothing of them is ever written."""

    def __init__(self, directory: Path, waiting: list[Progress], epochs: Mapping[int, str], head: Head) -> None:
        self._directory = directory
        self._waiting = waiting
        self._names = epochs
        self._head = head
        self._old: sqlite3.Connection | None = None

    @classmethod
    def resume(cls, directory: Path, journal: Journal, head: Head) -> "Salvage | None":
        """Return what `seed`, or a run that ended before it was done, has left to carry over."""
        text = journal.state().get(STATE)
        if text is None:
            return None
        waiting = [Progress(**fields) for fields in json.loads(text)]
        return cls(directory, waiting, journal.epochs(), head)

    def close(self) -> None:
        """Let go of the damaged file."""
        if self._old is not None:
            self._old.close()
            self._old = None

    @property
    def rebuild(self) -> bool:
        """True if the hours of the records carried over must be counted again."""
        return self._waiting[0].rebuild

    def step(self) -> Carried:
        """Carry over the next records; `stored` then says how far."""
        carried = Carried()
        if self._old is None:
            self._begin()
        for found in self._scan:
            if isinstance(found, Missing):
                carried.missing.append(found)
            elif isinstance(found, Row):
                carried.rows.append(found)
                self._prove(found)
            if found is None or len(carried.rows) >= _ROWS:
                return carried
        progress = self._waiting.pop(0)
        more = {name: count - progress.base.get(name, 0) for name, count in progress.proved.items()}
        carried.regained = {name: count for name, count in more.items() if count > 0}
        self.close()
        return carried

    def stored(self) -> str | None:
        """Return JSON from which a restart goes on, None when all is done."""
        return json.dumps([asdict(progress) for progress in self._waiting]) if self._waiting else None

    def _begin(self) -> None:
        self.progress = progress = self._waiting[0]
        self._old = connect_damaged(self._directory / progress.folder / FILE)
        self._epochs = {number: name for number, name in self._names.items() if number < progress.new_epoch}
        self._stretches = [
            self._stretch(self._old, stream, epoch)
            for stream in ("usage", "alarm", "tele")
            for epoch in sorted(self._epochs)
        ]
        self._scan = self._read(self._old)

    def _prove(self, row: Row) -> None:
        for name, count in counted(row).items():
            self.progress.proved[name] = self.progress.proved.get(name, 0) + count

    def _stretch(self, old: sqlite3.Connection, stream: str, epoch: int) -> _Stretch:
        newest = epoch == max(self._epochs)
        known = self._head.seqs.get(stream, 0) if max(self._head.epochs, default=0) == epoch else 0
        try:
            query = f"SELECT max(id) FROM {stream} WHERE id < ?"  # noqa: S608  (a name of STREAMS)
            found = old.execute(query, (pack(epoch + 1, 0),)).fetchone()[0]
        except sqlite3.Error:
            last = pack(epoch, known) if known else pack(epoch + 1, 0) - 1
            return _Stretch(stream, epoch, last, open_end=newest or not known, known=bool(known))
        return _Stretch(stream, epoch, max(found or 0, pack(epoch, known)), open_end=newest, known=True)

    def _read(self, old: sqlite3.Connection) -> Iterator[Row | Missing | None]:
        """Yield what is found in order; None where a step may end."""
        progress = self.progress
        while progress.stretch < len(self._stretches):
            stretch = self._stretches[progress.stretch]
            first = pack(stretch.epoch, 0)
            if progress.at < first:
                progress.at = progress.good = first
            yield from self._read_stretch(old, stretch)
            if stretch.open_end:
                yield self._missing(stretch, unpack(progress.good)[1] + 1, END_OF_EPOCH)
            elif progress.torn:
                yield self._missing(stretch, unpack(progress.good)[1] + 1, unpack(stretch.last)[1])
            progress.stretch += 1
            progress.at = progress.good = 0
            progress.torn = False
            yield None

    def _read_stretch(self, old: sqlite3.Connection, stretch: _Stretch) -> Iterator[Row | Missing | None]:
        progress = self.progress
        query = f"SELECT * FROM {stretch.stream} WHERE id > ? AND id <= ? ORDER BY id"  # noqa: S608
        while progress.at < stretch.last:
            try:
                for values in old.execute(query, (progress.at, stretch.last)):
                    progress.at = values[0]
                    row = _row(stretch.stream, values)
                    if row is None:
                        progress.torn = True
                        continue
                    if progress.torn and row.seq > unpack(progress.good)[1] + 1:
                        yield self._missing(stretch, unpack(progress.good)[1] + 1, row.seq - 1)
                    progress.torn = False
                    progress.good = values[0]
                    yield row
                return
            except sqlite3.Error:
                progress.torn = True
                yield from self._cross(old, stretch)

    def _cross(self, old: sqlite3.Connection, stretch: _Stretch) -> Iterator[None]:
        """Move `at` over what cannot be read: in leaps smaller than a page holds records, then exactly to its edge."""
        progress = self.progress
        bad = progress.at
        progress.at += 1
        probes = 0
        while progress.at < stretch.last and not _readable(old, stretch, progress.at):
            bad, progress.at = progress.at, progress.at + _LEAP
            probes += 1
            if probes % _PROBES == 0:
                yield None
            if not stretch.known and probes * _LEAP > _BEYOND:
                progress.at = stretch.last
                return
        while bad + 1 < progress.at:
            middle = (bad + progress.at) // 2
            if _readable(old, stretch, middle):
                progress.at = middle
            else:
                bad = middle

    def _missing(self, stretch: _Stretch, first: int, last: int) -> Missing:
        return Missing(stretch.stream, self._epochs[stretch.epoch], first, last)


def _readable(old: sqlite3.Connection, stretch: _Stretch, after: int) -> bool:
    query = f"SELECT id FROM {stretch.stream} WHERE id > ? AND id <= ? ORDER BY id LIMIT 1"  # noqa: S608
    try:
        old.execute(query, (after, stretch.last)).fetchone()
    except sqlite3.Error:
        return False
    return True


def _row(stream: str, columns: tuple[Any, ...]) -> Row | None:
    """Return the record, None if a flipped bit has made it something else than was accepted."""
    if tuple(map(type, columns[:8])) != _TYPES:
        return None
    row = row_of(stream, columns)
    try:
        return row if row.type != UNREADABLE and isinstance(json.loads(row.body), dict) else None
    except ValueError:
        return None
