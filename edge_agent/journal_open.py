"""Opening the journal, always: a damaged file is set aside, what can be read is carried over, the loss is declared."""

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import JournalError
from edge_agent.journal import FILE, Journal, connect
from edge_agent.journal_schema import STREAMS, migrate, unpack
from edge_agent.ledger import counter
from edge_agent.records import Event

log = logging.getLogger(__name__)

_KEPT = 2
"""Damaged files kept for whoever wants to look; older ones go."""
_CHECKED_WHOLE = 64 << 20
"""Bytes up to which every page is checked at the start; a larger file would hold acquisition up for seconds."""
_SKIPS = 40
"""Doubling jumps tried over an unreadable stretch: enough to cross any table."""
END_OF_EPOCH = (1 << 40) - 1
"""`to_seq` of a gap whose end nobody knows: nothing of that epoch will come any more."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Seqs of an earlier epoch that cannot be read any more, both ends included."""

    stream: str
    epoch_name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The journal, and what had to be done to get it."""

    journal: Journal
    damage: str = ""
    missing: tuple[Missing, ...] = ()


def open_journal(directory: Path, boot_id: str) -> Opened:
    """Open the journal of `directory`; raises JournalError only if it is in use, newer, or nothing can be written."""
    fault = _fault(directory / FILE)
    if not fault:
        try:
            return Opened(Journal(directory, boot_id))
        except sqlite3.DatabaseError as error:
            fault = str(error)
    log.error("journal is damaged and set aside file=%s: %s", directory / FILE, fault)
    aside = _set_aside(directory)
    salvage = _Salvage(aside / FILE)
    salvage.into(directory / FILE)
    journal = Journal(directory, boot_id)
    journal.begin_epoch("salvage")
    log.warning("journal is open again rows=%d set_aside=%s", salvage.rows, aside)
    return Opened(journal, fault, tuple(salvage.missing))


def _fault(path: Path) -> str:
    """Return what is wrong with the file, "" if nothing is seen. A missing or empty file is a first start."""
    if not path.exists() or path.stat().st_size == 0:
        return ""
    try:
        db = sqlite3.connect(path, timeout=5.0)
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if path.stat().st_size <= _CHECKED_WHOLE:
                found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
                return "" if found == "ok" else str(found)
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        return str(error)
    return ""


def _set_aside(directory: Path) -> Path:
    """Move the file and its WAL into a folder of their own; keep the newest few."""
    earlier = sorted(directory.glob("damaged-*"), key=lambda p: int(p.name.removeprefix("damaged-")))
    number = int(earlier[-1].name.removeprefix("damaged-")) + 1 if earlier else 1
    aside = directory / f"damaged-{number}"
    try:
        aside.mkdir(mode=0o700)
        for suffix in ("-wal", "-shm", ""):
            part = directory / (FILE + suffix)
            if part.exists():
                part.replace(aside / part.name)
        for old in earlier[: len(earlier) + 1 - _KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise JournalError(f"{directory}: cannot set the damaged journal aside: {error}") from error
    return aside


@dataclass(slots=True)
class _Salvage:
    """Reads what is readable of a damaged file and writes it into a new one."""

    source: Path
    rows: int = 0
    missing: list[Missing] = field(default_factory=list)

    def into(self, target: Path) -> None:
        """Create `target` with everything that could be read; a file without a readable start gives an empty one."""
        new = connect(target)
        try:
            migrate(new, str(target))
            new.execute("BEGIN IMMEDIATE")
            old = sqlite3.connect(self.source, timeout=5.0)
            try:
                self._copy(old, new)
            finally:
                old.close()
            new.execute("COMMIT")
        finally:
            new.close()

    def _copy(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        for table in ("meta", "epoch", "boot", "ledger", "state", "delivered"):
            for row in _readable(old, f"SELECT * FROM {table}"):  # noqa: S608  (fixed names)
                marks = ", ".join("?" * len(row))
                new.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
        for stream in STREAMS:
            self._copy_stream(old, new, stream)
        _restore_names(new)
        _raise_ledger(new)

    def _copy_stream(self, old: sqlite3.Connection, new: sqlite3.Connection, stream: str) -> None:
        """Copy a stream in order; where a page is unreadable, jump over it in doubling steps."""
        at, good, step, skips = -1, -1, 1, 0
        holes: list[tuple[int, int]] = []
        whole = False
        while not whole and skips < _SKIPS:
            try:
                query = f"SELECT * FROM {stream} WHERE id > ? ORDER BY id"  # noqa: S608  (a name of STREAMS)
                for row in old.execute(query, (at,)):
                    if step > 1:
                        holes.append((good, row[0]))
                    at = good = row[0]
                    step, skips = 1, 0
                    new.execute(f"INSERT OR IGNORE INTO {stream} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
                    self.rows += 1
                whole = True
            except sqlite3.DatabaseError:
                at += step
                step *= 2
                skips += 1
        self._declare(new, stream, holes, whole=whole and step == 1)

    def _declare(self, new: sqlite3.Connection, stream: str, holes: list[tuple[int, int]], *, whole: bool) -> None:
        names = dict(new.execute("SELECT no, name FROM epoch"))
        for low, high in holes:
            epoch, seq = unpack(high)
            before = unpack(low)[1] if low >= 0 and unpack(low)[0] == epoch else 0
            if seq - 1 > before:
                self.missing.append(Missing(stream, names.get(epoch, str(epoch)), before + 1, seq - 1))
        newest = new.execute(f"SELECT max(id) FROM {stream}").fetchone()[0]  # noqa: S608  (a name of STREAMS)
        epoch = max(names, default=0)
        if epoch and (not whole or newest is None or unpack(newest)[0] == epoch):
            last = unpack(newest)[1] if newest is not None and unpack(newest)[0] == epoch else 0
            self.missing.append(Missing(stream, names[epoch], last + 1, END_OF_EPOCH))


def _readable(db: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...]]:
    """Yield rows until the first unreadable one."""
    try:
        yield from db.execute(query)
    except sqlite3.DatabaseError:
        return


def _restore_names(new: sqlite3.Connection) -> None:
    """Give every epoch and boot that a salvaged row names a line of its own, should those tables be lost."""
    for stream in STREAMS:
        for (epoch,) in new.execute(f"SELECT DISTINCT id >> 40 FROM {stream}").fetchall():  # noqa: S608
            new.execute("INSERT OR IGNORE INTO epoch VALUES (?, ?, 'name lost')", (epoch, f"{epoch:016x}"))
        for (boot,) in new.execute(f"SELECT DISTINCT boot FROM {stream}").fetchall():  # noqa: S608
            new.execute("INSERT OR IGNORE INTO boot (no, id) VALUES (?, ?)", (boot, f"lost-{boot}"))


def _raise_ledger(new: sqlite3.Connection) -> None:
    """See that lifetime totals are at least what the rows at hand prove: the ledger's page may be the lost one."""
    proved: dict[str, int] = {}
    for kind, body in new.execute("SELECT type, body FROM usage"):
        name = counter(Event(kind, json.loads(body)))
        if name is not None:
            proved[name] = proved.get(name, 0) + 1
    new.executemany(
        "INSERT INTO ledger VALUES ('life', ?, ?) ON CONFLICT DO UPDATE SET count = max(count, excluded.count)",
        list(proved.items()),
    )
