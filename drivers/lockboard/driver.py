"""A lock board asked for all its doors at once, and told to open one.

The family's check is one XOR byte, which two flipped bits of the same weight pass. A door that changes state by noise
would invent a rider, so a bitmap that differs from the last confirmed one is believed only when it comes twice running.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from drivers.lockboard import codec_8a80 as codec
from drivers.lockboard.simulator import LockBoardSimulator
from edge_agent.driver import Command, DeviceError, Duration, Link, Options, Reading, Record, ReplyShape, Site, Wire

_MAX_ASKS = 4
"""Questions within one poll: enough for one garbled answer and one false bitmap before the two that agree."""
_MAX_GARBLED = 2


class LockBoardOptions(Options):
    """Keys of a lock board."""

    family: Literal["8a80"] = "8a80"
    """Frame family of the board."""
    address: Annotated[int, Field(ge=1, le=255)] = 1
    """Board number set by its switches."""
    locks: Annotated[int, Field(ge=1, le=codec.MAX_LOCKS)] = 12
    """Locks the board reports; a 16-lock board with 12 wired still reports 16."""
    set_bit: Literal["closed", "open"] = "closed"
    """What a set bit of the status answer means; it follows the feedback wiring of the locks."""
    opened_status: Literal["00", "11"] = "00"
    """Status byte (hex) with which this board confirms that it opened a lock."""
    timeout: Annotated[Duration, Field(gt=0, le=5)] = 0.3
    """Longest wait for an answer, seconds."""


class LockBoard:
    """One lock board at a serial link."""

    Options: ClassVar[type[LockBoardOptions]] = LockBoardOptions
    Simulator: ClassVar[type[LockBoardSimulator]] = LockBoardSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: LockBoardOptions, site: Site) -> None:
        del site
        self._options = options
        self._confirmed: tuple[bool, ...] | None = None

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask for all locks; yields `lock_01` … as "open" or "closed"."""
        bits = self._bits(link)
        set_means = self._options.set_bit
        clear_means = "open" if set_means == "closed" else "closed"
        for index, bit in enumerate(bits, start=1):
            yield Reading(f"lock_{index:02d}", set_means if bit else clear_means, prompt=True)

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Carry out `open` with `lock` (1 …) and yield the doors afterwards.

        The doors are asked first too: the link learns from that unmistakable answer whether this wire echoes, which
        the open command itself cannot teach (its "failed" answer equals the request byte for byte).
        """
        lock = self._lock(command)
        self._bits(link)
        options = self._options
        frame = link.ask(
            codec.open_request(options.address, lock),
            reply=ReplyShape(
                key=("8a80", options.address, "open", lock),
                find=lambda data: codec.find_open_reply(data, options.address, lock),
                size=5,
            ),
            within=options.timeout,
        )
        if frame[3] != int(options.opened_status, 16):
            raise DeviceError(
                f"the board did not open lock {lock}",
                op="open",
                raw=frame,
                hint="jammed lock or blocked door; on a wire with echo set echo on the link, see the driver's Traps",
            )
        yield from self.poll(link)

    def _lock(self, command: Command) -> int:
        lock = command.args.get("lock")
        if command.name != "open":
            raise DeviceError(f"a lock board cannot {command.name!r}; it can: open")
        if not isinstance(lock, int) or isinstance(lock, bool) or not 1 <= lock <= self._options.locks:
            raise DeviceError(f"lock {lock!r} is not one of 1 to {self._options.locks}", op="open")
        return lock

    def _bits(self, link: Link) -> tuple[bool, ...]:
        """Return a bitmap that equals the confirmed one or came twice in a row."""
        previous = self._confirmed
        garbled = 0
        for _ in range(_MAX_ASKS):
            try:
                bits = self._ask(link)
            except DeviceError:
                garbled += 1
                if garbled > _MAX_GARBLED:
                    raise
                continue
            if bits == previous:
                self._confirmed = bits
                return bits
            previous = bits
        raise DeviceError("the door states differ with every answer", op="query all", hint="noise on the wire")

    def _ask(self, link: Link) -> tuple[bool, ...]:
        options = self._options
        frame = link.ask(
            codec.query_all_request(options.address),
            reply=ReplyShape(
                key=("8a80", options.address, "all"),
                find=lambda data: codec.find_query_all_reply(data, options.address, options.locks),
                size=codec.groups(options.locks) + 4,
            ),
            within=options.timeout,
        )
        return codec.bits(frame, options.locks)
