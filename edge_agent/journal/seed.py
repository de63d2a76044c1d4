"""The new file that takes the place of a damaged one: its small tables at once, a new epoch, and what is to follow."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from edge_agent.journal.file import Connect, connect, connect_damaged
from edge_agent.journal.head import Head
from edge_agent.journal.salvage import STATE, Progress
from edge_agent.journal.schema import STREAMS, TALLY, migrate, unpack
from edge_agent.ledger import LIFE


def seed(source: Path, target: Path, head: Head, connect: Connect = connect) -> None:
    """Create `target` with a new epoch and the small tables of the damaged `source`, helped out by `head`.

    `target` appears whole or not at all. Raises sqlite3.Error and OSError if it cannot be written.
    """
    unfinished = target.with_suffix(".new")
    for suffix in ("", "-wal", "-shm"):
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    with closing(connect(unfinished)) as new, closing(connect_damaged(source)) as old:
        migrate(new, unfinished)
        new.execute("BEGIN IMMEDIATE")
        for table in ("meta", "epoch", "boot", "delivered", "state"):
            _copy_table(old, new, table)
        whole = _copy_table(old, new, "ledger")
        if not whole:
            # Hours are counted again from the records; for the lifetime, more than half is better than nothing.
            new.execute("DELETE FROM ledger WHERE bucket <> ?", (LIFE,))
        _name_epochs(old, new, head)
        for name, count in head.lifetime.items():
            new.execute(
                "INSERT INTO ledger VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = max(count, excluded.count)",
                (LIFE, name, count),
            )
        new.execute("DELETE FROM state WHERE key LIKE ?", (TALLY + "%",))
        _remember(new, source.parent.name, rebuild=not whole)
        new.execute("COMMIT")
    unfinished.replace(target)


def _remember(new: sqlite3.Connection, folder: str, *, rebuild: bool) -> None:
    """Begin the new epoch, and note what is to be carried over, behind what an earlier damage has left."""
    begin = "INSERT INTO epoch (name, why) VALUES (lower(hex(randomblob(8))), 'salvage')"
    epoch = int(new.execute(begin).lastrowid or 0)
    base = dict(new.execute("SELECT name, count FROM ledger WHERE bucket = ?", (LIFE,)))
    before = new.execute("SELECT value FROM state WHERE key = ?", (STATE,)).fetchone()
    waiting = [] if before is None else json.loads(before[0])
    waiting.append(asdict(Progress(folder, epoch, rebuild, base)))
    new.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (STATE, json.dumps(waiting)))


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """Copy what can be read; return whether that was all."""
    rows: list[tuple[object, ...]] = []
    whole = True
    try:
        for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608  (fixed names)
            rows.append(row)  # noqa: PERF402  (what came before the first unreadable page must be kept)
    except sqlite3.Error:
        whole = False
    for row in rows:
        try:
            if table == "state":
                json.loads(str(row[1]))
            marks = ", ".join("?" * len(row))
            new.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
        except (ValueError, sqlite3.IntegrityError):
            # A flipped bit has made it something that this table cannot hold.
            whole = False
    return whole


def _name_epochs(old: sqlite3.Connection, new: sqlite3.Connection, head: Head) -> None:
    """See that every epoch has a name: the centre knows its records by it."""
    for number, name in head.epochs.items():
        new.execute("INSERT OR IGNORE INTO epoch VALUES (?, ?, 'from the head')", (number, name))
    for stream in STREAMS:
        for end in ("min", "max"):
            try:
                found = old.execute(f"SELECT {end}(id) FROM {stream}").fetchone()[0]  # noqa: S608
            except sqlite3.Error:
                continue
            if isinstance(found, int):
                number = unpack(found)[0]
                query = "INSERT OR IGNORE INTO epoch VALUES (?, lower(hex(randomblob(8))), 'name lost')"
                new.execute(query, (number,))
