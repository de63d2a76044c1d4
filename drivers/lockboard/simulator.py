"""A lock board seen from its other side: doors that can be opened and shut."""

from collections.abc import Iterable

from drivers.lockboard import codec_8a80 as old
from drivers.lockboard import codec_kerong as kerong
from drivers.lockboard import codec_wkly as wkly
from drivers.lockboard.family import BoardOptions
from edge_agent.driver import Chunk, DeviceError, Site


class LockBoardSimulator:
    """All doors are closed at first; a jammed lock stays shut. A WKLY board reports each door that moves."""

    def __init__(self, options: BoardOptions, site: Site) -> None:
        del site
        self._options = options
        self._open = [False] * options.locks
        self._jammed: set[int] = set()
        self._reports: list[bytes] = []

    def open_door(self, lock: int) -> None:
        """Open a door, counted from 1."""
        self._move(lock, open_=True)

    def close_door(self, lock: int) -> None:
        """Shut a door."""
        self._move(lock, open_=False)

    def is_open(self, lock: int) -> bool:
        """Return whether a door stands open."""
        return self._open[lock - 1]

    def jam(self, lock: int) -> None:
        """Let a lock refuse to open."""
        self._jammed.add(lock)

    def answer(self, request: bytes) -> bytes:
        """Answer a question or command for this board."""
        try:
            match self._options.family:
                case "8a80":
                    return self._answer_8a80(request)
                case "wkly":
                    return self._answer_wkly(wkly.decode(request))
                case "kerong_cu16":
                    return self._answer_cu16(kerong.decode_16(request))
                case "kerong_cu48":
                    return self._answer_cu48(kerong.decode_request_48(request))
        except DeviceError:
            return b""

    def play(self) -> Iterable[Chunk]:
        """Report the doors that moved since the last call, if the board's family does that."""
        reports, self._reports = self._reports, []
        return [Chunk(0.0, report) for report in reports]

    def _move(self, lock: int, *, open_: bool) -> None:
        moved = self._open[lock - 1] != open_
        self._open[lock - 1] = open_
        if moved and self._options.family == "wkly":
            report = wkly.Frame(self._options.address, wkly.REPORT, bytes((lock, self._bit(lock))))
            self._reports.append(report.encode())

    def _bit(self, lock: int) -> bool:
        return self.is_open(lock) == (self._options.set_bit == "open")

    def _bits(self) -> tuple[bool, ...]:
        return tuple(self._bit(lock) for lock in range(1, self._options.locks + 1))

    def _try(self, lock: int) -> bool:
        """Open a lock unless it is jammed or not there; return whether it opened."""
        if lock in self._jammed or not 1 <= lock <= self._options.locks:
            return False
        self.open_door(lock)
        return True

    def _answer_8a80(self, request: bytes) -> bytes:
        board = self._options.address
        if request == old.query_all_request(board):
            return old.bitmap_reply(board, self._bits())
        for lock in range(1, self._options.locks + 1):
            if request == old.open_request(board, lock):
                opened = int(self._options.opened_status, 16)
                return old.seal(bytes((old.OPEN, board, lock, opened if self._try(lock) else opened ^ 0x11)))
        return b""

    def _answer_wkly(self, asked: wkly.Frame) -> bytes:
        if asked.board != self._options.address:
            return b""
        if asked.command == wkly.QUERY_ALL and not asked.data:
            states = bytes(self._bits())
            return wkly.Frame(asked.board, asked.command, bytes((wkly.DONE, len(states))) + states).encode()
        if asked.command == wkly.OPEN and len(asked.data) == 1:
            done = wkly.DONE if self._try(asked.data[0]) else 0xFF
            state = self._bit(asked.data[0]) if done == wkly.DONE else wkly.UNKNOWN
            return wkly.Frame(asked.board, asked.command, bytes((done, asked.data[0], state))).encode()
        return b""

    def _answer_cu16(self, asked: kerong.Frame16) -> bytes:
        if asked.board != self._options.address or asked.command not in {kerong.STATUS, kerong.UNLOCK}:
            return b""
        if asked.command == kerong.UNLOCK:
            self._try(asked.lock + 1)
        hooks = kerong.packed(self._bits(), 2)
        data = hooks + bytes(2) if self._options.feedback == "hook" else bytes(2) + hooks
        return kerong.Frame16(asked.board, 0, kerong.STATE, data).encode()

    def _answer_cu48(self, asked: kerong.Request48) -> bytes:
        if asked.board != self._options.address:
            return b""
        if asked.command == kerong.STATUS_48:
            data = kerong.packed(self._bits(), kerong.BYTES_48)
            return kerong.Reply48(asked.board, 0, kerong.DONE_48, data).encode()
        if asked.command == kerong.UNLOCK_48:
            result = kerong.DONE_48 if self._try(asked.lock + 1) else kerong.FAILED_48
            return kerong.Reply48(asked.board, asked.lock, result).encode()
        return b""
