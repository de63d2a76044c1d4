"""Links that only answer: nothing comes on them unasked, and no answer can come late.

`HostLink` asks this machine itself, `I2cLink` a bus of it, `SimulatedLink` simulators.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from edge_agent.clock import Clock
from edge_agent.driver import Chunk, DeviceError, LineRequest, LinkError, LinkTimeout, ReplyShape, Simulator


class AskedLink(ABC):
    """What such links have in common; each says in `_exchange` how a question is answered."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.tap: Callable[[str, bytes], None] | None = None
        self._clock = clock
        self._open = False
        self._woken = threading.Event()

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`."""
        return self._open

    def open(self, lines: tuple[LineRequest, ...] = ()) -> None:
        """Get ready; raises LinkError with what to do. `lines` is for GPIO links."""
        del lines
        self._open = True

    def close(self) -> None:
        """Let go; never raises."""
        self._open = False

    def wake(self) -> None:
        """Make a waiting `wait` return (from another thread)."""
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """Rest for `seconds` or until `wake`."""
        if self._woken.wait(seconds):
            self._woken.clear()

    def take(self) -> Chunk | None:
        """Nothing comes unasked."""
        return None

    def monotonic(self) -> float:
        """See `driver.Link.monotonic`."""
        return self._clock.monotonic()

    def ask(self, request: bytes, *, reply: ReplyShape, within: float) -> bytes:
        """See `driver.Link.ask`."""
        if not self._open:
            raise LinkError(f"{self.name} is not open", gone=True)
        self._show(">", request)
        answer = self._exchange(request, reply.size, within)
        self._show("<", answer)
        found = reply.find(answer)
        if found is None:
            raise DeviceError("no valid answer in what was received", raw=answer)
        return found

    @abstractmethod
    def _exchange(self, request: bytes, size: int, within: float) -> bytes:
        """Return the answer, of `size` bytes where that is not 0; raises LinkTimeout or LinkError.

        `within` is the longest time to wait, in seconds.
        """

    def _show(self, direction: str, data: bytes) -> None:
        if self.tap is not None:
            self.tap(direction, data)


class SimulatedLink(AskedLink):
    """A link with simulators at its other end; their silence is a timeout."""

    def __init__(self, name: str, simulators: Sequence[Simulator], clock: Clock) -> None:
        super().__init__(name, clock)
        self._simulators = simulators

    def _exchange(self, request: bytes, size: int, within: float) -> bytes:
        del size, within
        for simulator in self._simulators:
            if answer := simulator.answer(request):
                return answer
        raise LinkTimeout(f"no answer on {self.name}")
