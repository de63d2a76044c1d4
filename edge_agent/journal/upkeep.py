"""What the journal does for itself between commits, a bounded step at a time, so that no event ever waits for it.

Carrying over what is left of a damaged file; making room; the reserve for a full disk; the small side file that
outlives the journal; and the figures about all of that.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_agent.errors import JournalError
from edge_agent.journal.flash import Flash
from edge_agent.journal.head import Head, save
from edge_agent.journal.journal import Batch, Journal, counted
from edge_agent.journal.missing import END_OF_EPOCH, Missing
from edge_agent.journal.open import Opened
from edge_agent.journal.quota import Limits, Quota
from edge_agent.journal.reserve import Reserve
from edge_agent.journal.row import Row
from edge_agent.journal.salvage import STATE, Salvage
from edge_agent.journal.schema import STREAMS
from edge_agent.picture import Storage
from edge_agent.records import Alarm, Json, Stamp

log = logging.getLogger(__name__)

_NOTE_EVERY_MS = 60_000
_CALM = 0.9
"""The alarm about the flash budget is cleared below this part of it."""
_VACUUM_PAGES = 64
"""Pages given back to the disk in one step."""
_VACUUM_FROM = 1024
"""Unused pages that are kept for what comes: 4 MB."""


@dataclass(slots=True)
class Work:
    """What one step wants written in the next transaction."""

    gaps: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    """(stream, body) of gap records."""
    regained: dict[str, int] = field(default_factory=dict)
    """Lifetime counts that a damaged ledger did not hold."""
    recount: list[Row] = field(default_factory=list)
    """Records whose hours must be counted again."""
    more: bool = False
    """There is more to do soon."""


class Upkeep:
    """Used by the journal's thread only."""

    def __init__(self, opened: Opened, limits: Limits | None = None, *, reserve: Reserve | None = None) -> None:
        self._journal: Journal = opened.journal
        self._salvage: Salvage | None = opened.salvage
        self._missing = opened.missing
        self._head: Head = opened.head
        self._quota = Quota(opened.journal, limits or Limits())
        self._reserve = reserve or Reserve(opened.journal, self._quota.limits.max_bytes)
        self._flash = Flash(opened.journal.path.parent, dict(opened.head.written))
        self._note_due = 0
        self._restored = 0

    @property
    def known_ms(self) -> int:
        """A time (Unix milliseconds) that a good clock has shown before."""
        return self._head.wall_ms

    @property
    def salvaging(self) -> bool:
        """True while records of a damaged file are still to be carried over."""
        return self._salvage is not None

    @property
    def tight(self) -> bool:
        """True while the room that is left is kept for alarms and usage."""
        return self._reserve.in_use

    def close(self) -> None:
        """Let go of the damaged file."""
        if self._salvage is not None:
            self._salvage.close()

    def step(self, batch: Batch, mono_ms: int) -> Work:
        """Add the next piece of work to `batch`, and return what else belongs into the same transaction."""
        if self._missing:
            missing, self._missing = self._missing, ()
            return Work([one.gap() for one in missing], more=True)
        self._reserve.restore()
        work = Work()
        if self._salvage is not None:
            self._carry_over(self._salvage, batch, work)
            return work
        removal = self._quota.step(batch, self._journal.lived_ms + mono_ms)
        if removal is not None:
            work.gaps += [(removal.stream, body) for body in removal.gaps]
            work.more = True
        else:
            work.more = self._reserve.lengthen() or self._shrink()
        return work

    def seal(self, batch: Batch, mono_ms: int) -> None:
        """Take a batch into account that is complete and about to be committed for the first time."""
        self._quota.seal(batch, mono_ms)
        self._restored += len(batch.restored)

    def accept(self) -> None:
        """The batch is durable."""
        self._quota.accept()

    def relieve(self, error: JournalError) -> bool:
        """Make room if a commit failed for the lack of it; return whether another try makes sense now."""
        return self._reserve.relieve(error)

    def begin_epoch(self, why: str) -> list[tuple[str, dict[str, Json]]]:
        """Begin a new epoch and return the gap records that end the old one; raises JournalError."""
        journal = self._journal
        name, last = journal.epoch_name, {stream: journal.last_seq(stream) for stream in STREAMS}
        journal.begin_epoch(why)
        log.warning("a new epoch begins: %s", why)
        return [Missing(stream, name, last[stream] + 1, END_OF_EPOCH).gap() for stream in STREAMS]

    def note_due(self, mono: float) -> bool:
        """Return True once a minute (`mono`: monotonic seconds)."""
        return round(mono * 1000) >= self._note_due

    def note(self, now: Stamp, lifetime: Mapping[str, int]) -> None:
        """Bring side file and figures up to date."""
        self._note_due = now.mono_ms + _NOTE_EVERY_MS
        self._flash.measure(self._journal.lived_ms + now.mono_ms)
        self._head = Head(
            number=self._head.number + 1,
            epochs=self._journal.epochs(),
            seqs={stream: self._journal.last_seq(stream) for stream in STREAMS},
            lifetime=dict(lifetime),
            wall_ms=now.wall_ms if now.good else self._head.wall_ms,
            written=dict(self._flash.hours),
        )
        save(self._journal.path.parent, self._head)

    def figures(self, storage: Storage) -> Storage:
        """Return `storage` with what is known here."""
        limits = self._quota.limits
        return replace(
            storage,
            used=self._quota.tallies.used(),
            quota={stream: limits.quota(stream) for stream in STREAMS},
            days=self._quota.days(),
            written_day=self._flash.day(),
            device_day=self._flash.device_day(),
            tight=self.tight,
            restored=self._restored,
            salvaging=self.salvaging,
        )

    def flash_alarm(self, budget: int) -> Alarm | None:
        """Return the alarm about what was written in a day against `budget` bytes; None in between."""
        written = self._flash.day()
        if budget * _CALM <= written <= budget:
            return None
        return Alarm("flash_budget", written > budget, {"written_bytes": written, "budget_bytes": budget})

    def pressure_alarm(self, days: float) -> Alarm | None:
        """Return the alarm about room for fewer than `days` of records; None in between, or while that is not known."""
        room = self._quota.days()
        if self.tight:
            return Alarm("journal_pressure", active=True, detail={"why": "the disk is full"})
        if room is None or days <= room <= days / _CALM:
            return None
        return Alarm("journal_pressure", room < days, {"room_days": round(room, 1)})

    def _carry_over(self, salvage: Salvage, batch: Batch, work: Work) -> None:
        rebuild = salvage.rebuild
        carried = salvage.step()
        batch.restored += carried.rows
        work.gaps += [missing.gap() for missing in carried.missing]
        work.regained = carried.regained
        if rebuild:
            work.recount = [row for row in carried.rows if counted(row)]
        batch.state[STATE] = salvage.stored()
        if batch.state[STATE] is None:
            self._salvage = None
        work.more = self._salvage is not None

    def _shrink(self) -> bool:
        """Give unused pages back to the disk, a few at a time; return whether there are more."""
        free = self._journal.db.execute("PRAGMA freelist_count").fetchone()[0]
        pages = self._journal.db.execute("PRAGMA page_count").fetchone()[0]
        if free <= max(_VACUUM_FROM, pages // 10):
            return False
        self._journal.db.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        return True
