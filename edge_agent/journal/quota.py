"""Room for each stream: what has to go, in which order, and the record that says so.

Delivered rows go first, oldest first; telemetry is thinned before any of it is dropped; no stream pays for another. A
row that was delivered and has had its time for replay leaves nothing behind; whatever goes earlier leaves one gap
record for each range, in the same transaction. Age is counted in hours the station was running: no wall clock that
jumps ten years can make anything old. Each step looks at a few hundred rows, so no commit is held up for long.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.journal.journal import Batch, Journal
from edge_agent.journal.schema import STREAMS, pack, unpack
from edge_agent.journal.tally import SIZE, Tallies
from edge_agent.records import Json

COMMITTED = "committed/"
"""`committed/<stream>/<epoch name>` in the remembered texts: up to which seq the centre has stored it for good."""
THINNED = "thinned"
"""Rowid up to which telemetry has been thinned."""
SHARES = {"alarm": 0.1, "usage": 0.4, "tele": 0.5}
_FILL = 0.8
"""Part of the file that rows may take; the rest is for half-empty pages and everything that is not a row."""
_SLACK = 0.97
"""Once over, room is made down to this part of the quota, so that each gap record covers a good stretch."""
_STEP = 500
"""Rows looked at in one step."""
_COARSE_MS = 15 * 60_000
"""Thinned telemetry keeps one row of each device for so long."""
_FINE_MS = 60 * 60_000
"""Younger telemetry is not thinned."""
_LOOK_EVERY_MS = 10 * 60_000
"""How often it is looked for rows that are too old: the limits are days."""
_DAY_MS = 86_400_000
_AUDIT_MS = 30 * _DAY_MS
_KEPT_TYPES = ("gap", "clock_correction")
"""What explains other rows goes only when the centre has it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and milliseconds of running time."""

    max_bytes: int = 512_000_000
    replay_ms: int = 7 * _DAY_MS
    """Delivered rows stay so long, because an acknowledgement of the broker is not durable."""
    retention_ms: int = 400 * _DAY_MS
    """Nothing stays longer."""

    def quota(self, stream: str) -> int:
        """Bytes that the rows of a stream may take."""
        return int(self.max_bytes * _FILL * SHARES[stream])


class Old(NamedTuple):
    """A row that may have to go; `lived_ms` is when it was written, in the station's running time."""

    id: int
    device: str
    type: str
    boot: int
    mono_ms: int
    wall_ms: int
    good: int
    size: int
    lived_ms: int


@dataclass(slots=True)
class Removal:
    """Rows of one stream that go in one transaction, and the gap records that say so."""

    stream: str
    rows: list[Old] = field(default_factory=list)
    gaps: list[dict[str, Json]] = field(default_factory=list)
    thinned: int = 0


class Quota:
    """Plans what goes; used by the journal's thread only."""

    def __init__(self, journal: Journal, limits: Limits) -> None:
        self._journal = journal
        self.limits = limits
        state = journal.state()
        self.tallies = Tallies(journal, state)
        self._thinned = 0
        with suppress(ValueError):
            self._thinned = int(state.get(THINNED, "0"))
        self._making_room: set[str] = set()
        self._look_at: dict[str, int] = {}
        """Stream -> when it is looked for what has grown too old."""
        self._leaving: dict[str, tuple[int, int]] = {}

    def seal(self, batch: Batch, now_ms: int) -> None:
        """Take `batch` into account, which is complete."""
        self.tallies.seal(batch, self._leaving, now_ms)
        self._leaving = {}

    def accept(self) -> None:
        """What was sealed is durable."""
        self.tallies.accept()

    def step(self, batch: Batch, lived_ms: int) -> Removal | None:
        """Plan the next removal into `batch`, None if nothing has to go; `lived_ms` is the station's running time."""
        for stream in STREAMS:
            removal = self._plan(stream, lived_ms)
            if removal is not None:
                # There may be more of it.
                self._look_at.pop(stream, None)
                batch.removed.setdefault(stream, []).extend(row.id for row in removal.rows)
                self._leaving[stream] = (len(removal.rows), sum(row.size for row in removal.rows))
                if removal.thinned:
                    self._thinned = removal.thinned
                    batch.state[THINNED] = json.dumps(self._thinned)
                return removal
        return None

    def days(self) -> float | None:
        """Return how many days of records there is room for, at the rate of those stored; None if too few are."""
        spans = [(stream, self._span_ms(stream)) for stream in STREAMS]
        rates = [(stream, self.tallies[stream].bytes / span) for stream, span in spans if span >= _FINE_MS]
        days = [self.limits.quota(stream) / rate / _DAY_MS for stream, rate in rates if rate > 0]
        return min(days, default=None)

    def _span_ms(self, stream: str) -> int:
        """Return the running time from the oldest row to the newest."""
        ends = [
            f"(SELECT lived_ms + mono_ms FROM {stream} AS r JOIN boot ON no = boot ORDER BY r.id {order} LIMIT 1)"  # noqa: S608
            for order in ("DESC", "ASC")
        ]
        return int(self._journal.db.execute(f"SELECT coalesce({' - '.join(ends)}, 0)").fetchone()[0])

    # ---- what goes

    def _plan(self, stream: str, now: int) -> Removal | None:
        excess = self._excess(stream)
        if excess <= 0:
            if now < self._look_at.get(stream, 0):
                return None
            self._look_at[stream] = now + _LOOK_EVERY_MS
        oldest = self._delivered(stream, 1)
        if oldest and (excess > 0 or self._outlived(stream, oldest[0], now)):
            rows = self._delivered(stream, _STEP)
            gone = [row for row in rows if self._outlived(stream, row, now)]
            if gone:
                return Removal(stream, gone)
            if excess > 0:
                return self._with_gap(stream, _worth(rows, excess), "quota")
        if excess > 0:
            thinner = self._thin(now) if stream == "tele" else None
            return thinner or self._drop(stream, excess)
        if any(self._expired(row, now) for row in self._oldest(stream, 1)):
            return self._with_gap(stream, [row for row in self._oldest(stream) if self._expired(row, now)], "retention")
        return None

    def _expired(self, row: Old, now: int) -> bool:
        return now - row.lived_ms > self.limits.retention_ms

    def _excess(self, stream: str) -> int:
        """Return the bytes to be freed; with some slack once the quota has been reached."""
        quota = self.limits.quota(stream)
        used = self.tallies[stream].bytes
        if used > quota:
            self._making_room.add(stream)
        if used <= quota * _SLACK:
            self._making_room.discard(stream)
        return used - int(quota * _SLACK) if stream in self._making_room else 0

    def _outlived(self, stream: str, row: Old, now: int) -> bool:
        """Return whether a delivered row has had its time for replay."""
        age = now - row.lived_ms
        if age <= self.limits.replay_ms or (row.type == "audit" and age <= _AUDIT_MS):
            return False
        return stream != "usage" or self._committed(row.id)

    def _committed(self, rowid: int) -> bool:
        epoch, seq = unpack(rowid)
        query = "SELECT value FROM state WHERE key = ? || (SELECT name FROM epoch WHERE no = ?)"
        found = self._journal.db.execute(query, (f"{COMMITTED}usage/", epoch)).fetchone()
        return found is not None and seq <= json.loads(found[0])

    def _drop(self, stream: str, excess: int) -> Removal | None:
        rows = self._oldest(stream)
        return self._with_gap(stream, _worth(rows, excess), "quota") if rows else None

    def _thin(self, now: int) -> Removal | None:
        """Keep of each device the fullest row of a quarter of an hour; None if all that is old has been thinned."""
        rows = self._rows("tele", "r.id > ? AND r.id < (SELECT max(id) FROM tele)", (self._thinned,))
        rows = [row for row in rows if now - row.lived_ms > _FINE_MS]
        if not rows:
            return None
        # A quarter of an hour that the step cuts in two would keep two rows.
        whole = [row for row in rows if row.lived_ms // _COARSE_MS < rows[-1].lived_ms // _COARSE_MS]
        rows = whole if whole and len(rows) == _STEP else rows
        kept: dict[tuple[str, int], Old] = {}
        for row in rows:
            place = (row.device, row.lived_ms // _COARSE_MS)
            if row.type == "sample" and (place not in kept or row.size >= kept[place].size):
                kept[place] = row
        stay = {row.id for row in kept.values()}
        gone = [row for row in rows if row.type == "sample" and row.id not in stay]
        removal = self._with_gap("tele", gone, "thinned") if gone else Removal("tele")
        removal.thinned = rows[-1].id
        return removal

    def _with_gap(self, stream: str, rows: Sequence[Old], reason: str) -> Removal:
        """Return the removal of rows of one epoch, with the gap record that covers them."""
        epoch = unpack(rows[0].id)[0]
        rows = [row for row in rows if unpack(row.id)[0] == epoch]
        first, last = rows[0], rows[-1]
        body: dict[str, Json] = {
            "from_seq": unpack(first.id)[1],
            "to_seq": unpack(last.id)[1],
            "from": [first.boot, first.mono_ms, first.wall_ms, first.good],
            "to": [last.boot, last.mono_ms, last.wall_ms, last.good],
            "reason": reason,
            "count": len(rows),
        }
        if epoch != self._journal.epoch:
            body["of_epoch"] = self._journal.epochs()[epoch]
        return Removal(stream, list(rows), [body])

    # ---- looking

    def _delivered(self, stream: str, limit: int) -> list[Old]:
        """Return the oldest rows that the centre has, of one range of acknowledgements, never the newest of all."""
        find = (
            "SELECT d.epoch, d.last, r.id FROM delivered AS d "  # noqa: S608  (a name of STREAMS)
            f"CROSS JOIN {stream} AS r ON r.id BETWEEN (d.epoch << 40) + d.first AND (d.epoch << 40) + d.last "
            "WHERE d.stream = ? ORDER BY d.epoch, d.first, r.id LIMIT 1"
        )
        found = self._journal.db.execute(find, (stream,)).fetchone()
        if found is None:
            return []
        epoch, last, first = found
        where = f"r.id BETWEEN ? AND ? AND r.id < (SELECT max(id) FROM {stream})"  # noqa: S608
        return self._rows(stream, where, (first, pack(epoch, last)), limit)

    def _oldest(self, stream: str, limit: int = _STEP) -> list[Old]:
        """Return the oldest rows, whatever the centre has, but for the newest of all and what explains others."""
        where = f"r.id < (SELECT max(id) FROM {stream}) AND type NOT IN (?, ?)"  # noqa: S608
        return self._rows(stream, where, _KEPT_TYPES, limit)

    def _rows(self, stream: str, where: str, values: Sequence[object], limit: int = _STEP) -> list[Old]:
        query = (
            f"SELECT r.id, device, type, boot, mono_ms, wall_ms, good, {SIZE}, lived_ms + mono_ms "  # noqa: S608
            f"FROM {stream} AS r JOIN boot ON no = boot WHERE {where} ORDER BY r.id LIMIT ?"
        )
        return [Old(*found) for found in self._journal.db.execute(query, (*values, limit))]


def _worth(rows: Sequence[Old], excess: int) -> Sequence[Old]:
    """Return as many of the oldest rows as free `excess` bytes."""
    freed = 0
    for number, row in enumerate(rows, 1):
        freed += row.size
        if freed >= excess:
            return rows[:number]
    return rows
