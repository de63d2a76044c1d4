"""Room kept for alarms and usage when telemetry, or somebody else, has filled the disk.

At a full disk a WAL database can neither delete nor checkpoint. So the file stops a little below its own limit, and a
pre-allocated file beside it is given up when the disk is full; while either is in use no telemetry is stored. The WAL
itself is written to its full length before it is needed.
"""

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_agent.errors import JournalError, JournalFull
from edge_agent.journal.file import BALLAST, CHECKPOINT_PAGES, PAGE
from edge_agent.journal.journal import Journal

log = logging.getLogger(__name__)

_BALLAST = 8 << 20
"""Bytes: a WAL that has to grow up to its checkpoint, and thousands of events."""
_PIECE = 256 << 10
"""Bytes by which the WAL grows in one step."""
_SHARE = 16
"""The ballast is at most this part of the journal's limit."""
_MARGIN = 32
"""The pages kept below the limit are this part of it."""
_COMFORT = 3
"""The reserve is taken back when this many times its size is free."""


class Reserve:
    """Used by the journal's thread only; `free` returns the bytes free on the journal's disk."""

    def __init__(self, journal: Journal, max_bytes: int, free: Callable[[], int] | None = None) -> None:
        directory = journal.path.parent
        self._db = journal.db
        self._path: Path = directory / BALLAST
        self._free = free or (lambda: shutil.disk_usage(directory).free)
        # Half of what is left belongs to others.
        room = journal.path.stat().st_size + self._free() // 2
        self._pages = max(min(max_bytes, room), 1 << 20) // PAGE
        self._margin = max(self._pages // _MARGIN, 64)
        self._ballast = min(_BALLAST, self._pages * PAGE // _SHARE)
        self._wal = journal.path.with_name(f"{journal.path.name}-wal")
        self._lengthened = False
        self.in_use = True
        self.restore()

    def relieve(self, error: JournalError) -> bool:
        """Give up the reserve if `error` means that there is no room; return whether another try makes sense now."""
        if self.in_use or not (isinstance(error, JournalFull) or self._free() < self._ballast):
            return False
        log.error("no room for the journal, telemetry is not stored any more free=%d: %s", self._free(), error)
        self.in_use = True
        with suppress(OSError):
            self._path.unlink()
        self._limit(self._pages)
        # The room that is left must not wait in a long WAL.
        self._pragma("wal_autocheckpoint", CHECKPOINT_PAGES // 10)
        return True

    def restore(self) -> None:
        """Take the reserve back as soon as there is room for it."""
        if not self.in_use:
            return
        unused = self._pages - self._pragma("page_count") + self._pragma("freelist_count")
        short = not self._path.exists() and self._free() < self._ballast * _COMFORT
        if unused < self._margin * _COMFORT or short or not self._allocate():
            return
        self._limit(self._pages - self._margin)
        self._pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        self.in_use = False

    def lengthen(self) -> bool:
        """Write zeros to the end of the WAL, a piece at a time; return whether there is more to do.

        SQLite begins the WAL anew at each start and reads nothing behind its last whole frame (fileformat2, "The WAL
        File Format"). What it then writes into, instead of behind, needs no room at a full disk. And where no commit
        changes the length of a file, none makes the file system write its own journal too: ext4 takes half the time,
        and the card a third fewer bytes, which pays for the zeros.
        """
        if self._lengthened or self.in_use:
            return False
        try:
            # The locks that closing a descriptor would drop are on the other two files.
            descriptor = os.open(self._wal, os.O_WRONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(descriptor).st_size
                end = min(size + _PIECE, self._ballast // 2)
                # By pages: what is written at once is kept together in memory, and later written again as a whole.
                for at in range(size, end, PAGE):
                    os.pwrite(descriptor, bytes(min(PAGE, end - at)), at)
                self._lengthened = end <= size
            finally:
                os.close(descriptor)
        except OSError:
            self._lengthened = True
        return not self._lengthened

    def _allocate(self) -> bool:
        if self._path.exists() and self._path.stat().st_size == self._ballast:
            return True
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._ballast)
            finally:
                os.close(descriptor)
        except OSError:
            with suppress(OSError):
                self._path.unlink()
            return False
        return True

    def _limit(self, pages: int) -> None:
        self._pragma("max_page_count", pages)

    def _pragma(self, name: str, value: int | None = None) -> int:
        text = f"PRAGMA {name}" if value is None else f"PRAGMA {name} = {value}"
        return int(self._db.execute(text).fetchone()[0])
