"""One record as it is stored, with the checksum that tells a flipped bit from what was accepted.

SQLite has no checksums of its own pages: a bit that flips inside a text leaves a file in which SQLite finds nothing
wrong. What was proved good once must not become another number on its way to the centre.
"""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from edge_agent.journal.schema import pack, unpack

UNREADABLE = "unreadable"
"""Type of a row whose checksum is wrong: of what it says nothing can be trusted, its place included."""


class Row(NamedTuple):
    """One record; immutable for ever. `epoch` and `boot` are this file's numbers for them."""

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


def columns_of(row: Row) -> tuple[object, ...]:
    """Return what is stored of `row`, in the order of the table's columns."""
    content = (pack(row.epoch, row.seq), *row[3:8], int(row.good), row.body)
    return (*content, _checksum(content))


def row_of(stream: str, columns: Sequence[Any]) -> Row:
    """Return the record that is stored in `columns`, as UNREADABLE if it is not the one that was accepted.

    Records from before there were checksums (schema 1) have none to be judged by.
    """
    content = columns[:8]
    epoch, seq = unpack(content[0])
    if len(columns) > len(content) and columns[8] not in {None, _checksum(content)}:
        return Row(stream, epoch, seq, "", UNREADABLE, 0, 0, 0, good=False, body="{}")
    device, kind, boot, mono_ms, wall_ms, good, body = content[1:]
    return Row(stream, epoch, seq, device, kind, boot, mono_ms, wall_ms, bool(good), body)


def _checksum(content: Sequence[Any]) -> int:
    rowid, device, kind, boot, mono_ms, wall_ms, good, body = content
    text = f"{rowid}\n{device}\n{kind}\n{boot}\n{mono_ms}\n{wall_ms}\n{good}\n{body}"
    return zlib.crc32(text.encode())
