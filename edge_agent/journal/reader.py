"""Reading the journal beside its writer: the uplink, `tail`, `export` and the page look through this.

Read-only and never checkpointing: two connections that write or checkpoint at once can corrupt a WAL database
(SQLite before 3.51.3).
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import JournalError
from edge_agent.journal.file import FILE, connect_readonly
from edge_agent.journal.row import UNREADABLE, Row, row_of
from edge_agent.journal.schema import STREAMS, pack, unpack
from edge_agent.ranges import Ranges


class Reader:
    """Committed rows, nothing else."""

    def __init__(self, directory: Path) -> None:
        path = file_of(directory)
        try:
            self._db = connect_readonly(path)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: {error}; is this user allowed to read it?") from error

    def close(self) -> None:
        """Let go of the file; must happen before the writer closes."""
        self._db.close()

    def epochs(self) -> dict[int, str]:
        """Return epoch number -> name."""
        return dict(self._db.execute("SELECT no, name FROM epoch"))

    def offsets(self) -> dict[int, int]:
        """Return boot number -> what to add to its monotonic milliseconds to get Unix milliseconds, where known."""
        return dict(self._db.execute("SELECT no, offset_ms FROM boot WHERE offset_ms IS NOT NULL"))

    def rows(self, stream: str, after: tuple[int, int], limit: int) -> list[Row]:
        """Return up to `limit` rows of `stream` behind (epoch number, seq), in order, UNREADABLE ones too."""
        query = f"SELECT * FROM {stream} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608  (a name of STREAMS)
        return [row_of(stream, found) for found in self._db.execute(query, (pack(*after), limit))]

    def of_type(self, stream: str, kind: str) -> Iterator[Row]:
        """Yield the rows of one type, in order."""
        query = f"SELECT * FROM {stream} WHERE type = ? ORDER BY id"  # noqa: S608  (a name of STREAMS)
        for found in self._db.execute(query, (kind,)):
            row = row_of(stream, found)
            if row.type == kind:
                yield row

    def ledger(self) -> dict[tuple[str, str], int]:
        """Return every (bucket, name) -> count of the ledger."""
        return {(bucket, name): count for bucket, name, count in self._db.execute("SELECT * FROM ledger")}

    def row(self, stream: str, epoch: int, seq: int) -> Row | None:
        """Return one row, None if it is not there or cannot be read."""
        found = self._db.execute(f"SELECT * FROM {stream} WHERE id = ?", (pack(epoch, seq),)).fetchone()  # noqa: S608
        row = None if found is None else row_of(stream, found)
        return None if row is None or row.type == UNREADABLE else row

    def newest_alarm(self, device: str, code: str) -> tuple[int, int] | None:
        """Return (epoch number, seq) of the newest record of one alarm."""
        query = "SELECT id FROM alarm WHERE device = ? AND type = ? ORDER BY id DESC LIMIT 1"
        found = self._db.execute(query, (device, code)).fetchone()
        return None if found is None else unpack(found[0])

    def last(self, stream: str) -> tuple[int, int]:
        """Return (epoch number, seq) of the newest row, (0, 0) if there is none."""
        found = self._db.execute(f"SELECT max(id) FROM {stream}").fetchone()[0]  # noqa: S608  (a name of STREAMS)
        return (0, 0) if found is None else unpack(found)

    def delivered(self) -> dict[tuple[str, int], Ranges]:
        """Return (stream, epoch number) -> acknowledged seqs."""
        result: dict[tuple[str, int], Ranges] = {}
        for stream, epoch, first, last in self._db.execute("SELECT * FROM delivered ORDER BY stream, epoch, first"):
            result.setdefault((stream, epoch), Ranges()).add(first, last)
        return result

    def remembered(self, prefix: str) -> dict[str, str]:
        """Return what is kept under keys that begin with `prefix`: key -> JSON text."""
        query = "SELECT key, value FROM state WHERE key >= ? AND key < ?"
        return dict(self._db.execute(query, (prefix, prefix + "\U0010ffff")))

    def last_of(self, stream: str, epoch: int) -> int:
        """Return the newest seq of one epoch, 0 if it has no row."""
        query = f"SELECT max(id) FROM {stream} WHERE id BETWEEN ? AND ?"  # noqa: S608  (a name of STREAMS)
        found = self._db.execute(query, (pack(epoch, 0), pack(epoch + 1, 0) - 1)).fetchone()[0]
        return 0 if found is None else unpack(found)[1]

    def count_after(self, stream: str, after: tuple[int, int]) -> int:
        """Count the rows of `stream` behind (epoch number, seq)."""
        query = f"SELECT count(*) FROM {stream} WHERE id > ?"  # noqa: S608  (a name of STREAMS)
        return int(self._db.execute(query, (pack(*after),)).fetchone()[0])

    def all_rows(self) -> Iterator[Row]:
        """Yield every row, stream by stream, in order, UNREADABLE ones too."""
        for stream in STREAMS:
            for found in self._db.execute(f"SELECT * FROM {stream} ORDER BY id"):  # noqa: S608
                yield row_of(stream, found)


def file_of(directory: Path) -> Path:
    """Return the journal's file below `directory`; raises JournalError if there is none."""
    path = directory / FILE
    if not path.exists():
        raise JournalError(f"{path} does not exist; has the agent run here yet?")
    return path
