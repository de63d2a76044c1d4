"""The checksum of a stored record: what was accepted comes back, anything else is told as unreadable."""

import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.journal.file import FILE
from edge_agent.journal.journal import Batch, Journal
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import UNREADABLE, Row, columns_of, row_of
from edge_agent.journal.schema import MIGRATIONS, pack

BOOT = "00000000-0000-4000-8000-000000000001"
ROW = Row("usage", 3, 17, "door", "visit", 2, 123_456, 1_780_000_000_000, good=True, body='{"reader":"门","n":12}')
TEXTS = (1, 2, 7)


def test_what_was_stored_comes_back() -> None:
    """Every field, under its own type."""
    assert row_of("usage", columns_of(ROW)) == ROW
    assert row_of("usage", columns_of(ROW)).good is True


@given(column=st.integers(0, 8), bit=st.integers(0, 31), place=st.integers(0, 1 << 16))
def test_any_flipped_bit_is_found(column: int, bit: int, place: int) -> None:
    """Whichever bit of whichever column: text that is no UTF-8 any more, numbers, the checksum itself."""
    columns = list(columns_of(ROW))
    value = columns[column]
    if isinstance(value, str):
        raw = bytearray(value.encode())
        raw[place % len(raw)] ^= 1 << bit % 8
        columns[column] = str(raw, "utf-8", "replace")
    else:
        assert isinstance(value, int)
        columns[column] = value ^ 1 << bit
    assert row_of("usage", columns).type == UNREADABLE


def test_other_types_are_found() -> None:
    """A flipped header makes a column NULL, a blob or another number."""
    for column in range(1, 8):
        for other in (None, b"visit", 1.5):
            columns = [*columns_of(ROW)]
            columns[column] = other
            assert row_of("usage", columns).type == UNREADABLE


def test_records_of_schema_1_are_taken_over(tmp_path: Path) -> None:
    """After the migration they are read as they are, new ones have a checksum, and the old file is kept as a backup."""
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        db.execute("INSERT INTO epoch VALUES (1, '00000000000000e1', 'first start')")
        db.execute("INSERT INTO usage VALUES (?, 'door', 'visit', 1, 5, 6, 1, '{\"n\":1}')", (pack(1, 1),))
        db.commit()
    journal = Journal(tmp_path, BOOT)
    new = Row("usage", 1, journal.reserve("usage"), "door", "visit", 1, 7, 8, good=True, body='{"n":2}')
    journal.commit(Batch(rows=[new]))
    reader = Reader(tmp_path)
    old = Row("usage", 1, 1, "door", "visit", 1, 5, 6, good=True, body='{"n":1}')
    assert reader.rows("usage", (0, 0), 9) == [old, new]
    reader.close()
    journal.close()
    assert (tmp_path / f"{FILE}.v1").exists()
