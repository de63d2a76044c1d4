"""Finding lock boards: each board is asked for all its doors, whatever their number.

The answer tells how many locks the board has, not which way its feedback is wired.
"""

from collections.abc import Callable, Sequence

from drivers.lockboard import codec_8a80 as old
from drivers.lockboard import codec_kerong as kerong
from drivers.lockboard import codec_wkly as wkly
from edge_agent.driver import DeviceError, Json, ReplyShape, Scan


def _old(board: int) -> tuple[bytes, ReplyShape]:
    def find(data: bytes) -> bytes | None:
        found = (old.find_query_all_reply(data, board, locks) for locks in range(8, old.MAX_LOCKS + 1, 8))
        # The answer of eight locks whose bits are all clear is the question's echo, byte for byte: nobody is better
        # than a board at every address.
        return next((frame for frame in found if frame not in {None, question}), None)

    question = old.query_all_request(board)
    return question, ReplyShape(("8a80", board), find)


def _wkly(board: int) -> tuple[bytes, ReplyShape]:
    def find(data: bytes) -> bytes | None:
        return next((frame for _, frame in wkly.find(data) if _states(frame, board)), None)

    return wkly.Frame(board, wkly.QUERY_ALL).encode(), ReplyShape(("wkly", board), find)


def _kerong_16(board: int) -> tuple[bytes, ReplyShape]:
    def find(data: bytes) -> bytes | None:
        return next((found for frame, found in kerong.find_16(data) if frame.board == board), None)

    return kerong.Frame16(board, 0, kerong.STATUS).encode(), ReplyShape(("kerong_cu16", board), find)


def _kerong_48(board: int) -> tuple[bytes, ReplyShape]:
    def find(data: bytes) -> bytes | None:
        found = kerong.find_48(data, kerong.BYTES_48)
        return next((frame for reply, frame in found if reply.board == board), None)

    return kerong.Request48(board, 0, kerong.STATUS_48).encode(), ReplyShape(("kerong_cu48", board), find)


def _states(frame: bytes, board: int) -> bytes:
    """Return the states in an answer of this board, b"" if it is none."""
    try:
        answer = wkly.decode(frame)
        return wkly.states_of(answer) if (answer.board, answer.command) == (board, wkly.QUERY_ALL) else b""
    except DeviceError:
        return b""


def _scan(
    family: str,
    boards: range,
    question: Callable[[int], tuple[bytes, ReplyShape]],
    locks: Callable[[int, bytes], int],
) -> Scan:
    def candidates(board: int, answer: bytes) -> Sequence[dict[str, Json]]:
        return [{"family": family, "address": board, "locks": locks(board, answer)}]

    note = 'open one door by hand: if its lock stays or turns "closed", set set_bit the other way round'
    return Scan(boards, candidates, question, lines=((9600, "N"), (19200, "N")), note=note)


SCANS = {
    "lockboard_8a80": _scan("8a80", range(1, 256), _old, lambda _, answer: 8 * (len(answer) - 4)),
    "lockboard_wkly": _scan("wkly", range(256), _wkly, lambda board, answer: len(_states(answer, board))),
    "lockboard_kerong_cu16": _scan("kerong_cu16", range(10), _kerong_16, lambda _, __: kerong.LOCKS_16),
    "lockboard_kerong_cu48": _scan("kerong_cu48", range(256), _kerong_48, lambda _, __: kerong.LOCKS_48),
}
"""Protocol -> scan."""
