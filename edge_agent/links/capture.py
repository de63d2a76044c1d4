"""Bytes of a wire as a file: one JSON object a line, in the format of the drivers' vectors.

`t_ms` counts from the first frame, `dir` is `>` for what was sent and `<` for what was received. Such a file is a test
case, something to `decode`, and with `Replay` a simulator of the device that spoke.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.driver import Chunk
from edge_agent.errors import AgentError

SENT, RECEIVED = ">", "<"
_DIRECTIONS = {SENT: "request", RECEIVED: "response"}


@dataclass(frozen=True, slots=True)
class Piece:
    """What was on a wire at monotonic time `at` (s); `direction` is `>` sent or `<` received."""

    at: float
    direction: str
    data: bytes = field(repr=False)


def joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join what came in crumbs: pieces of one direction with nothing of the other between them."""
    held: Piece | None = None
    for piece in pieces:
        if held is not None and held.direction == piece.direction == RECEIVED:
            held = Piece(held.at, held.direction, held.data + piece.data)
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def lines(pieces: Iterable[Piece], *, source: str, protocol: str) -> Iterator[str]:
    """Yield the lines of the file; an answer carries its question, which many protocols need to be explained."""
    begin: float | None = None
    question: bytes | None = None
    for piece in pieces:
        begin = piece.at if begin is None else begin
        entry: dict[str, Any] = {
            "protocol": protocol,
            "source": source,
            "t_ms": round((piece.at - begin) * 1000),
            "dir": piece.direction,
            "direction": _DIRECTIONS[piece.direction],
            "frame_hex": piece.data.hex(),
        }
        if piece.direction == SENT:
            question = piece.data
        elif question is not None:
            entry["request_hex"] = question.hex()
        yield json.dumps(entry, ensure_ascii=False)


def load(file: Path) -> list[Piece]:
    """Read a capture; raises AgentError naming the line that is none."""
    pieces = []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AgentError(f"{file} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry: Mapping[str, Any] = json.loads(line)
            direction = {"request": SENT, "response": RECEIVED}[entry["direction"]]
            pieces.append(Piece(entry.get("t_ms", 0) / 1000, direction, bytes.fromhex(entry["frame_hex"])))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise AgentError(f"{file}:{number}: not a line of a capture ({error})") from error
    return pieces


class Replay:
    """A captured device: each question gets the answers it got then, in their order, and the last one ever after.

    What was said before the first question is played unasked.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._answers: dict[bytes, deque[bytes]] = {}
        self._unasked: list[Chunk] = []
        question: bytes | None = None
        for piece in joined(pieces):
            if piece.direction == SENT:
                question = piece.data
                self._answers.setdefault(question, deque()).append(b"")
            elif question is None:
                self._unasked.append(Chunk(piece.at, data=piece.data))
            else:
                self._answers[question][-1] = piece.data

    def answer(self, request: bytes) -> bytes:
        """Answer as the device did; b"" where it was silent or was never asked this."""
        answers = self._answers.get(request)
        if not answers:
            return b""
        return answers.popleft() if len(answers) > 1 else answers[0]

    def play(self) -> Iterable[Chunk]:
        """What it said before anybody asked, once."""
        unasked, self._unasked = self._unasked, []
        return unasked
