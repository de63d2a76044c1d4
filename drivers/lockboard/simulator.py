"""A lock board seen from its other side: doors that can be opened and shut."""

from collections.abc import Iterable
from typing import Protocol

from drivers.lockboard import codec_8a80 as codec
from edge_agent.driver import Chunk, Site


class BoardOptions(Protocol):
    """What the simulator needs of the driver's options."""

    @property
    def address(self) -> int:
        """Board number."""

    @property
    def locks(self) -> int:
        """Number of locks."""

    @property
    def set_bit(self) -> str:
        """What a set bit means: closed or open."""

    @property
    def opened_status(self) -> str:
        """Status byte that confirms opening, hex."""


class LockBoardSimulator:
    """All doors are closed at first; a jammed lock answers that it failed."""

    def __init__(self, options: BoardOptions, site: Site) -> None:
        del site
        self._options = options
        self._open = [False] * options.locks
        self._jammed: set[int] = set()

    def open_door(self, lock: int) -> None:
        """Open a door, counted from 1."""
        self._open[lock - 1] = True

    def close_door(self, lock: int) -> None:
        """Shut a door."""
        self._open[lock - 1] = False

    def is_open(self, lock: int) -> bool:
        """Return whether a door stands open."""
        return self._open[lock - 1]

    def jam(self, lock: int) -> None:
        """Let a lock refuse to open."""
        self._jammed.add(lock)

    def answer(self, request: bytes) -> bytes:
        """Answer a question or command for this board."""
        options = self._options
        if request == codec.query_all_request(options.address):
            bit_of_open = options.set_bit == "open"
            return codec.bitmap_reply(options.address, tuple(state == bit_of_open for state in self._open))
        for lock in range(1, options.locks + 1):
            if request == codec.open_request(options.address, lock):
                return self._answer_open(lock)
        return b""

    def play(self) -> Iterable[Chunk]:
        """Nothing: the family never speaks unasked."""
        return ()

    def _answer_open(self, lock: int) -> bytes:
        opened = int(self._options.opened_status, 16)
        status = opened ^ 0x11 if lock in self._jammed else opened
        if lock not in self._jammed:
            self.open_door(lock)
        return codec.seal(bytes((codec.OPEN, self._options.address, lock, status)))
