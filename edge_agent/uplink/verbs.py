"""What the centre may ask of the journal: to send a range again, and to know that a range is stored for good."""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from edge_agent.commands import Command, CommandRefused, Gate
from edge_agent.journal.reader import Reader
from edge_agent.records import Json
from edge_agent.uplink.replays import Replay

COMMITTED = "committed/"
"""`committed/<stream>/<epoch name>` in the remembered texts: up to which seq the centre has stored it for good."""

Seq = Annotated[int, Field(ge=1, lt=1 << 40)]


class Range(Command):
    """Which stream and epoch is spoken of."""

    stream: Literal["alarm", "usage", "tele"]
    epoch: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Committed(Range):
    """`cmd/journal/committed`: everything up to `upto` is stored for good at the centre.

    It lets go nothing that was not acknowledged before, and of usage records none before seven days have passed.
    """

    upto: Seq


class Resend(Range):
    """`cmd/journal/resend`: `from` to `to`, both included, are to be sent again."""

    first: Annotated[Seq, Field(alias="from")]
    last: Annotated[Seq, Field(alias="to")]

    @model_validator(mode="after")
    def _ordered(self) -> "Resend":
        if self.last < self.first:
            raise ValueError("to lies before from")
        return self


class Book(Protocol):
    """The Recorder, as the verbs use it."""

    def remember(self, key: str, text: str | None) -> None:
        """Keep text across restarts."""

    def distrust(self, why: str) -> None:
        """Begin a new epoch."""


class JournalVerbs:
    """Registers both verbs; `book` and `replay` may be called from whatever thread asks."""

    def __init__(self, gate: Gate, reader: Callable[[], Reader], book: Book, replay: Callable[[Replay], bool]) -> None:
        self._reader = reader
        self._book = book
        self._replay = replay
        self._committed: dict[str, int] = {}
        gate.register("journal/committed", Committed, self.committed)
        gate.register("journal/resend", Resend, self.resend)

    def committed(self, asked: Committed) -> Mapping[str, Json]:
        """Remember it; it never goes back. Beyond what there is it shows that the journal is older than known."""
        key = f"{COMMITTED}{asked.stream}/{asked.epoch}"
        with contextlib.closing(self._reader()) as reader:
            epoch = _number(reader, asked.epoch)
            last = reader.last_of(asked.stream, epoch)
            if asked.upto > last:
                if epoch == max(reader.epochs()):
                    # The journal is a copy that was put back: its next numbers are taken at the centre.
                    self._book.distrust("older than the centre knows")
                raise CommandRefused(f"that epoch has {last} records here")
            before = max(self._committed.get(key, 0), json.loads(reader.remembered(key).get(key, "0")))
        upto = max(before, asked.upto)
        self._committed[key] = upto
        self._book.remember(key, json.dumps(upto))
        return {"upto": upto}

    def resend(self, asked: Resend) -> Mapping[str, Json]:
        """Send again what is held of the range; the answer says what that is."""
        with contextlib.closing(self._reader()) as reader:
            epoch = _number(reader, asked.epoch)
            rows = reader.rows(asked.stream, (epoch, asked.first - 1), 1)
            last = min(asked.last, reader.last_of(asked.stream, epoch))
        if not rows or rows[0].epoch != epoch or rows[0].seq > last:
            raise CommandRefused("nothing of that range is held here")
        if not self._replay(Replay(asked.stream, epoch, rows[0].seq, last)):
            raise CommandRefused("too many ranges wait already")
        return {"from": rows[0].seq, "to": last}


def _number(reader: Reader, name: str) -> int:
    for number, known in reader.epochs().items():
        if known == name:
            return number
    raise CommandRefused("no such epoch here")
