"""What people may put on record through the command gate, at the page or from the centre.

Visits of maintenance staff, refills, rounds, devices replaced, the station closed or opened, counts corrected.
Each becomes one usage record, durable before the answer is given. A correction is a record of its own beside the count
that it corrects: what was counted is never edited.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import Field

from edge_agent.commands import Command, CommandRefused, Gate
from edge_agent.records import Event, Json, Record

_WITHIN_S = 5.0
_STATION = "station"

Name = Annotated[str, Field(min_length=1, max_length=64)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}$")]
Notes = Annotated[str, Field(max_length=500)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Arrive(Command):
    """`cmd/station/arrive`: somebody has come to look after the station."""

    who: Name
    """Who has come, as the records shall name them."""


class Depart(Command):
    """`cmd/station/depart`: the same person leaves."""

    who: Name
    """Who leaves, named as at the arrival."""
    checklist: Annotated[dict[Name, bool], Field(max_length=24, default_factory=dict)]
    """What was to be looked at, and whether it was in order."""
    notes: Notes = ""
    """What else there is to say."""


class Refill(Command):
    """`cmd/station/refill`: a consumable was refilled."""

    consumable: Id
    """Its name in the station file."""
    level_pct: Percent = 100.0
    """How full it is now."""


class Look(Command):
    """`cmd/station/level`: somebody has looked how much of a consumable is left."""

    consumable: Id
    """Its name in the station file."""
    level_pct: Percent
    """How full it is."""


class Done(Command):
    """`cmd/station/done`: a round, like cleaning, was done."""

    round: Id
    """Its name in the station file."""
    notes: Notes = ""
    """What else there is to say."""


class Replace(Command):
    """`cmd/station/replace`: a device was replaced by another of its kind; its name and its totals stay."""

    device: Id
    """Its name in the station file."""
    old_serial: Name = "?"
    """Serial number of the one that was taken out."""
    new_serial: Name = "?"
    """Serial number of the one that was put in."""
    notes: Notes = ""
    """What else there is to say."""


class Close(Command):
    """`cmd/station/close`: the public is told that the station is closed."""

    notes: Notes = ""
    """Why."""


class Open(Command):
    """`cmd/station/open`: the station is open again."""


class Correct(Command):
    """`cmd/station/correct`: a count is wrong by so much; `NAME_corrected` says so beside it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    """Name of the count in the ledger."""
    amount: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    """How many are to be added, or taken off where negative."""
    why: Annotated[str, Field(min_length=1, max_length=500)]
    """The reason, for whoever checks the ledger."""


class Book(Protocol):
    """The Recorder, as the verbs use it."""

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Record something for good; False if that is not possible in time."""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to speak of; `counts` returns the names in the ledger."""

    devices: Collection[str]
    consumables: Collection[str]
    rounds: Collection[str]
    counts: Callable[[], Collection[str]]


class MaintenanceVerbs:
    """Registers the verbs `station/arrive` to `station/correct`; may be called from whatever thread asks.

    `dated` returns whether the station knows the time.
    """

    def __init__(self, gate: Gate, book: Book, known: Known, dated: Callable[[], bool]) -> None:
        self._book = book
        self._known = known
        self._dated = dated
        gate.register("station/arrive", Arrive, self.arrive)
        gate.register("station/depart", Depart, self.depart)
        gate.register("station/refill", Refill, self.refill)
        gate.register("station/level", Look, self.level)
        gate.register("station/done", Done, self.done)
        gate.register("station/replace", Replace, self.replace)
        gate.register("station/close", Close, lambda asked: self._record(asked, "closed", notes=asked.notes))
        gate.register("station/open", Open, lambda asked: self._record(asked, "opened"))
        gate.register("station/correct", Correct, self.correct)

    def arrive(self, asked: Arrive) -> Mapping[str, Json]:
        """Note an arrival."""
        return self._record(asked, "arrived", who=asked.who)

    def depart(self, asked: Depart) -> Mapping[str, Json]:
        """Note a departure, with the checklist."""
        checklist: dict[str, Json] = dict(asked.checklist)
        return self._record(asked, "departed", who=asked.who, checklist=checklist, notes=asked.notes)

    def refill(self, asked: Refill) -> Mapping[str, Json]:
        """Note a refill."""
        _exists(asked.consumable, self._known.consumables, "consumable")
        return self._record(asked, "refilled", consumable=asked.consumable, level_pct=asked.level_pct)

    def level(self, asked: Look) -> Mapping[str, Json]:
        """Note what somebody has seen."""
        _exists(asked.consumable, self._known.consumables, "consumable")
        return self._record(asked, "measured", consumable=asked.consumable, level_pct=asked.level_pct)

    def done(self, asked: Done) -> Mapping[str, Json]:
        """Note that a round was done."""
        _exists(asked.round, self._known.rounds, "round")
        return self._record(asked, "done", round=asked.round, notes=asked.notes)

    def replace(self, asked: Replace) -> Mapping[str, Json]:
        """Note that a device was replaced."""
        _exists(asked.device, self._known.devices, "device")
        serials: dict[str, Json] = {"old_serial": asked.old_serial, "new_serial": asked.new_serial}
        return self._record(asked, "replaced", device=asked.device, **serials, notes=asked.notes)

    def correct(self, asked: Correct) -> Mapping[str, Json]:
        """Put a correction beside a count."""
        _exists(asked.name, self._known.counts(), "count")
        if asked.amount == 0:
            raise CommandRefused("an amount of 0 corrects nothing")
        if not self._dated():
            raise CommandRefused("the station does not know the time yet: a correction belongs to a day")
        data: dict[str, Json] = {"by": asked.by, "name": asked.name, "amount": asked.amount, "why": asked.why}
        return self._put(Event("correction", data))

    def _record(self, asked: Command, what: str, **said: Json) -> Mapping[str, Json]:
        return self._put(
            Event("maintenance", {"what": what, "by": asked.by} | {k: v for k, v in said.items() if v not in ("", {})})
        )

    def _put(self, event: Event) -> Mapping[str, Json]:
        if not self._book.submit_durably(_STATION, [event], {}, _WITHIN_S):
            raise CommandRefused("the journal cannot take it down just now")
        return {}


def _exists(name: str, known: Collection[str], kind: str) -> None:
    if name not in known:
        raise CommandRefused(f"there is no {kind} {name!r} here; known: {', '.join(sorted(known)) or 'none'}")
