"""The journal: durable, ordered, numbers every record, knows what the centre has.

One connection writes and checkpoints and it belongs to one thread (the Recorder's); every other connection is
read-only (`reader.py`). Everything is written by `commit`, one transaction at a time.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import JournalDamaged
from edge_agent.journal.file import FILE, Connect, connect, hold, wrap
from edge_agent.journal.row import Row, columns_of
from edge_agent.journal.schema import MIGRATIONS, STREAMS, migrate, unpack
from edge_agent.ledger import Counts, counts
from edge_agent.ranges import Ranges
from edge_agent.records import Event


def counted(row: Row) -> Counts:
    """Return what a stored record adds to the ledger."""
    return counts(Event(row.type, json.loads(row.body))) if row.stream == "usage" else {}


@dataclass(frozen=True, slots=True)
class Dated:
    """A boot whose clock has become known: add `offset_ms` to its monotonic milliseconds to get Unix milliseconds."""

    boot: int
    offset_ms: int
    uncertainty_ms: int


@dataclass(slots=True)
class Batch:
    """What one transaction writes. Writing it twice changes nothing: all is absolute, or a set that is joined."""

    rows: list[Row] = field(default_factory=list)
    restored: list[Row] = field(default_factory=list)
    """Rows of a damaged file, under their old numbers."""
    removed: dict[str, list[int]] = field(default_factory=dict)
    """Stream -> rowids that go."""
    ledger: dict[tuple[str, str], int | None] = field(default_factory=dict)
    """(bucket, name) -> new count; None forgets."""
    state: dict[str, str | None] = field(default_factory=dict)
    """Key -> JSON text; None forgets."""
    delivered: dict[tuple[str, int], Ranges] = field(default_factory=dict)
    """(stream, epoch number) -> seqs acknowledged, joined to those already known."""
    dated: list[Dated] = field(default_factory=list)

    @property
    def urgent(self) -> bool:
        """True if a usage event or alarm waits in it."""
        return any(row.stream != "tele" for row in self.rows)

    def __bool__(self) -> bool:
        parts = (self.rows, self.restored, self.removed, self.ledger, self.state, self.delivered, self.dated)
        return any(parts)


class Journal:
    """The open file and the numbers given out; use `open_journal` to get one that always starts.

    `held` is the descriptor of the directory's lock if the caller has it already; closing the journal lets go of it.
    """

    def __init__(
        self,
        directory: Path,
        boot_id: str,
        *,
        held: int | None = None,
        connect: Connect = connect,
        migrations: Sequence[str] = MIGRATIONS,
        new_epoch: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.path = directory / FILE
        self._new_epoch = new_epoch
        self._lock = hold(directory) if held is None else held
        try:
            self.db = connect(self.path)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise wrap(error, self.path, "the journal cannot be opened") from error
        try:
            migrate(self.db, self.path, migrations)
            self.boot = self._number_of_boot(boot_id)
            self.lived_ms = self._one("SELECT lived_ms FROM boot WHERE no = ?", self.boot)
            self.epoch, self.epoch_name = self._current_epoch()
            self._next = {stream: self._last_seq(stream) + 1 for stream in STREAMS}
        except sqlite3.Error as error:
            self.close()
            raise wrap(error, self.path, "the journal cannot be opened") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and let another process have it; never raises."""
        with suppress(sqlite3.Error):
            self.db.close()
        os.close(self._lock)

    def reserve(self, stream: str, count: int = 1) -> int:
        """Give out the next `count` seqs of `stream` and return the first.

        Their rows, or the gap record that covers them, must be committed before any later one.
        """
        seq = self._next[stream]
        self._next[stream] = seq + count
        return seq

    def commit(self, batch: Batch) -> None:
        """Write `batch` in one transaction; raises JournalError, after which its outcome is unknown.

        A commit whose fsync failed may come back after a restart: so the same batch must be given again before any
        other, rows already there are ignored, and an ignored row must have equal content.
        """
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            self._write(batch)
            db.execute("COMMIT")
        except BaseException as error:
            # SQLite has rolled back by itself after some errors; a failed ROLLBACK leaves nothing to undo.
            with suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise wrap(error, self.path, "the same records are tried again") from error
            raise

    def begin_epoch(self, why: str) -> None:
        """Start a new epoch: seqs begin at 1 again under a new name, old rows keep theirs; raises JournalError."""
        try:
            # One statement is one transaction.
            self.db.execute("INSERT INTO epoch (name, why) VALUES (?, ?)", (self._new_epoch(), why))
        except sqlite3.Error as error:
            raise wrap(error, self.path, "no new epoch could be begun") from error
        self.epoch, self.epoch_name = self._current_epoch()
        self._next = dict.fromkeys(STREAMS, 1)

    def meta(self, key: str) -> str | None:
        """Return what is remembered about the file under `key`."""
        found = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember something about the file; raises JournalError."""
        try:
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        except sqlite3.Error as error:
            raise wrap(error, self.path, f"{key} is not remembered") from error

    def epochs(self) -> dict[int, str]:
        """Return epoch number -> name."""
        return dict(self.db.execute("SELECT no, name FROM epoch"))

    def ledger(self) -> dict[tuple[str, str], int]:
        """Return every (bucket, name) -> count."""
        return {(bucket, name): count for bucket, name, count in self.db.execute("SELECT * FROM ledger")}

    def state(self) -> dict[str, str]:
        """Return every remembered key -> JSON text."""
        return dict(self.db.execute("SELECT key, value FROM state"))

    def last_seq(self, stream: str) -> int:
        """Return the newest seq given out in the current epoch, 0 = none."""
        return self._next[stream] - 1

    def _one(self, query: str, *values: object) -> int:
        return int(self.db.execute(query, values).fetchone()[0])

    def _write(self, batch: Batch) -> None:
        db = self.db
        for boot in {row.boot for row in batch.restored}:
            # Rows may have outlived the line about their boot; they must not be left without one.
            db.execute("INSERT OR IGNORE INTO boot (no, id, lived_ms) VALUES (?, ?, 0)", (boot, f"lost-{boot}"))
        self._insert(batch.restored)
        self._insert(batch.rows)
        for stream, rowids in batch.removed.items():
            db.executemany(f"DELETE FROM {stream} WHERE id = ?", [(rowid,) for rowid in rowids])  # noqa: S608
        # A visit changes three counts: in one call they cost a third of three.
        kept = [(*key, count) for key, count in batch.ledger.items() if count is not None]
        if kept:
            db.executemany("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?)", kept)
        gone = [key for key, count in batch.ledger.items() if count is None]
        if gone:
            db.executemany("DELETE FROM ledger WHERE bucket = ? AND name = ?", gone)
        for key, value in batch.state.items():
            if value is None:
                db.execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
        for (stream, epoch), ranges in batch.delivered.items():
            for first, last in ranges:
                self._add_delivered(stream, epoch, first, last)
        for dated in batch.dated:
            update = "UPDATE boot SET offset_ms = ?, uncertainty_ms = ? WHERE no = ?"
            db.execute(update, (dated.offset_ms, dated.uncertainty_ms, dated.boot))

    def _insert(self, rows: Iterable[Row]) -> None:
        by_stream: dict[str, list[tuple[object, ...]]] = {}
        for row in rows:
            by_stream.setdefault(row.stream, []).append(columns_of(row))
        for stream, values in by_stream.items():
            cursor = self.db.executemany(
                f"INSERT OR IGNORE INTO {stream} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (a name of STREAMS)
                values,
            )
            if cursor.rowcount != len(values):
                self._check_equal(stream, values)

    def _check_equal(self, stream: str, values: list[tuple[object, ...]]) -> None:
        for value in values:
            found = self.db.execute(f"SELECT * FROM {stream} WHERE id = ?", (value[0],)).fetchone()  # noqa: S608
            if found != value:
                epoch, seq = unpack(int(str(value[0])))
                raise JournalDamaged(f"{self.path}: {stream} {epoch}/{seq} is there already with other content")

    def _add_delivered(self, stream: str, epoch: int, first: int, last: int) -> None:
        """Join an interval to those stored: its left neighbour and all that begin inside or right behind it."""
        mine = "stream = ? AND epoch = ?"
        left = self.db.execute(
            f"SELECT first, last FROM delivered WHERE {mine} AND first <= ? ORDER BY first DESC LIMIT 1",  # noqa: S608
            (stream, epoch, first),
        ).fetchone()
        if left is not None and left[1] >= first - 1:
            first, last = left[0], max(last, left[1])
        inside = (stream, epoch, first, last + 1)
        furthest = f"SELECT max(last) FROM delivered WHERE {mine} AND first BETWEEN ? AND ?"  # noqa: S608
        last = max(last, self.db.execute(furthest, inside).fetchone()[0] or 0)
        self.db.execute(f"DELETE FROM delivered WHERE {mine} AND first BETWEEN ? AND ?", inside)  # noqa: S608
        self.db.execute("INSERT INTO delivered VALUES (?, ?, ?, ?)", (stream, epoch, first, last))

    def _number_of_boot(self, boot_id: str) -> int:
        find = "SELECT no FROM boot WHERE id = ?"
        if self.db.execute(find, (boot_id,)).fetchone() is None:
            self.db.execute("INSERT INTO boot (id, lived_ms) VALUES (?, ?)", (boot_id, self._lived_before()))
        return self._one(find, boot_id)

    def _lived_before(self) -> int:
        """How long the station has been running so far (ms), as far as its newest records prove it."""
        lived = self._one("SELECT coalesce(max(lived_ms), 0) FROM boot")
        for stream in STREAMS:
            query = f"SELECT lived_ms + mono_ms FROM {stream} JOIN boot ON no = boot ORDER BY {stream}.id DESC LIMIT 1"  # noqa: S608
            lived = max(lived, *(found[0] for found in self.db.execute(query)), 0)
        return lived

    def _current_epoch(self) -> tuple[int, str]:
        newest = "SELECT no, name FROM epoch ORDER BY no DESC LIMIT 1"
        found = self.db.execute(newest).fetchone()
        if found is None:
            self.db.execute("INSERT INTO epoch (name, why) VALUES (?, 'first start')", (self._new_epoch(),))
            found = self.db.execute(newest).fetchone()
        return int(found[0]), str(found[1])

    def _last_seq(self, stream: str) -> int:
        newest = self.db.execute(f"SELECT max(id) FROM {stream}").fetchone()[0]  # noqa: S608  (a name of STREAMS)
        if newest is None:
            return 0
        epoch, seq = unpack(newest)
        return seq if epoch == self.epoch else 0
