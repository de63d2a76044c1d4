"""GPIO lines: inputs whose edges matter, outputs that are driven; one link, and the places its lines can come from.

A `LineSource` is the seam between the link and the kernel, because no stock Debian kernel can simulate GPIO lines:
`GpiodSource` reads the kernel's own time stamps (Wiegand needs them), `gpio.GpiozeroSource` serves slow contacts, and
`SimulatedLines` is the wire of the tests and the demo.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.driver import Chunk, DeviceError, Edge, LineRequest, LinkError, ReplyShape, Simulator

MAX_WAITING = 4096
"""Edges kept while nobody takes them: far more than any frame or bounce has, so more is a storm."""


class LineSource(Protocol):
    """Where edges come from. Failures are LinkError; `gone=True` when the lines are lost."""

    def open(self, lines: Sequence[LineRequest]) -> list[Edge]:
        """Take the lines exclusively and return their levels now as `Edge(initial=True)`."""

    def read(self, within: float) -> list[Edge]:
        """Return the edges that have come, waiting at most `within` seconds (s) for the first; never an endless list.

        `wake` ends the wait; a read that does not wait leaves the wake due.
        """

    def wake(self) -> None:
        """Make a waiting `read` return at once (from another thread)."""

    def drive(self, line: int, *, high: bool) -> None:
        """Bring an output to a level."""

    def level(self, line: int) -> bool:
        """Read a line, True = high."""

    def close(self) -> None:
        """Bring outputs to their safe level and release the lines; never raises."""


class EdgeLink:
    """GPIO lines owned by one Worker; the counterpart of `ByteLink`: edges come unasked, and only outputs are asked."""

    def __init__(self, name: str, source: LineSource, clock: Clock) -> None:
        self.name = name
        self._source = source
        self._clock = clock
        self._held: list[Edge] = []
        self._open = False
        self._outputs: frozenset[int] = frozenset()

    @property
    def is_open(self) -> bool:
        """True while the lines are held."""
        return self._open

    def open(self, lines: tuple[LineRequest, ...] = ()) -> None:
        """Take the lines; their present levels are the first chunk. Raises LinkError with what to do."""
        if not self._open:
            self._held = self._source.open(_merged(lines))
            self._outputs = frozenset(line.line for line in lines if line.safe is not None)
            self._open = True

    def close(self) -> None:
        """Let go of the lines; never raises."""
        if self._open:
            self._source.close()
            self._held = []
            self._open = False

    def wake(self) -> None:
        """Make a waiting `wait` return (from another thread)."""
        self._source.wake()

    def wait(self, seconds: float) -> None:
        """Rest until an edge comes, `wake` is called, or `seconds` have passed."""
        if not self._held:
            self._held = self._read(seconds)

    def take(self) -> Chunk | None:
        """The edges since the last call in order of delivery, or None."""
        if not self._open:
            return None
        edges = self._held + self._read(0.0)
        self._held = []
        return Chunk(at=self._clock.monotonic(), edges=tuple(edges)) if edges else None

    def ask(self, request: bytes, *, reply: ReplyShape, within: float) -> bytes:
        """Drive and read back an output (see `Wire.GPIO`); LinkError for anything else: inputs tell by themselves."""
        del within
        name, _, wanted = request.decode("ascii", "replace").partition("=")
        line = int(name) if name.isascii() and name.isdigit() else -1
        if not self._open:
            raise LinkError(f"{self.name} is not open", gone=True)
        if line not in self._outputs or wanted not in {"", "0", "1"}:
            raise LinkError(f"{self.name} carries edges; nothing can be asked on it but its outputs")
        if wanted:
            self._source.drive(line, high=wanted == "1")
        answer = b"1" if self._source.level(line) else b"0"
        if reply.find(answer) is None:
            raise DeviceError("no valid answer in what was received", raw=answer)
        return answer

    def monotonic(self) -> float:
        """See `driver.Link.monotonic`."""
        return self._clock.monotonic()

    def _read(self, within: float) -> list[Edge]:
        if not self._open:
            raise LinkError(f"{self.name} is not open", gone=True)
        return self._source.read(within)


class SimulatedLines:
    """GPIO lines moved by hand or by simulators, from any thread; numbers its edges as the kernel does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._woken = False
        self._lines: dict[int, LineRequest] = {}
        self._levels: dict[int, bool] = {}
        self._queue: deque[Edge] = deque()
        self._seqno = 0
        self._shift = float("-inf")

    def open(self, lines: Sequence[LineRequest]) -> list[Edge]:
        """Take the lines; a line that nothing has moved yet rests where its pull holds it."""
        with self._changed:
            self._lines = {line.line: line for line in lines}
            self._queue.clear()
            now = self._clock.monotonic()
            self._levels |= {line.line: line.safe for line in lines if line.safe is not None}
            resting = {line.line: line.pull != "down" for line in lines if line.safe is None}
            return [Edge(n, high=self._levels.get(n, high), at=now, initial=True) for n, high in resting.items()]

    def read(self, within: float) -> list[Edge]:
        """See `LineSource.read`; edges stamped later than now come when their time has come. Waits in real time."""
        deadline = time.monotonic() + within
        with self._changed:
            while within > 0 and not self._woken and (rest := min(self._until_due(), deadline - time.monotonic())) > 0:
                self._changed.wait(rest)
            if within > 0:
                self._woken = False
            now = self._clock.monotonic()
            due = [edge for edge in self._queue if edge.at <= now]
            self._queue = deque(edge for edge in self._queue if edge.at > now)
            return due

    def _until_due(self) -> float:
        return min((edge.at for edge in self._queue), default=float("inf")) - self._clock.monotonic()

    def wake(self) -> None:
        """See `LineSource.wake`."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def drive(self, line: int, *, high: bool) -> None:
        """See `LineSource.drive`."""
        with self._changed:
            self._levels[line] = high

    def level(self, line: int) -> bool:
        """See `LineSource.level`; also how a test sees what an output is at."""
        with self._changed:
            return self._levels[line]

    def close(self) -> None:
        """Let go of the lines; what happens until they are taken again is not seen."""
        with self._changed:
            self._levels |= {line.line: line.safe for line in self._lines.values() if line.safe is not None}
            self._lines = {}
            self._queue.clear()
            self._shift = float("-inf")

    def push(self, edges: Iterable[Edge]) -> None:
        """Move lines: `at` is taken as it is, `seqno` is given here. Lines and edges not asked for move unseen."""
        with self._changed:
            for edge in edges:
                self._levels[edge.line] = edge.high
                wanted = self._lines.get(edge.line)
                if wanted is None or (edge.high and wanted.edges == "falling"):
                    continue
                self._seqno += 1
                if len(self._queue) < MAX_WAITING:
                    self._queue.append(replace(edge, seqno=self._seqno, initial=False))
            self._changed.notify_all()

    def lose(self, count: int) -> None:
        """Let `count` edges happen that the kernel notices and nobody gets: a hole in the numbering."""
        with self._changed:
            self._seqno += count

    def play(self, simulator: Simulator) -> None:
        """Push what a simulator did since it was last played.

        A simulator has no clock: its times count from its own zero. They are moved so that its last chunk ends now, or
        later if it would otherwise overlap what was played before.
        """
        chunks = list(simulator.play())
        if chunks:
            self._shift = max(self._shift, self._clock.monotonic() - chunks[-1].at)
            self.push(replace(edge, at=edge.at + self._shift) for chunk in chunks for edge in chunk.edges)


def _merged(lines: Iterable[LineRequest]) -> list[LineRequest]:
    """Return one request a line; raises LinkError where two devices want the same line in different ways."""
    wanted: dict[int, LineRequest] = {}
    for line in lines:
        if wanted.setdefault(line.line, line) != line:
            raise LinkError(f"GPIO{line.line} is used by two devices in different ways; give each its own line")
    return list(wanted.values())
