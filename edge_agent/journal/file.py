"""The journal's file: opened the one right way, held by one process, its errors told apart.

A commit is WAL with `synchronous=FULL`: when it has returned, the rows survive kill -9 and a power cut; with NORMAL
every power cut would take the last half minute along. Only one connection ever writes or checkpoints: two at once can
destroy a WAL database (SQLite before 3.51.3).
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from edge_agent.errors import JournalDamaged, JournalError, JournalFull, JournalRefused

FILE = "journal.db"
BALLAST = "journal.ballast"
"""Room that is given up when the disk is full (`reserve.py`)."""
SUSPECT = "journal.suspect"
"""Left behind by an agent that met a broken page while running: the next start looks at every page."""
PAGE = 4096
"""Bytes of a page of the file."""
CHECKPOINT_PAGES = 1000
"""Pages of the WAL after which it is written back."""
_WAL_LIMIT = 8 << 20
_CACHE_KIB = 2048
_RESULT = 0xFF
"""Mask of SQLite's primary result code; the bits above tell its kinds apart (sqlite.org/rescode.html)."""
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""Not a disk or a neighbour in the way, but the file: broken pages, no database, tables that are not there."""

_TEXT = partial(str, encoding="utf-8", errors="replace")
"""A flipped bit may leave text that is no UTF-8 any more: that is for the checksum of the row to tell, not a crash."""

Connect: TypeAlias = Callable[[Path], sqlite3.Connection]


def connect(path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """Open the one writing connection to `path`; raises sqlite3.Error. `factory` lets a test fail any statement."""
    with suppress(OSError):
        # SQLite gives its WAL the rights of the file, which are nobody else's.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(
        path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=64, factory=factory
    )
    db.text_factory = _TEXT
    try:
        if db.execute("PRAGMA page_count").fetchone()[0] == 0:
            # Before the first page is written, or never: lets the file shrink in small steps.
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute(f"PRAGMA page_size = {PAGE}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        db.close()
        raise
    return db


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open a connection that neither writes nor checkpoints; raises sqlite3.Error."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0, check_same_thread=False)
    db.text_factory = _TEXT
    db.execute("PRAGMA query_only = 1")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA cache_size = -512")
    return db


def connect_damaged(path: Path) -> sqlite3.Connection:
    """Open what is left of a damaged file for reading; what is not there, or no database, has no readable page."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True) if path.exists() else sqlite3.connect(":memory:")
    db.text_factory = _TEXT
    # Lets SQLite read a file that is shorter than its own header says.
    db.execute("PRAGMA writable_schema = ON")
    db.execute("PRAGMA query_only = 1")
    return db


def hold(directory: Path) -> int:
    """Make `directory` ours alone and return the descriptor whose closing gives it free; raises JournalError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "journal.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"{directory}: {error.strerror}; see that the agent's user may write there") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalRefused(f"{directory} is in use by another agent; stop that one first") from error
    return descriptor


def wrap(error: sqlite3.Error, path: Path, consequence: str) -> JournalError:
    """Return the JournalError that says what `error` means for the file."""
    # An error of Python's own module (a closed connection, a wrong type) carries no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & _RESULT
    text = f"{path}: {error}; {consequence}"
    if code in _BROKEN:
        with suppress(OSError):
            path.with_name(SUSPECT).touch(mode=0o600)
        return JournalDamaged(text)
    return JournalFull(text) if code == sqlite3.SQLITE_FULL else JournalError(text)


def fault(path: Path, check_up_to: int) -> str:
    """Return what is wrong with the file, "" if nothing is seen.

    Every page of a file of at most `check_up_to` bytes is looked at. Raises JournalError if it cannot be read for a
    reason that is not its own: rights, a broken disk, a full one.
    """
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if path.stat().st_size <= check_up_to:
                found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
                return "" if found == "ok" else str(found)
    except sqlite3.Error as error:
        wrapped = wrap(error, path, "see that the agent's user may read and write it and that the disk is well")
        if not isinstance(wrapped, JournalDamaged):
            raise wrapped from error
        return str(error)
    return ""
