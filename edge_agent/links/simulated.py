"""A byte wire with simulators at its other end, in the same process: the tests' wire, driven by a fake clock."""

from collections.abc import Sequence

from edge_agent.clock import FakeClock
from edge_agent.driver import Simulator


class SimulatedPort:
    """A `Port` whose far end is a list of simulators sharing one pair of wires.

    Time passes on the fake clock as it would on the wire: `char` seconds a character, `delay` seconds before a device
    answers, and the whole of `within` when nobody does.
    """

    def __init__(
        self, simulators: Sequence[Simulator], clock: FakeClock, *, char: float = 10 / 9600, delay: float = 0.005
    ) -> None:
        self._simulators = simulators
        self._clock = clock
        self._char = char
        self._delay = delay
        self._waiting = b""

    def write(self, data: bytes) -> None:
        """Carry `data` to every simulator; those addressed answer."""
        self._clock.advance(len(data) * self._char)
        for simulator in self._simulators:
            self._waiting += simulator.answer(data)

    def read(self, within: float) -> bytes:
        """Return the answer after the time it would have taken."""
        for simulator in self._simulators:
            for chunk in simulator.play():
                self._waiting += chunk.data
        if not self._waiting:
            self._clock.advance(within)
            return b""
        taken = self._waiting
        self._waiting = b""
        self._clock.advance(self._delay + len(taken) * self._char)
        return taken

    def wake(self) -> None:
        """Nothing waits on a fake clock."""

    def close(self) -> None:
        """Forget what was on the wire."""
        self._waiting = b""
