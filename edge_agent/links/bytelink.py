"""Question and answer over a wire that carries bytes: the rules every request/response protocol needs.

Why not a Modbus library: on one RS-485 pair Modbus, meters, lock boards and batteries take turns, no library arbitrates
that, and those measured take a late answer for the answer to the next question. So the rules live here once:

* drain before sending; keep the guard time between frames;
* keep what came beside an answer for those who listen: a device may speak by itself just while another is asked;
* drop the local echo of half-duplex adapters by count;
* hand everything received to the reply's shape, which skips noise and checks the frame;
* after a timeout ask nothing that a late answer could satisfy until `max_reply_delay` has passed; after a damaged
  answer only the same question, because what looked like the answer may have been noise before it; and once that was
  answered, only questions that its answer, which may come a second time, would not answer too.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from edge_agent.clock import Clock
from edge_agent.driver import Chunk, DeviceError, LineRequest, Link, LinkError, LinkTimeout, ReplyShape
from edge_agent.links.echo import Echo
from edge_agent.links.late import LateAnswers
from edge_agent.links.line import Line

_MAX_REPLY = 4096
"""Bytes kept of one answer: no protocol here has longer frames, so more is a babbling device."""


class Port(Protocol):
    """The raw end of a byte wire. Failures are LinkError; `gone=True` when the port itself is lost."""

    def write(self, data: bytes) -> None:
        """Send all of `data`, waiting until it is on the wire."""

    def read(self, within: float) -> bytes:
        """Return what has arrived, waiting at most `within` seconds for the first byte; b"" if nothing came."""

    def wake(self) -> None:
        """Make a waiting `read` return at once (from another thread)."""

    def close(self) -> None:
        """Release the port; never raises."""


@runtime_checkable
class Tunable(Protocol):
    """A port whose line can be set while it is open."""

    def tune(self, line: Line | None) -> None:
        """Send and receive as `line` says from now on; None = as opened, and so after LinkError."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `guard` is the pause between frames (3.5 characters at least); `gap` the longest pause inside one."""

    guard: float = 0.004
    gap: float = 0.1
    max_reply_delay: float = 2.0
    echo: Literal["auto", "yes", "no"] = "auto"


Tap = Callable[[str, bytes], None]
"""Sees every conversation: direction (">" sent, "<" received) and bytes; for `probe` and captures."""


class ByteLink:
    """A wire that carries bytes, owned by one Worker."""

    def __init__(self, name: str, opener: Callable[[], Port], clock: Clock, timing: Timing | None = None) -> None:
        self.name = name
        self.tap: Tap | None = None
        self._opener = opener
        self._clock = clock
        self._timing = timing or Timing()
        self._port: Port | None = None
        self._pending = b""
        self._unasked: deque[Chunk] = deque()
        self._quiet_since = 0.0
        self._line: Line | None = None
        self._echo = Echo(self._timing.echo)
        self._late = LateAnswers(clock)

    @property
    def is_open(self) -> bool:
        """True while the port is held."""
        return self._port is not None

    def open(self, lines: tuple[LineRequest, ...] = ()) -> None:
        """Take the port exclusively; raises LinkError with what to do. `lines` is for GPIO links."""
        del lines
        if self._port is None:
            self._port = self._opener()
            self._pending = b""
            self._line = None

    def close(self) -> None:
        """Let go of the port at once: a kept descriptor makes a re-plugged adapter come back under another name."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def wake(self) -> None:
        """Make a waiting `wait` return (from another thread)."""
        port = self._port
        if port is not None:
            port.wake()

    def wait(self, seconds: float) -> None:
        """Rest until bytes arrive unasked, `wake` is called, or `seconds` have passed."""
        if not self._pending and not self._unasked:
            self._pending = self._read(seconds)

    def take(self) -> Chunk | None:
        """What arrived unasked, the oldest first, or None; also what came beside the answer of a device asked."""
        if self._port is None:
            return None
        if self._unasked:
            return self._unasked.popleft()
        data = self._pending + self._read(0.0)
        self._pending = b""
        if not data:
            return None
        self._show("<", data)
        return Chunk(at=self._clock.monotonic(), data=data)

    def monotonic(self) -> float:
        """See `driver.Link.monotonic`."""
        return self._clock.monotonic()

    def tuned(self, line: Line) -> Link:
        """Return this link for a device that speaks at a baud rate or parity of its own."""
        return _Tuned(self, line)

    def ask(self, request: bytes, *, reply: ReplyShape, within: float, line: Line | None = None) -> bytes:
        """See `driver.Link.ask`; `line` differs from the link's own for a device that speaks otherwise."""
        repeated = self._rest_before(request, reply)
        self._tune(line)
        self._drain()
        port = self._need()
        self._show(">", request)
        sent = self._clock.monotonic()
        try:
            port.write(request)
            sent = self._clock.monotonic()
            frame = self._receive(request, reply, sent + within)
        except LinkError:
            self._late.expect(reply.key, sent + self._timing.max_reply_delay)
            raise
        except DeviceError as error:
            spent = 0 < reply.size <= len(error.raw)
            self._late.expect(reply.key, sent + self._timing.max_reply_delay, request if spent else b"")
            raise
        else:
            if repeated:
                # This may have been the late answer to the first try; the one to this try then is still to come.
                self._late.expect(reply.key, sent + self._timing.max_reply_delay, request, frame)
            return frame
        finally:
            self._quiet_since = self._clock.monotonic()

    def _rest_before(self, request: bytes, reply: ReplyShape) -> bool:
        """Wait until `request` may be sent; True if it goes out early, as the repetition of itself."""
        free_at = self._quiet_since + max(self._timing.guard, reply.guard, self._line.guard if self._line else 0.0)
        settled = self._late.settle(request, reply)
        self._rest_until(max(free_at, settled or 0.0))
        return settled is None

    def _tune(self, line: Line | None) -> None:
        """Change the line while the wire is idle, and give the others one character and their guard to notice."""
        if line == self._line:
            return
        port = self._need()
        if not isinstance(port, Tunable):
            raise LinkError(f"{self.name} cannot change its baud rate or parity for one device")
        slower = max((one for one in (line, self._line) if one), key=lambda one: one.character)
        self._line = None
        port.tune(line)
        self._line = line
        self._rest_until(self._clock.monotonic() + slower.character + max(self._timing.guard, slower.guard))

    def _receive(self, request: bytes, reply: ReplyShape, deadline: float) -> bytes:
        received = b""
        ambiguous = reply.find(request) is not None
        while True:
            body = self._echo.cut(request, received, ambiguous=ambiguous)
            if (frame := reply.find(body)) is not None:
                if not ambiguous:
                    self._echo.learn(request, received[: received.find(frame)])
                before, _, after = body.partition(frame)
                self._keep(before)
                self._keep(after)
                return frame
            left = deadline - self._clock.monotonic()
            if left <= 0 or len(received) > _MAX_REPLY:
                break
            spent = self._is_spent(request, reply, received, body)
            chunk = self._read(min(left, self._timing.gap) if spent else left)
            if not chunk and spent:
                break
            if chunk:
                self._show("<", chunk)
                received += chunk
        if body:
            self._keep(body)
            raise DeviceError("no valid answer in what was received", raw=body)
        raise LinkTimeout(f"no answer on {self.name}")

    def _is_spent(self, request: bytes, reply: ReplyShape, received: bytes, body: bytes) -> bool:
        """Tell whether the whole answer seems to have come, damaged, so that waiting on is useless.

        Not while the bytes may be another question's late answer or a damaged echo.
        """
        if self._late or not reply.size:
            return False
        damaged_echo = self._echo.heard and len(body) == len(received)
        return len(body) >= reply.size + (len(request) if damaged_echo else 0)

    def _drain(self) -> None:
        """Set aside what came unasked: an answer to an earlier question must not meet this one."""
        stale = self._pending
        self._pending = b""
        while chunk := self._read(0.0):
            stale += chunk
            if len(stale) > _MAX_REPLY:
                raise LinkError(f"{self.name} babbles without pause; unplug its devices one by one to find which")
        if stale:
            self._show("<", stale)
            self._keep(stale)

    def _keep(self, data: bytes) -> None:
        """Set bytes aside that are no answer; with nobody to take them, the oldest go."""
        if data:
            self._unasked.append(Chunk(at=self._clock.monotonic(), data=data))
        while sum(len(chunk.data) for chunk in self._unasked) > _MAX_REPLY:
            self._unasked.popleft()

    def _rest_until(self, when: float) -> None:
        while (left := when - self._clock.monotonic()) > 0:
            self._keep(self._read(left))

    def _read(self, within: float) -> bytes:
        return self._need().read(within)

    def _need(self) -> Port:
        if self._port is None:
            raise LinkError(f"{self.name} is not open", gone=True)
        return self._port

    def _show(self, direction: str, data: bytes) -> None:
        if self.tap is not None:
            self.tap(direction, data)


@dataclass(frozen=True, slots=True)
class _Tuned:
    """A ByteLink as one of its devices needs it."""

    link: ByteLink
    line: Line

    def ask(self, request: bytes, *, reply: ReplyShape, within: float) -> bytes:
        """See `driver.Link.ask`."""
        return self.link.ask(request, reply=reply, within=within, line=self.line)

    def monotonic(self) -> float:
        """See `driver.Link.monotonic`."""
        return self.link.monotonic()
