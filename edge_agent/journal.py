"""The journal: durable, ordered, numbers every record, knows what the centre has.

One connection writes and checkpoints and it belongs to one thread (the Recorder's); every other connection is
read-only (`journal_reader.py`). A commit is WAL with `synchronous=FULL`: when `commit` has returned, the rows survive
kill -9 and a power cut; with NORMAL every power cut would take the last half minute along.
"""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from edge_agent.errors import JournalError
from edge_agent.journal_schema import STREAMS, migrate, pack, unpack
from edge_agent.ranges import Ranges

FILE = "journal.db"
_CHECKPOINT_PAGES = 1000
_WAL_LIMIT = 8 << 20
_READ_CACHE_KIB = 2048


class Row(NamedTuple):
    """One record as it is stored; immutable for ever. `epoch` and `boot` are this file's numbers for them."""

    stream: str
    epoch: int
    seq: int
    device: str
    type: str
    boot: int
    mono_ms: int
    wall_ms: int
    good: bool
    body: str
    """JSON object without id, seq and time."""


@dataclass(slots=True)
class Batch:
    """What one transaction writes. Writing it twice changes nothing: all is absolute, or a set that is joined."""

    rows: list[Row] = field(default_factory=list)
    ledger: dict[tuple[str, str], int] = field(default_factory=dict)
    """(bucket, name) -> new count."""
    state: dict[str, str | None] = field(default_factory=dict)
    """Key -> JSON text; None deletes."""
    delivered: dict[tuple[str, int], Ranges] = field(default_factory=dict)
    """(stream, epoch number) -> seqs acknowledged, joined to those already known."""

    @property
    def urgent(self) -> bool:
        """True if a usage event or alarm waits in it."""
        return any(row.stream != "tele" for row in self.rows)

    def __bool__(self) -> bool:
        return bool(self.rows or self.ledger or self.state or self.delivered)


class Journal:
    """The open file and the numbers given out; use `open_journal` to get one that always starts."""

    def __init__(
        self, directory: Path, boot_id: str, *, new_epoch: Callable[[], str] = lambda: secrets.token_hex(8)
    ) -> None:
        self.path = directory / FILE
        self._new_epoch = new_epoch
        self._lock = _lock(directory)
        try:
            self._db = connect(self.path)
            migrate(self._db, str(self.path))
            self.boot = self._number_of_boot(boot_id)
            self.epoch, self.epoch_name = self._current_epoch()
            self._next = {stream: self._last_seq(stream) + 1 for stream in STREAMS}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and let another process have it."""
        db = getattr(self, "_db", None)
        if db is not None:
            db.close()
        os.close(self._lock)

    def reserve(self, stream: str) -> int:
        """Give out the next seq of `stream` in the current epoch; the row must be committed before any later one."""
        seq = self._next[stream]
        self._next[stream] = seq + 1
        return seq

    def commit(self, batch: Batch) -> None:
        """Write `batch` in one transaction; raises JournalError, after which its outcome is unknown.

        A commit whose fsync failed may come back after a restart: so the same batch must be given again before any
        other, rows already there are ignored, and an ignored row must have equal content.
        """
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._insert(batch.rows)
                db.executemany(
                    "INSERT INTO ledger VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count",
                    [(bucket, name, count) for (bucket, name), count in batch.ledger.items()],
                )
                for key, value in batch.state.items():
                    if value is None:
                        db.execute("DELETE FROM state WHERE key = ?", (key,))
                    else:
                        db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
                for (stream, epoch), ranges in batch.delivered.items():
                    for first, last in ranges:
                        self._add_delivered(stream, epoch, first, last)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise JournalError(f"{self.path}: {error}; the same rows are tried again") from error

    def begin_epoch(self, why: str) -> None:
        """Start a new epoch: seqs begin at 1 again under a new name; old rows keep theirs."""
        self._db.execute("BEGIN IMMEDIATE")
        cursor = self._db.execute("INSERT INTO epoch (name, why) VALUES (?, ?)", (self._new_epoch(), why))
        self._db.execute("COMMIT")
        assert cursor.lastrowid is not None  # noqa: S101  (an INSERT always has one; tells the type checker)
        self.epoch, self.epoch_name = self._current_epoch()
        self._next = dict.fromkeys(STREAMS, 1)

    def meta(self, key: str) -> str | None:
        """Return what is remembered about the file under `key`."""
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember something about the file."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def ledger(self) -> dict[tuple[str, str], int]:
        """Return every (bucket, name) -> count."""
        return {(bucket, name): count for bucket, name, count in self._db.execute("SELECT * FROM ledger")}

    def state(self) -> dict[str, str]:
        """Return every remembered key -> JSON text."""
        return dict(self._db.execute("SELECT key, value FROM state"))

    def last_seq(self, stream: str) -> int:
        """Return the newest seq given out in the current epoch, 0 = none."""
        return self._next[stream] - 1

    def _add_delivered(self, stream: str, epoch: int, first: int, last: int) -> None:
        """Join an interval to those stored: its left neighbour and all that begin inside or right behind it."""
        mine = "stream = ? AND epoch = ?"
        left = self._db.execute(
            f"SELECT first, last FROM delivered WHERE {mine} AND first <= ? ORDER BY first DESC LIMIT 1",  # noqa: S608
            (stream, epoch, first),
        ).fetchone()
        if left is not None and left[1] >= first - 1:
            first, last = left[0], max(last, left[1])
        inside = (stream, epoch, first, last + 1)
        furthest = f"SELECT max(last) FROM delivered WHERE {mine} AND first BETWEEN ? AND ?"  # noqa: S608
        last = max(last, self._db.execute(furthest, inside).fetchone()[0] or 0)
        self._db.execute(f"DELETE FROM delivered WHERE {mine} AND first BETWEEN ? AND ?", inside)  # noqa: S608
        self._db.execute("INSERT INTO delivered VALUES (?, ?, ?, ?)", (stream, epoch, first, last))

    def _insert(self, rows: Iterable[Row]) -> None:
        by_stream: dict[str, list[tuple[object, ...]]] = {}
        for row in rows:
            by_stream.setdefault(row.stream, []).append((pack(row.epoch, row.seq), *row[3:]))
        for stream, values in by_stream.items():
            cursor = self._db.executemany(
                f"INSERT OR IGNORE INTO {stream} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (a name of STREAMS)
                values,
            )
            if cursor.rowcount != len(values):
                self._check_equal(stream, values)

    def _check_equal(self, stream: str, values: list[tuple[object, ...]]) -> None:
        for value in values:
            found = self._db.execute(f"SELECT * FROM {stream} WHERE id = ?", (value[0],)).fetchone()  # noqa: S608
            if found != value:
                epoch, seq = unpack(int(str(value[0])))
                raise JournalError(f"{self.path}: {stream} {epoch}/{seq} is there already with other content")

    def _number_of_boot(self, boot_id: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO boot (id) VALUES (?)", (boot_id,))
        return int(self._db.execute("SELECT no FROM boot WHERE id = ?", (boot_id,)).fetchone()[0])

    def _current_epoch(self) -> tuple[int, str]:
        newest = "SELECT no, name FROM epoch ORDER BY no DESC LIMIT 1"
        found = self._db.execute(newest).fetchone()
        if found is None:
            self._db.execute("INSERT INTO epoch (name, why) VALUES (?, 'first start')", (self._new_epoch(),))
            found = self._db.execute(newest).fetchone()
        return int(found[0]), str(found[1])

    def _last_seq(self, stream: str) -> int:
        newest = self._db.execute(f"SELECT max(id) FROM {stream}").fetchone()[0]  # noqa: S608  (a name of STREAMS)
        if newest is None:
            return 0
        epoch, seq = unpack(newest)
        return seq if epoch == self.epoch else 0


def connect(path: Path) -> sqlite3.Connection:
    """Open the one writing connection to `path` with the durability the contract asks for."""
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        db.execute(f"PRAGMA cache_size = -{_READ_CACHE_KIB}")
    except BaseException:
        db.close()
        raise
    return db


def _lock(directory: Path) -> int:
    """Make `directory` ours alone: two writers on one WAL file can destroy it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "journal.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"{directory}: {error.strerror}; see that the agent's user may write there") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"{directory} is in use by another agent; stop that one first") from error
    return descriptor
