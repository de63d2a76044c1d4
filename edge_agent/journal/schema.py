"""The journal's tables, as numbered migrations; `PRAGMA user_version` says which have been applied.

Each stream is a table of its own whose rowid packs epoch number and seq (`pack`): rows are only ever appended on the
right of their b-tree, which SQLite does without splitting pages: half the flash writes of one shared table.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from edge_agent.errors import JournalRefused

STREAMS = ("alarm", "usage", "tele")
"""In the order in which they are sent."""

TALLY = "tally/"
"""Keys of `state` under which the bytes of each stream are remembered."""

_SEQ_BITS = 40
_SEQ_MASK = (1 << _SEQ_BITS) - 1


def pack(epoch: int, seq: int) -> int:
    """Return the rowid of (epoch number, seq): a thousand records a second fill 2^40 in 34 years."""
    return epoch << _SEQ_BITS | seq


def unpack(rowid: int) -> tuple[int, int]:
    """Return (epoch number, seq) of a rowid."""
    return rowid >> _SEQ_BITS, rowid & _SEQ_MASK


_STREAM_COLUMNS = """(
    id      INTEGER PRIMARY KEY,  -- epoch number and seq, packed
    device  TEXT NOT NULL,
    type    TEXT NOT NULL,        -- event type, alarm code, 'sample', 'gap', 'clock_correction'
    boot    INTEGER NOT NULL REFERENCES boot (no),
    mono_ms INTEGER NOT NULL,     -- milliseconds since that boot
    wall_ms INTEGER NOT NULL,     -- milliseconds since 1970 UTC, as believed then
    good    INTEGER NOT NULL,     -- 1 if the clock was known good
    body    TEXT NOT NULL         -- JSON object: what the wire contract adds to id, seq and time
)"""

MIGRATIONS: tuple[str, ...] = (
    f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE epoch (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, why TEXT NOT NULL);
CREATE TABLE boot (
    no             INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    lived_ms       INTEGER NOT NULL DEFAULT 0,  -- how long the station had been running, in all boots before
    offset_ms      INTEGER,           -- Unix milliseconds when its monotonic clock showed 0, once known
    uncertainty_ms INTEGER
);
CREATE TABLE alarm {_STREAM_COLUMNS};
CREATE TABLE usage {_STREAM_COLUMNS};
CREATE TABLE tele {_STREAM_COLUMNS};
CREATE TABLE delivered (
    stream TEXT NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (stream, epoch, first)
) WITHOUT ROWID;
CREATE TABLE ledger (bucket TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (bucket, name))
    WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    # CRC-32 over the columns before it (`row.py`); NULL in rows from before.
    """
ALTER TABLE alarm ADD COLUMN crc INTEGER;
ALTER TABLE usage ADD COLUMN crc INTEGER;
ALTER TABLE tele ADD COLUMN crc INTEGER;
""",
)


def migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the tables to the newest version, each step in one transaction, after a backup of what was there.

    Raises JournalRefused on a newer file, which is left as it is, and sqlite3.Error.
    """
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise JournalRefused(
            f"{path} was written by a newer version (schema {version}, this one knows {len(migrations)}); "
            "install that version again, nothing was changed"
        )
    if 0 < version < len(migrations):
        _back_up(db, path.with_name(f"{path.name}.v{version}"))
    for number in range(version, len(migrations)):
        db.executescript(f"BEGIN IMMEDIATE; {migrations[number]} PRAGMA user_version = {number + 1}; COMMIT;")


def _back_up(db: sqlite3.Connection, target: Path) -> None:
    """Copy the whole file; one cut short never looks like a finished one."""
    for earlier in target.parent.glob(f"{target.stem}.v*"):
        earlier.unlink()
    unfinished = target.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as copy:
        db.backup(copy)
    unfinished.replace(target)
