"""One thing that somebody does to a station: what it does, how it is undone, and by which record it is accepted."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.journal.row import Row
from edge_agent.rehearse.truth import Note

_PATIENCE_S = 300.0
"""What has brought no record for so long never will."""


@dataclass(frozen=True, slots=True)
class Sign:
    """The record by which the station shows that it took a stimulus; every entry of `body` must be in it."""

    stream: str
    device: str
    kind: str
    body: tuple[tuple[str, object], ...] = ()

    def is_in(self, row: Row) -> bool:
        """Return whether `row` is that record."""
        if (row.stream, row.device, row.type) != (self.stream, self.device, self.kind):
            return False
        body = json.loads(row.body)
        return all(body.get(key) == value for key, value in self.body)


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Stimulus:
    """`do` moves simulators, and returns False if they were there already; `undo` moves them back."""

    do: Callable[[], bool | None]
    undo: Callable[[], None] = _nothing
    sign: Sign | None = None
    counts: tuple[str, ...] = ()
    """Names of the ledger to which it adds one."""
    raises: str = ""
    """DEVICE/CODE of the alarm that it raises."""
    clears: str = ""
    """DEVICE/CODE of the alarm that it clears."""
    lasting: bool = True
    """It changes something that stays (a battery in a slot), so that it can be found out later; a swipe does not."""
    optional: bool = False
    """Nobody makes up for it if it was missed."""
    needs: str = ""
    """The device by which alone it can be noticed."""
    who: str = ""
    """Name of the card."""
    remembered: bool = False
    """The device keeps it until it is asked: nothing is missed."""
    completes: "Stimulus | None" = None
    """The first half of the swap of which this is the second."""
    noted: list[Note] = field(default_factory=list)
    done_at: float = 0.0
    """True time at which it was done."""


class Pending:
    """What has been done and not been accepted yet, the oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Stimulus] = []

    def add(self, stimulus: Stimulus) -> None:
        """It has been done."""
        if stimulus.sign is not None:
            self._waiting.append(stimulus)

    def accept(self, row: Row) -> None:
        """Take out what a record that is new in the journal shows to be accepted."""
        for stimulus in self._waiting:
            if stimulus.sign is not None and stimulus.sign.is_in(row):
                self._waiting.remove(stimulus)
                return

    def take(self, now: float) -> list[Stimulus]:
        """Take out everything, and return what may still be taken, the oldest first."""
        waiting, self._waiting = self._waiting, []
        return [stimulus for stimulus in waiting if now - stimulus.done_at < _PATIENCE_S]
