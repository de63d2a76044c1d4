"""Time without a battery clock: when the clock becomes good, what was stamped before it is dated, once.

The wall clock of an unsynced boot may be stepped any number of times; the monotonic clock of the boot is what dates its
records. Rows are never rewritten: the boot's offset is stored, times are computed where a row is rendered, and what was
already sent is covered by `clock_correction` records.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.journal.journal import Dated, Journal, counted
from edge_agent.journal.row import UNREADABLE, Row, row_of
from edge_agent.journal.schema import STREAMS
from edge_agent.ledger import Counts
from edge_agent.records import Json, Stamp

_STEP_MS = 1000
"""A wall clock that moves further against the monotonic one than this has been stepped, not slewed."""
_DRIFT = 100e-6
"""How far the crystal of a small computer may be off: 100 ppm."""
_LEAST_UNCERTAINTY_MS = 100


@dataclass(slots=True)
class Correction:
    """What goes into the transaction that dates a boot."""

    dated: Dated
    records: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    """(stream, body) of each `clock_correction`."""
    moments: list[tuple[Counts, int]] = field(default_factory=list)
    """(counts, Unix milliseconds) of what the boot has counted undated."""


@dataclass(slots=True)
class _Stretch:
    """Unsynced records in a row whose wall clock ran along with the monotonic one; `base` = wall - monotonic, ms."""

    epoch: int
    first: int
    last: int
    low: int
    high: int


def offset_of(journal: Journal, boot: int) -> int | None:
    """Return the Unix milliseconds at which the monotonic clock of `boot` showed 0, None if unknown."""
    found = journal.db.execute("SELECT offset_ms FROM boot WHERE no = ?", (boot,)).fetchone()
    return None if found is None else found[0]


def floor_of(journal: Journal) -> int:
    """Return a time (Unix milliseconds) that has certainly passed, as far as the newest records prove it; 0 = none."""
    floor = 0
    for stream in STREAMS:
        query = (
            "SELECT CASE good WHEN 1 THEN wall_ms ELSE mono_ms + offset_ms END "  # noqa: S608  (a name of STREAMS)
            f"FROM {stream} JOIN boot ON no = boot ORDER BY {stream}.id DESC LIMIT 1"
        )
        floor = max(floor, 0, *(found[0] or 0 for found in journal.db.execute(query)))
    return floor


def correct(journal: Journal, stamp: Stamp) -> Correction:
    """Plan what dates the boot of `stamp`, whose clock is good; nothing of that boot may be uncommitted."""
    offset = stamp.wall_ms - stamp.mono_ms
    uncertainty = _LEAST_UNCERTAINTY_MS + round(stamp.mono_ms * _DRIFT)
    correction = Correction(Dated(stamp.boot, offset, uncertainty))
    for stream in STREAMS:
        for stretch in _stretches(journal, stream, stamp.boot):
            body: dict[str, Json] = {
                "stream": stream,
                "boot": stamp.boot,
                "offset_ms": offset - (stretch.low + stretch.high) // 2,
                "uncertainty_ms": uncertainty + (stretch.high - stretch.low + 1) // 2,
                "from_seq": stretch.first,
                "to_seq": stretch.last,
            }
            if stretch.epoch != journal.epoch:
                body["of_epoch"] = journal.epochs()[stretch.epoch]
            correction.records.append((stream, body))
    for row in _unsynced(journal, "usage", stamp.boot):
        counts = counted(row)
        if counts:
            correction.moments.append((counts, row.mono_ms + offset))
    return correction


def _unsynced(journal: Journal, stream: str, boot: int) -> Iterator[Row]:
    """Yield the records of `boot` whose clock was not good, newest first: they are at the end of their stream."""
    query = f"SELECT * FROM {stream} ORDER BY id DESC"  # noqa: S608  (a name of STREAMS)
    for columns in journal.db.execute(query):
        row = row_of(stream, columns)
        if row.type == UNREADABLE:
            continue
        if row.boot != boot:
            return
        if not row.good:
            yield row


def _stretches(journal: Journal, stream: str, boot: int) -> list[_Stretch]:
    """Return the stretches of one stream, oldest first."""
    found: list[_Stretch] = []
    for row in _unsynced(journal, stream, boot):
        base = row.wall_ms - row.mono_ms
        last = found[-1] if found else None
        if last is None or last.epoch != row.epoch or max(last.high, base) - min(last.low, base) > _STEP_MS:
            found.append(_Stretch(row.epoch, row.seq, row.seq, base, base))
        else:
            last.first = row.seq
            last.low, last.high = min(last.low, base), max(last.high, base)
    return found[::-1]
