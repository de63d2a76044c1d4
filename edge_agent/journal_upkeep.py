"""What the journal does for itself between commits, a bounded step at a time, so that no event ever waits for it.

Carrying over what is left of a damaged file, and the small side file that outlives the journal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.journal import Batch, Journal, Row, counted
from edge_agent.journal_head import Head, save
from edge_agent.journal_open import Opened
from edge_agent.journal_salvage import STATE, Missing, Salvage
from edge_agent.journal_schema import STREAMS
from edge_agent.records import Json

_HEAD_EVERY_S = 60.0


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

    def __init__(self, opened: Opened) -> None:
        self._journal: Journal = opened.journal
        self._salvage: Salvage | None = opened.salvage
        self._missing = opened.missing
        self._head: Head = opened.head
        self._head_due = 0.0

    @property
    def known_ms(self) -> int:
        """A time (Unix milliseconds) that a good clock has shown before."""
        return self._head.wall_ms

    @property
    def salvaging(self) -> bool:
        """True while records of a damaged file are still to be carried over."""
        return self._salvage is not None

    def close(self) -> None:
        """Let go of the damaged file."""
        if self._salvage is not None:
            self._salvage.close()

    def step(self, batch: Batch) -> Work:
        """Add the next piece of work to `batch`, and return what else belongs into the same transaction."""
        work = Work(gaps=[gap_of(missing) for missing in self._missing])
        self._missing = ()
        if self._salvage is not None:
            self._carry_over(self._salvage, batch, work)
        return work

    def _carry_over(self, salvage: Salvage, batch: Batch, work: Work) -> None:
        rebuild = salvage.rebuild
        carried = salvage.step()
        batch.restored += carried.rows
        work.gaps += [gap_of(missing) for missing in carried.missing]
        work.regained = carried.regained
        if rebuild:
            work.recount = [row for row in carried.rows if counted(row) is not None]
        batch.state[STATE] = salvage.stored()
        if batch.state[STATE] is None:
            self._salvage = None
        work.more = self._salvage is not None

    def note(self, now: float, lifetime: Mapping[str, int], wall_ms: int | None) -> None:
        """Bring the side file up to date, at most once a minute; `wall_ms` is the time if it is known."""
        if now < self._head_due:
            return
        self._head_due = now + _HEAD_EVERY_S
        self._head = Head(
            number=self._head.number + 1,
            epochs=self._journal.epochs(),
            seqs={stream: self._journal.last_seq(stream) for stream in STREAMS},
            lifetime=dict(lifetime),
            wall_ms=wall_ms or self._head.wall_ms,
        )
        save(self._journal.path.parent, self._head)


def gap_of(missing: Missing) -> tuple[str, dict[str, Json]]:
    """Return the gap record, as (stream, body), that declares what is missing."""
    body: dict[str, Json] = {
        "of_epoch": missing.epoch_name,
        "from_seq": missing.first,
        "to_seq": missing.last,
        "reason": "damage",
    }
    return missing.stream, body
