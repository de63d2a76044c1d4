"""What a person may decide about an alarm, through the command gate: acknowledge, clear, shelve, take up again."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import Field

from edge_agent.commands import Command, CommandRefused, Gate
from edge_agent.picture import Picture
from edge_agent.records import Decision, Json, Record

_WITHIN_S = 5.0


class OnAlarm(Command):
    """Which alarm is spoken of; the name of who decides is the command's `by`."""

    device: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}$")]
    """The device, link, cabinet or `station` that has it."""
    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Acknowledge(OnAlarm):
    """`cmd/station/acknowledge`: somebody sees to the alarm; that ends the siren, too, and a latch without a cause."""


class Clear(OnAlarm):
    """`cmd/station/clear`: a latched or flapping alarm whose cause is over is cleared."""


class Shelve(OnAlarm):
    """`cmd/station/shelve`: nobody is to be called about the alarm for so many minutes; it may not be up yet."""

    minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)]


class Unshelve(OnAlarm):
    """`cmd/station/unshelve`: the alarm is taken up again."""


@dataclass(frozen=True, slots=True)
class Known:
    """The codes that exist, and whatever may have an alarm."""

    codes: Collection[str]
    devices: Collection[str]


class Book(Protocol):
    """The Recorder, as decisions reach it."""

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Record something for good; False if that is not possible in time."""


class Decisions:
    """Registers the four verbs; `silence(device, code)` is told of whatever ends a siren, before the journal is."""

    def __init__(
        self,
        gate: Gate,
        book: Book,
        picture: Picture,
        known: Known,
        silence: Callable[[str, str], None] = lambda _device, _code: None,
    ) -> None:
        self._book = book
        self._picture = picture
        self._known = known
        self._silence = silence
        gate.register("station/acknowledge", Acknowledge, self.acknowledge)
        gate.register("station/clear", Clear, self.clear)
        gate.register("station/shelve", Shelve, self.shelve)
        gate.register("station/unshelve", Unshelve, self.unshelve)

    def acknowledge(self, asked: Acknowledge) -> Mapping[str, Json]:
        """Acknowledge an alarm that is up."""
        self._silence(asked.device, asked.code)
        alarm = self._picture.view.alarms.get((asked.device, asked.code))
        if alarm is None:
            raise CommandRefused("that alarm is not up")
        if alarm.state.by:
            raise CommandRefused(f"acknowledged already by {alarm.state.by}")
        self._decide(asked, Decision(asked.code, "acknowledge", asked.by))
        return {}

    def clear(self, asked: Clear) -> Mapping[str, Json]:
        """Clear an alarm whose cause is over."""
        alarm = self._picture.view.alarms.get((asked.device, asked.code))
        if alarm is None:
            raise CommandRefused("that alarm is not up")
        if alarm.state.stands:
            raise CommandRefused("its cause is not over: acknowledge or shelve it")
        self._silence(asked.device, asked.code)
        self._decide(asked, Decision(asked.code, "clear", asked.by))
        return {}

    def shelve(self, asked: Shelve) -> Mapping[str, Json]:
        """Put an alarm aside, up or not."""
        if asked.code not in self._known.codes:
            raise CommandRefused("no such alarm here")
        if asked.device not in self._known.devices:
            raise CommandRefused("no such device here")
        self._silence(asked.device, asked.code)
        self._decide(asked, Decision(asked.code, "shelve", asked.by, asked.minutes * 60.0))
        return {}

    def unshelve(self, asked: Unshelve) -> Mapping[str, Json]:
        """Take an alarm up again."""
        if (asked.device, asked.code) not in self._picture.view.shelved:
            raise CommandRefused("that alarm is not shelved")
        self._decide(asked, Decision(asked.code, "unshelve", asked.by))
        return {}

    def _decide(self, asked: OnAlarm, decision: Decision) -> None:
        if not self._book.submit_durably(asked.device, [decision], {}, _WITHIN_S):
            raise CommandRefused("the journal cannot take it down just now")
