"""Bad wires for tests: wrappers around a `Port`, each one trouble, freely nested.

Seen at real stations: answers in crumbs, disturbed bytes, adapters that echo, noise before an answer, answers twice
or late, silence, a driver that hangs, a device that never stops talking, an adapter that is pulled. Time passes on the
fake clock, as on `simulated.SimulatedPort`; what is random comes from a seed.
"""

import random
import threading
from collections.abc import Iterable

from edge_agent.clock import FakeClock
from edge_agent.driver import LinkError
from edge_agent.links.bytelink import Port


class Wire:
    """Passes everything on to `port`, which may be exchanged at any time: a wire that turns bad and good again."""

    def __init__(self, port: Port) -> None:
        self.port = port

    def write(self, data: bytes) -> None:
        """Pass on."""
        self.port.write(data)

    def read(self, within: float) -> bytes:
        """Pass on."""
        return self.port.read(within)

    def wake(self) -> None:
        """Pass on."""
        self.port.wake()

    def close(self) -> None:
        """Pass on."""
        self.port.close()


class Crumbs(Wire):
    """Every read gives one byte."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._rest = b""

    def read(self, within: float) -> bytes:
        """Return the next byte."""
        received = self._rest or self.port.read(within)
        self._rest = received[1:]
        return received[:1]


class Flips(Wire):
    """About one byte in `one_in` arrives with one of its bits turned over."""

    def __init__(self, port: Port, *, one_in: int = 7, seed: int = 0) -> None:
        super().__init__(port)
        self._one_in = one_in
        self._random = random.Random(seed)  # noqa: S311  (repeatable, not secret)

    def read(self, within: float) -> bytes:
        """Return what came, disturbed."""
        return bytes(self._disturb(byte) for byte in self.port.read(within))

    def _disturb(self, byte: int) -> int:
        hit = self._random.randrange(self._one_in) == 0
        return byte ^ 1 << self._random.randrange(8) if hit else byte


class Echo(Wire):
    """A half-duplex adapter that hears itself: what is sent comes back before the answer."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._heard = b""

    def write(self, data: bytes) -> None:
        """Send and hear it."""
        self.port.write(data)
        self._heard += data

    def read(self, within: float) -> bytes:
        """Return the echo, then the answer."""
        heard, self._heard = self._heard, b""
        return heard or self.port.read(within)


class Noise(Wire):
    """Each answer is preceded by `noise`: the turn-around of a bus without bias resistors."""

    def __init__(self, port: Port, noise: bytes = b"\x00\xff") -> None:
        super().__init__(port)
        self._noise = noise
        self._due = False

    def write(self, data: bytes) -> None:
        """Send; the noise is due."""
        self.port.write(data)
        self._due = True

    def read(self, within: float) -> bytes:
        """Return noise and answer in one piece."""
        received = self.port.read(within)
        if received and self._due:
            self._due = False
            return self._noise + received
        return received


class Twice(Wire):
    """Each answer comes twice, glued into one piece."""

    def read(self, within: float) -> bytes:
        """Return what came, doubled."""
        return self.port.read(within) * 2


class _Delay(Wire):
    """Takes answers off the far end as soon as they are there and hands them on when they are due."""

    def __init__(self, port: Port, clock: FakeClock) -> None:
        super().__init__(port)
        self._clock = clock
        self._coming: list[tuple[float, int, bytes]] = []
        """Due time (s), questions still to wait for, answer."""

    def _keep(self, delay: float, questions: int = 0) -> None:
        if answer := self.port.read(0.0):
            self._coming.append((self._clock.monotonic() + delay, questions, answer))

    def read(self, within: float) -> bytes:
        """Return what is due by now, else what becomes due within `within`."""
        first = min(self._coming, key=lambda entry: entry[0], default=None)
        if first is None or first[0] > self._clock.monotonic() + within:
            self._clock.advance(within)
            return b""
        self._coming.remove(first)
        self._clock.advance(max(0.0, first[0] - self._clock.monotonic()))
        return first[2]


class Late(_Delay):
    """Answers come late: each by the next of `delays` (seconds), then at once."""

    def __init__(self, port: Port, clock: FakeClock, delays: Iterable[float]) -> None:
        super().__init__(port, clock)
        self._delays = iter(delays)

    def write(self, data: bytes) -> None:
        """Send; the answer is kept back."""
        self.port.write(data)
        self._keep(next(self._delays, 0.0))


class Held(_Delay):
    """Answers come late at the worst moment: right after as many further questions as the next of `holds` says.

    None is held longer than `limit` seconds; when `holds` is used up, answers come at once.
    """

    def __init__(self, port: Port, clock: FakeClock, holds: Iterable[int], *, limit: float = 1.9) -> None:
        super().__init__(port, clock)
        self._holds = iter(holds)
        self._limit = limit

    def write(self, data: bytes) -> None:
        """Send; let go what has been held for enough questions."""
        self.port.write(data)
        now = self._clock.monotonic()
        self._coming = [(now if held == 1 else due, max(0, held - 1), answer) for due, held, answer in self._coming]
        hold = next(self._holds, 0)
        self._keep(self._limit if hold else 0.0, hold)


class Silence(Wire):
    """Nothing sent arrives."""

    def write(self, data: bytes) -> None:
        """Lose it."""


class Hang(Wire):
    """The first read hangs in the driver of the adapter until `wake` or `close`; `entered` says that it does.

    Afterwards the wire is silent.
    """

    def __init__(self, port: Port, clock: FakeClock) -> None:
        super().__init__(port)
        self.entered = threading.Event()
        self._clock = clock
        self._released = threading.Event()
        self._closed = False

    def write(self, data: bytes) -> None:
        """Lose it."""

    def read(self, within: float) -> bytes:
        """Hang if anything is to be waited for; LinkError when the port is closed meanwhile."""
        if within > 0:
            self.entered.set()
            self._released.wait()
        if self._closed:
            raise LinkError("closed while reading", gone=True)
        self._clock.advance(within)
        return b""

    def wake(self) -> None:
        """Let the read go."""
        self._released.set()

    def close(self) -> None:
        """Let the read go with an error."""
        self._closed = True
        self._released.set()
        self.port.close()


class Babble(Wire):
    """A device that sends random bytes without pause, 32 in every `pause` seconds (above 0)."""

    def __init__(self, port: Port, clock: FakeClock, *, pause: float = 0.03, seed: int = 0) -> None:
        super().__init__(port)
        self._clock = clock
        self._pause = pause
        self._random = random.Random(seed)  # noqa: S311  (repeatable, not secret)
        self._next = clock.monotonic()

    def read(self, within: float) -> bytes:
        """Return what has been babbled by now, or is within `within`; the answers drown in it."""
        self.port.read(0.0)
        wait = max(0.0, self._next - self._clock.monotonic())
        if wait > within:
            self._clock.advance(within)
            return b""
        self._clock.advance(wait)
        self._next = self._clock.monotonic() + self._pause
        return self._random.randbytes(32)


class Unplug(Wire):
    """The adapter is pulled after `after` reads and writes: from then on LinkError(gone=True)."""

    def __init__(self, port: Port, *, after: int = 0) -> None:
        super().__init__(port)
        self._left = after

    def write(self, data: bytes) -> None:
        """Send, while still plugged in."""
        self._use()
        self.port.write(data)

    def read(self, within: float) -> bytes:
        """Receive, while still plugged in."""
        self._use()
        return self.port.read(within)

    def _use(self) -> None:
        if self._left <= 0:
            raise LinkError("unplugged", gone=True)
        self._left -= 1
