"""A lock board asked for all its doors at once, and told to open one; some boards report a moved door by themselves.

The families' checks are one byte (XOR or sum), which two flipped bits of the same weight can pass. A door that changes
state by noise would invent a rider, so an answer that differs from the last confirmed one is believed only when it
comes twice running. A report cannot be asked for again; see the README for what that leaves.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.lockboard.family import Door, Doors, Question, family_of
from drivers.lockboard.simulator import LockBoardSimulator
from edge_agent.driver import (
    Chunk,
    Command,
    DeviceError,
    Duration,
    LineRequest,
    Link,
    LinkTimeout,
    Options,
    Quality,
    Reading,
    Record,
    Site,
    Verbs,
    Wire,
    arguments,
    takes,
)

_MAX_ASKS = 4
"""Questions within one poll: enough for one garbled answer and one false picture before the two that agree."""
_MAX_GARBLED = 2
_ADDRESSES = {"8a80": (1, 255), "wkly": (0, 255), "kerong_cu16": (0, 9), "kerong_cu48": (0, 255)}
_LOCKS = {"8a80": 48, "wkly": 48, "kerong_cu16": 16, "kerong_cu48": 48}


class LockBoardOptions(Options):
    """Keys of a lock board."""

    family: Literal["8a80", "wkly", "kerong_cu16", "kerong_cu48"] = "8a80"
    """Frame family of the board."""
    address: Annotated[int, Field(ge=0, le=255)] = 1
    """Board number set by its switches: from 1 with `8a80`, 0 to 9 with `kerong_cu16`, else from 0."""
    locks: Annotated[int, Field(ge=1, le=48)] = 12
    """Locks the board reports; a 16-lock board with 12 wired still reports 16."""
    set_bit: Literal["closed", "open"] = "closed"
    """What a set bit (or state 01) of the status answer means; it follows the feedback wiring of the locks."""
    feedback: Literal["hook", "infrared"] = "hook"
    """Which sensor tells the door; only a `kerong_cu16` has infrared ones."""
    opened_status: Literal["00", "11"] = "00"
    """Status byte (hex) with which an `8a80` board confirms that it opened a lock."""
    timeout: Annotated[Duration, Field(gt=0, le=5)] = 0.3
    """Longest wait for an answer, seconds."""

    @model_validator(mode="after")
    def _fits_family(self) -> Self:
        first, last = _ADDRESSES[self.family]
        if not first <= self.address <= last:
            raise ValueError(f"a {self.family!r} board has an address of {first} to {last}")
        if self.locks > _LOCKS[self.family]:
            raise ValueError(f"a {self.family!r} board has at most {_LOCKS[self.family]} locks")
        if self.feedback == "infrared" and self.family != "kerong_cu16":
            raise ValueError("only a 'kerong_cu16' board has infrared sensors")
        if "opened_status" in self.model_fields_set and self.family != "8a80":
            raise ValueError("only 'opened_status' of an '8a80' board varies; leave it out")
        return self


class LockBoard:
    """One lock board at a serial link."""

    Options: ClassVar[type[LockBoardOptions]] = LockBoardOptions
    Simulator: ClassVar[type[LockBoardSimulator]] = LockBoardSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    settle = 0.0
    """A report is complete when its last byte is there; silence ends nothing."""

    def __init__(self, options: LockBoardOptions, site: Site) -> None:
        del site
        self._options = options
        self._family = family_of(options)
        self._confirmed: Doors | None = None
        self._heard = b""

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask for all locks; yields `lock_01` … as "open" or "closed"."""
        for lock, door in enumerate(self._doors(link), start=1):
            yield _reading(lock, door)

    def verbs(self) -> Verbs:
        """`open`, one lock at a time."""
        return {"open": takes(lock=Annotated[int, Field(ge=1, le=self._options.locks)])}

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Carry out `open`; the poll that follows tells whether the door did.

        The doors are asked first too: the link learns from that unmistakable answer whether this wire echoes, which
        an 8A/80 open command itself cannot teach (its "failed" answer equals the request byte for byte).
        """
        lock: int = arguments(self.verbs(), command)["lock"]
        self._doors(link)
        try:
            frame = self._ask(link, self._family.open(lock))
        except LinkTimeout:
            if self._family.confirms:
                raise
        else:
            if not self._family.opened(frame):
                raise DeviceError(
                    f"the board did not open lock {lock}",
                    op="open",
                    raw=frame,
                    hint="jammed lock or blocked door; on a wire with echo set echo on the link, see Traps",
                )
        return ()

    def lines(self) -> tuple[LineRequest, ...]:
        """No GPIO."""
        return ()

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Tell the doors that the board reports by itself; whatever else is on the wire is passed over."""
        found, self._heard = self._family.reports(self._heard + chunk.data)
        for lock, door in found:
            if self._confirmed is not None:
                self._confirmed = (*self._confirmed[: lock - 1], door, *self._confirmed[lock:])
            yield _reading(lock, door)

    def quiet(self, now: float) -> Iterable[Record]:
        """Nothing."""
        del now
        return ()

    def _doors(self, link: Link) -> Doors:
        """Return a picture that equals the confirmed one or came twice in a row."""
        previous = self._confirmed
        garbled = 0
        for _ in range(_MAX_ASKS):
            try:
                frame = self._ask(link, self._family.query())
            except DeviceError:
                garbled += 1
                if garbled > _MAX_GARBLED:
                    raise
                continue
            doors = self._family.doors(frame)
            if doors == previous:
                self._confirmed = doors
                return doors
            previous = doors
        raise DeviceError("the door states differ with every answer", op="query all", hint="noise on the wire")

    def _ask(self, link: Link, question: Question) -> bytes:
        return link.ask(question.request, reply=question.reply, within=self._options.timeout)


def _reading(lock: int, door: Door) -> Reading:
    point = f"lock_{lock:02d}"
    if door is None:
        return Reading(point, None, prompt=True, quality=Quality.BAD, why="the board cannot tell this door")
    return Reading(point, door, prompt=True)
