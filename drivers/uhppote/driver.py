"""Asks a door controller for its status and its events by index, and opens a door when told; sets nothing in it.

The controller pushes events to one address only, that of the site's own software: it is left alone. The index
alone tells what is new, so nothing is told twice however often and by whom events are read.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from drivers.uhppote import codec, events
from drivers.uhppote.catch_up import Cursor, Found, Gap, Reset, catch_up
from drivers.uhppote.events import Status, Stored
from drivers.uhppote.options import UhppoteOptions
from drivers.uhppote.simulator import UhppoteSimulator
from edge_agent.driver import (
    CardRef,
    Command,
    DeviceError,
    Event,
    Json,
    Link,
    Memory,
    Reading,
    Record,
    ReplyShape,
    Site,
    Verbs,
    Wire,
    arguments,
    takes,
)

_CURSOR = "cursor"
_LONGEST_AGO = timedelta(days=366)
_CLOCK_STEP_S = 2.0
"""The controller's clock counts whole seconds, and the answer takes its time."""


class Uhppote:
    """See the module."""

    Options: ClassVar[type[UhppoteOptions]] = UhppoteOptions
    Simulator: ClassVar[type[UhppoteSimulator]] = UhppoteSimulator
    wire: ClassVar[Wire] = Wire.UDP
    sensitive: ClassVar[bool] = True

    def __init__(self, options: UhppoteOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._cursor = Cursor.load(site.memory.get(_CURSOR), options.controller)

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask for the status, and for the events that are new; raises LinkError, DeviceError."""
        status = events.status_of(self._ask(link, codec.GET_STATUS))
        now = link.monotonic()
        before = self._cursor or Cursor.at(status, self._options.controller)
        cursor, found = catch_up(
            before, status.newest, lambda index: events.stored_of(self._ask(link, codec.GET_EVENT, index))
        )
        records = [record for one in found for record in self._tell(one, status, now)]
        yield from self._readings(status, cursor)
        yield from records
        if cursor != self._cursor:
            # Behind the last thing that can fail: what is not handed over must be fetched again.
            self._cursor = cursor
            yield Memory(_CURSOR, cursor.stored())

    def verbs(self) -> Verbs:
        """`open`, one door at a time, by its name."""
        return {"open": takes(door=Literal[self._options.doors])}

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Open a door for as long as the controller is set to; its event `remote_opened` comes with the next poll."""
        number = self._options.doors.index(arguments(self.verbs(), command)["door"]) + 1
        request = codec.encode(codec.OPEN_DOOR, self._options.controller, {"door": number})
        # For door 1 the answer "done" equals the request byte for byte: a datagram has no echo to be taken for it.
        answer = codec.decode(self._exchange(link, request, codec.OPEN_DOOR, lambda _frame: True))
        if not answer["ok"]:
            raise DeviceError(f"the controller did not open door {number}", op="open", hint="is the door in use there?")
        return ()

    def _ask(self, link: Link, function: int, index: int | None = None) -> bytes:
        controller = self._options.controller
        request = codec.question(function, controller, index)
        # A request that comes back is a frame too, of the same function and controller.
        return self._exchange(
            link,
            request,
            function,
            lambda frame: frame != request and codec.answers(frame, function, controller, index),
        )

    def _exchange(self, link: Link, request: bytes, function: int, fits: Callable[[bytes], bool]) -> bytes:
        controller = self._options.controller

        def find(received: bytes) -> bytes | None:
            for start in range(len(received) - codec.SIZE + 1):
                frame = received[start : start + codec.SIZE]
                if codec.answers(frame, function, controller, None) and fits(frame):
                    return frame
            return None

        shape = ReplyShape(key=(controller, function), find=find, size=codec.SIZE)
        try:
            return link.ask(request, reply=shape, within=self._options.timeout)
        except DeviceError as error:
            # The bytes may hold somebody's card.
            what = f"{len(error.raw)} bytes came that are no answer"
            raise DeviceError(what, op=f"function {function:02X}") from None

    def _readings(self, status: Status, cursor: Cursor) -> Iterator[Record]:
        for name, is_open in zip(self._options.doors, status.doors_open, strict=False):
            yield Reading(name, "open" if is_open else "closed", prompt=True)
        yield Reading("system_error", status.system_error)
        yield Reading("waiting_events", status.newest - cursor.index)
        ours = self._site.local_time()
        if ours is not None and status.time is not None:
            difference = round((status.time - ours).total_seconds())
            yield Reading("clock_difference_s", difference, change=_CLOCK_STEP_S)

    def _tell(self, found: Found, status: Status, now: float) -> Iterator[Record]:
        if isinstance(found, Reset):
            yield Event("event_log_reset", {"last_index": found.before, "index": found.now})
        elif isinstance(found, Gap):
            data: dict[str, Json] = {
                "from_index": found.first,
                "to_index": found.last,
                "count": found.last - found.first + 1,
            }
            yield Event(f"events_{found.kind}", data)
        else:
            yield self._event(found, _moment(found.at, status.time, now))

    def _event(self, stored: Stored, at: float | None) -> Event:
        data: dict[str, Json] = {"door": self._door(stored.door), "index": stored.index}
        if stored.at is not None:
            data["controller_ts"] = stored.at.isoformat()
        if stored.type != events.SWIPE:
            return Event(stored.kind, data | {"reason": stored.reason}, at=at)
        card = self._reference(stored.card)
        data |= {"reader": self._door(stored.door), "direction": "out" if stored.direction == events.OUT else "in"}
        if stored.denial:
            return Event("denied", data | {"reason": stored.denial}, card=card, at=at)
        left = stored.direction == events.OUT and self._options.visits == "in"
        return Event("exit_swipe" if left else "visit", data, card=card, at=at)

    def _door(self, number: int) -> str:
        doors = self._options.doors
        return doors[number - 1] if 1 <= number <= len(doors) else f"door_{number}"

    def _reference(self, card: int) -> CardRef | None:
        """Return the card's reference; the controller tells 0 where it could not read a number."""
        if self._site.card_key is None:
            raise DeviceError("the station has no card key", op="card", hint="set key_file in [cards]")
        if not card:
            return None
        card_format, bits = codec.card_bits(card, self._options.identity)
        return self._site.card_key.reference(card_format, bits)


def _moment(at: datetime | None, controller_now: datetime | None, now: float) -> float | None:
    """Return when it was on our monotonic clock (s), by how long ago it was there; None if absurd.

    Whether the controller's clock is right does not matter, as long as it was not set since.
    """
    if at is None or controller_now is None:
        return None
    ago = controller_now - at
    return now - ago.total_seconds() if timedelta() <= ago <= _LONGEST_AGO else None
