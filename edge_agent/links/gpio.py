"""Slow contacts and relays through gpiozero: doors, buttons, smoke and water detectors, pulses; siren, lamp, strike.

Work happens on pin level, below gpiozero's devices: its `bounce_time` drops edges, and its devices call back from their
own threads. Here a callback only puts the edge into a bounded queue; debouncing is the driver's.
"""

import contextlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from edge_agent.clock import Clock
from edge_agent.driver import Edge, LineRequest, LinkError
from edge_agent.links.edges import MAX_WAITING, EdgeLink

_PULLS = {"up": "up", "down": "down", "none": "floating"}
_OLDEST_TICK = 1.0
"""Seconds by which a pin library's own time stamp may lie behind ours before it is taken for another clock."""


class GpioLink(EdgeLink):
    """An `EdgeLink` whose lines are gpiozero pins; `factory` is gpiozero's pin factory, by default the kernel's."""

    def __init__(self, name: str, clock: Clock, factory: Any = None) -> None:
        super().__init__(name, GpiozeroSource(clock, factory), clock)


class GpiozeroSource:
    """Pins of a gpiozero pin factory, a `LineSource`; works alike with `MockFactory`."""

    def __init__(self, clock: Clock, factory: Any = None) -> None:
        self._clock = clock
        self._factory = factory
        self._pins: dict[int, Any] = {}
        self._levels: dict[int, bool] = {}
        self._safe: dict[int, bool] = {}
        # gpiozero keeps only weak references to callbacks.
        self._callbacks: list[Callable[[float, float], None]] = []
        self._queue: deque[Edge] = deque()
        self._due = threading.Event()

    def open(self, lines: Sequence[LineRequest]) -> list[Edge]:
        """See `LineSource.open`."""
        if self._factory is None:
            self._factory = _kernel_factory()
        self._queue.clear()
        line = None
        try:
            for line in lines:
                if line.safe is None:
                    self._pins[line.line] = self._watch(line)
                else:
                    self._pins[line.line] = self._hold(line.line, high=line.safe)
            inputs = {number: pin for number, pin in self._pins.items() if number not in self._safe}
            levels = {number: bool(pin.state) for number, pin in inputs.items()}
        except Exception as error:  # lgpio's own error class is related to no other
            self.close()
            where = f"GPIO{line.line}: " if line else ""
            raise LinkError(
                f"{where}{error}; does the line exist, is nothing else using it, is the user in group gpio?", gone=True
            ) from error
        self._levels = {line.line: levels[line.line] for line in lines if line.edges == "both" and line.safe is None}
        now = self._clock.monotonic()
        return [Edge(number, high=high, at=now, initial=True) for number, high in levels.items()]

    def read(self, within: float) -> list[Edge]:
        """See `LineSource.read`; waits in real time."""
        if not self._queue and within > 0 and self._due.wait(within):
            self._due.clear()
        edges = [self._queue.popleft() for _ in range(len(self._queue))]
        self._levels.update((edge.line, edge.high) for edge in edges if edge.line in self._levels)
        return edges or self._missed()

    def wake(self) -> None:
        """See `LineSource.wake`."""
        self._due.set()

    def drive(self, line: int, *, high: bool) -> None:
        """See `LineSource.drive`."""
        try:
            self._pins[line].state = high
        except Exception as error:  # lgpio's own error class is related to no other
            raise LinkError(f"GPIO{line} can no longer be driven: {error}", gone=True) from error

    def level(self, line: int) -> bool:
        """See `LineSource.level`."""
        try:
            return bool(self._pins[line].state)
        except Exception as error:
            raise LinkError(f"GPIO{line} can no longer be read: {error}", gone=True) from error

    def close(self) -> None:
        """See `LineSource.close`."""
        for number, high in self._safe.items():
            with contextlib.suppress(Exception):
                self._pins[number].state = high
        self._safe = {}
        for pin in self._pins.values():
            with contextlib.suppress(Exception):
                pin.when_changed = None
                pin.close()
        self._pins = {}
        self._levels = {}
        self._callbacks = []
        self._queue.clear()

    def _hold(self, number: int, *, high: bool) -> Any:
        """Set a pin up as an output that is at its level from the first moment on.

        gpiozero itself makes an output of an lgpio pin at low first: a relay that is on at low would click.
        """
        pin = self._factory.pin(number)
        handle = getattr(self._factory, "_handle", None)
        if handle is not None:
            import lgpio  # noqa: PLC0415  (there where its pins are)

            lgpio.gpio_claim_output(handle, number, int(high))
        else:
            pin.output_with_state(high)
        self._safe[number] = high
        return pin

    def _watch(self, line: LineRequest) -> Any:
        """Set a pin up as an input and queue its edges; what is right already is left alone, to make no edge."""
        pin = self._factory.pin(line.line)
        if pin.function != "input":
            pin.function = "input"
        if pin.pull != _PULLS[line.pull]:
            pin.pull = _PULLS[line.pull]
        pin.edges = line.edges

        def changed(ticks: float, state: float) -> None:
            if len(self._queue) < MAX_WAITING:
                self._queue.append(Edge(line.line, high=bool(state), at=self._at(ticks)))
            self._due.set()

        self._callbacks.append(changed)
        pin.when_changed = changed
        return pin

    def _at(self, ticks: float) -> float:
        """Return the pin library's time of an edge where it is on our clock, else now.

        Callbacks come late when the machine is busy; two edges of a pulse would then seem to be one instant.
        """
        now = self._clock.monotonic()
        return ticks if 0 <= now - ticks <= _OLDEST_TICK else now

    def _missed(self) -> list[Edge]:
        """Compare the pins with what was told of them: an edge lost below us must not leave a door open for ever."""
        now = self._clock.monotonic()
        found = []
        for number, told in self._levels.items():
            high = self.level(number)
            if high != told:
                self._levels[number] = high
                found.append(Edge(number, high=high, at=now))
        return found


def _kernel_factory() -> Any:
    """Return the pin factory that `GPIOZERO_PIN_FACTORY` names, else lgpio's; raises LinkError with what to install."""
    try:
        import gpiozero  # noqa: PLC0415  (loads only where there are pins)

        if "GPIOZERO_PIN_FACTORY" in os.environ:
            gpiozero.Device.ensure_pin_factory()
            return gpiozero.Device.pin_factory
        return _lgpio_factory()
    except ImportError as error:
        raise LinkError(
            f'no GPIO library ({error}): install lgpio, or make the link kind = "gpiod", which needs none',
            gone=True,
        ) from error
    except Exception as error:  # lgpio's own error class is related to no other
        raise LinkError(
            f"GPIO cannot be opened ({error}): is this a machine with GPIO lines, and the user in group gpio?",
            gone=True,
        ) from error


def _lgpio_factory() -> Any:
    """Load lgpio, which creates a FIFO in its working directory and changes the process's directory to get there.

    The FIFO is only needed while both ends are being opened, so that a directory of a moment will do; without it the
    import fails in a read-only working directory.
    """
    before = os.getcwd()  # noqa: PTH109  (chdir's counterpart)
    with tempfile.TemporaryDirectory(prefix="edge-agent-") as scratch:
        os.environ.setdefault("LG_WD", scratch)
        try:
            from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415  (loads only where there are pins)
        finally:
            os.chdir(before)
            if os.environ["LG_WD"] == scratch:
                del os.environ["LG_WD"]
    return LGPIOFactory()
