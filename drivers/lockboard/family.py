"""What a lock board is asked and what its answers mean, one class for each frame family.

All speak of doors in the same words: a bit (or state byte) is set or clear, and the installer says which of the two is
"closed", because that follows the wiring of the feedback switches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from drivers.lockboard import codec_8a80 as old
from drivers.lockboard import codec_kerong as kerong
from drivers.lockboard import codec_wkly as wkly
from edge_agent.driver import DeviceError, ReplyShape

Door = Literal["open", "closed"] | None
"""State of a door; None = the board says that it does not know."""
Doors = tuple[Door, ...]


class BoardOptions(Protocol):
    """What a family and its simulator need of the driver's options."""

    @property
    def family(self) -> Literal["8a80", "wkly", "kerong_cu16", "kerong_cu48"]:
        """Frame family."""

    @property
    def address(self) -> int:
        """Board number."""

    @property
    def locks(self) -> int:
        """Number of locks."""

    @property
    def set_bit(self) -> Literal["closed", "open"]:
        """What a set bit means."""

    @property
    def feedback(self) -> Literal["hook", "infrared"]:
        """Which sensor of a CU16 tells the door."""

    @property
    def opened_status(self) -> str:
        """Status byte (hex) with which an 8A/80 board confirms that it opened."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent, and what answers it."""

    request: bytes
    reply: ReplyShape


class Family(Protocol):
    """One frame family, for one board."""

    confirms: bool
    """Whether an open command is answered; if not, the doors afterwards tell."""

    def query(self) -> Question:
        """Ask for all doors."""

    def doors(self, frame: bytes) -> Doors:
        """Read the answer to `query`; raises DeviceError if the board failed."""

    def open(self, lock: int) -> Question:
        """Tell one lock (1 …) to open."""

    def opened(self, frame: bytes) -> bool:
        """Return whether the answer to `open` says that it opened."""

    def reports(self, received: bytes) -> tuple[list[tuple[int, Door]], bytes]:
        """Return the doors (lock, state) told unasked in `received`, and the end of it that may become another."""


class _Base:
    """What the families share."""

    confirms = True

    def __init__(self, options: BoardOptions) -> None:
        self._options = options

    def reports(self, received: bytes) -> tuple[list[tuple[int, Door]], bytes]:
        """Nothing: most families never speak unasked."""
        del received
        return [], b""

    def _doors(self, bits: tuple[bool, ...]) -> Doors:
        return tuple(self._door(bit) for bit in bits)

    def _door(self, bit: object) -> Door:
        return "closed" if bool(bit) == (self._options.set_bit == "closed") else "open"


class Old(_Base):
    """8A/80."""

    def query(self) -> Question:
        """See Family."""
        board, locks = self._options.address, self._options.locks
        shape = ReplyShape(
            ("8a80", board, "all"), lambda data: old.find_query_all_reply(data, board, locks), old.groups(locks) + 4
        )
        return Question(old.query_all_request(board), shape)

    def doors(self, frame: bytes) -> Doors:
        """See Family."""
        return self._doors(old.bits(frame, self._options.locks))

    def open(self, lock: int) -> Question:
        """See Family."""
        board = self._options.address
        shape = ReplyShape(("8a80", board, "open", lock), lambda data: old.find_open_reply(data, board, lock), 5)
        return Question(old.open_request(board, lock), shape)

    def opened(self, frame: bytes) -> bool:
        """See Family."""
        return frame[3] == int(self._options.opened_status, 16)


class Wkly(_Base):
    """WKLY: reports a door that moved by itself."""

    def query(self) -> Question:
        """See Family."""
        return self._question(wkly.Frame(self._options.address, wkly.QUERY_ALL), size=10 + self._options.locks)

    def doors(self, frame: bytes) -> Doors:
        """See Family."""
        states = wkly.states_of(wkly.decode(frame))
        if len(states) != self._options.locks:
            raise DeviceError(
                f"the board has {len(states)} locks, {self._options.locks} are configured", op="query all", raw=frame
            )
        return tuple(self._state(state) for state in states)

    def open(self, lock: int) -> Question:
        """See Family. Reports may come before the answer: no number of bytes says that it is spent."""
        return self._question(wkly.Frame(self._options.address, wkly.OPEN, bytes((lock,))), size=0)

    def opened(self, frame: bytes) -> bool:
        """See Family."""
        data = wkly.decode(frame).data
        return data[0] == wkly.DONE and self._state(data[2]) == "open"

    def reports(self, received: bytes) -> tuple[list[tuple[int, Door]], bytes]:
        """See Family."""
        told = [
            report
            for frame, _ in wkly.find(received)
            if frame.board == self._options.address and (report := wkly.report_of(frame))
        ]
        found = [(lock, self._state(state)) for lock, state in told if 1 <= lock <= self._options.locks]
        return found, wkly.unfinished(received)

    def _state(self, state: int) -> Door:
        return self._door(state) if state in {0, 1} else None

    def _question(self, asked: wkly.Frame, size: int) -> Question:
        """An answer repeats board, command and (where one is asked of) lock, and is longer than its question."""

        def answers(frame: wkly.Frame) -> bool:
            if (frame.board, frame.command) != (asked.board, asked.command):
                return False
            if asked.command == wkly.OPEN:
                return len(frame.data) == 3 and frame.data[1:2] == asked.data
            return len(frame.data) > len(asked.data)

        def find(received: bytes) -> bytes | None:
            return next((data for frame, data in wkly.find(received) if answers(frame)), None)

        return Question(asked.encode(), ReplyShape(("wkly", asked.board, asked.command, asked.data), find, size))


class Kerong16(_Base):
    """CU16/KU16: status and unlock are answered alike, so one may never be taken for the other."""

    confirms = False

    def query(self) -> Question:
        """See Family."""
        return self._question(0, kerong.STATUS)

    def doors(self, frame: bytes) -> Doors:
        """See Family."""
        data = kerong.decode_16(frame).data
        wanted = data[:2] if self._options.feedback == "hook" else data[2:]
        return self._doors(kerong.bits(wanted, self._options.locks))

    def open(self, lock: int) -> Question:
        """See Family."""
        return self._question(lock - 1, kerong.UNLOCK)

    def opened(self, frame: bytes) -> bool:
        """See Family: the answer is the board's state, which may be older than the lock's movement."""
        del frame
        return True

    def _question(self, lock: int, command: int) -> Question:
        board = self._options.address

        def find(received: bytes) -> bytes | None:
            return next((data for frame, data in kerong.find_16(received) if frame.board == board), None)

        request = kerong.Frame16(board, lock, command).encode()
        return Question(request, ReplyShape(("kerong_cu16", board), find, 9))


class Kerong48(_Base):
    """CU48."""

    def query(self) -> Question:
        """See Family."""
        return self._question(0, kerong.STATUS_48, kerong.BYTES_48)

    def doors(self, frame: bytes) -> Doors:
        """See Family."""
        reply = kerong.decode_reply_48(frame)
        if reply.result != kerong.DONE_48:
            raise DeviceError("the board failed", op="status", raw=frame)
        return self._doors(kerong.bits(reply.data, self._options.locks))

    def open(self, lock: int) -> Question:
        """See Family."""
        return self._question(lock - 1, kerong.UNLOCK_48, 0)

    def opened(self, frame: bytes) -> bool:
        """See Family."""
        return kerong.decode_reply_48(frame).result == kerong.DONE_48

    def _question(self, lock: int, command: int, size: int) -> Question:
        board = self._options.address

        def find(received: bytes) -> bytes | None:
            found = kerong.find_48(received, size)
            return next((data for reply, data in found if (reply.board, reply.lock) == (board, lock)), None)

        request = kerong.Request48(board, lock, command).encode()
        return Question(request, ReplyShape(("kerong_cu48", board, lock, size), find, 6 + size))


def family_of(options: BoardOptions) -> Family:
    """Return the family of a board."""
    families: dict[str, Callable[[BoardOptions], Family]] = {
        "8a80": Old, "wkly": Wkly, "kerong_cu16": Kerong16, "kerong_cu48": Kerong48
    }  # fmt: skip
    return families[options.family](options)
