"""Edges with the kernel's own time stamps, through gpiod 2.x.

One request holds all lines, so that the kernel numbers their edges in one sequence: a hole in it is the only sign of a
lost edge. Delivery order is not time order; whoever needs order sorts by `Edge.at`.
"""

import contextlib
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.driver import Edge, LineRequest, LinkError
from edge_agent.links.edges import MAX_WAITING
from edge_agent.links.wake import Waker

_KERNEL_BUFFER = 1024
"""Edges the kernel keeps for us; its upper limit is 16 for each of the at most 64 lines of a request
(linux/gpio.h, `event_buffer_size`, GPIO_V2_LINES_MAX)."""


class GpiodSource:
    """The lines of one GPIO chip, a `LineSource`; `chip` is its label, name or device path.

    A label ("pinctrl-rp1", "pinctrl-bcm2711") is the one to use: the chip's number has changed between kernels.
    `chips` opens every chip present; only tests give another.
    """

    def __init__(self, chip: str, chips: Callable[[], Iterable[Any]] | None = None) -> None:
        self._chip = chip
        self._chips = chips or _system_chips
        self._request: Any = None
        self._safe: dict[int, bool] = {}
        self._waker: Waker | None = None
        self._poll = select.poll()

    def open(self, lines: Sequence[LineRequest]) -> list[Edge]:
        """See `LineSource.open`."""
        gpiod = _gpiod()
        settings = {line.line: _settings(gpiod, line) for line in lines}
        inputs = [line for line in lines if line.safe is None]
        chip = self._find()
        try:
            self._request = chip.request_lines(settings, consumer="edge-agent", event_buffer_size=_KERNEL_BUFFER)
            values = self._request.get_values([line.line for line in inputs])
        except (OSError, ValueError) as error:
            self.close()
            raise LinkError(f"{self._chip}: {_cure(chip, lines, error)}", gone=True) from error
        finally:
            chip.close()
        self._safe = {line.line: line.safe for line in lines if line.safe is not None}
        self._waker = Waker()
        self._poll = select.poll()
        self._poll.register(self._request.fd, select.POLLIN)
        self._poll.register(self._waker.fileno(), select.POLLIN)
        now = time.monotonic()
        levels = zip(inputs, values, strict=True)
        return [Edge(line.line, high=bool(value), at=now, initial=True) for line, value in levels]

    def read(self, within: float) -> list[Edge]:
        """See `LineSource.read`."""
        waker = self._waker
        if waker is None:
            raise LinkError(f"GPIO chip {self._chip} is closed", gone=True)
        try:
            ready = {fd for fd, _ in self._poll.poll(max(within, 0.0) * 1000)}
            if within > 0 and waker.fileno() in ready:
                waker.clear()
            edges: list[Edge] = []
            while self._request.fd in ready and len(edges) < MAX_WAITING:
                edges.extend(_edge(event) for event in self._request.read_edge_events())
                ready = {fd for fd, _ in self._poll.poll(0)}
        except OSError as error:
            self.close()
            raise LinkError(f"GPIO chip {self._chip} is lost ({error})", gone=True) from error
        return edges

    def wake(self) -> None:
        """See `LineSource.wake`."""
        if waker := self._waker:
            waker.set()

    def drive(self, line: int, *, high: bool) -> None:
        """See `LineSource.drive`."""
        value = _gpiod().line.Value
        with self._lost():
            self._request.set_value(line, value.ACTIVE if high else value.INACTIVE)

    def level(self, line: int) -> bool:
        """See `LineSource.level`."""
        with self._lost():
            return bool(self._request.get_value(line))

    def close(self) -> None:
        """See `LineSource.close`."""
        safe, self._safe = self._safe, {}
        for line, high in safe.items():
            with contextlib.suppress(LinkError):
                self.drive(line, high=high)
        if self._waker is not None:
            self._waker.close()
            self._waker = None
        if self._request is not None:
            with contextlib.suppress(OSError):
                self._request.release()
            self._request = None

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except (OSError, AttributeError) as error:  # AttributeError: the request has been released
            raise LinkError(f"GPIO chip {self._chip} is lost ({error})", gone=True) from error

    def _find(self) -> Any:
        found = None
        labels = []
        for chip in self._chips():
            info = chip.get_info()
            if found is None and self._chip in {info.label, info.name, chip.path}:
                found = chip
                continue
            labels.append(info.label)
            chip.close()
        if found is None:
            present = ", ".join(labels) or "none that this user may open (group gpio?)"
            raise LinkError(f"there is no GPIO chip {self._chip!r}; present: {present}", gone=True)
        return found


def _settings(gpiod: Any, line: LineRequest) -> Any:
    """Return how the kernel is to set up a line; an output has its safe level from the first moment on."""
    if line.safe is not None:
        value = gpiod.line.Value.ACTIVE if line.safe else gpiod.line.Value.INACTIVE
        return gpiod.LineSettings(direction=gpiod.line.Direction.OUTPUT, output_value=value)
    bias = gpiod.line.Bias
    return gpiod.LineSettings(
        direction=gpiod.line.Direction.INPUT,
        edge_detection=gpiod.line.Edge.FALLING if line.edges == "falling" else gpiod.line.Edge.BOTH,
        bias={"up": bias.PULL_UP, "down": bias.PULL_DOWN, "none": bias.DISABLED}[line.pull],
        event_clock=gpiod.line.Clock.MONOTONIC,
    )


def _edge(event: Any) -> Edge:
    rising = event.event_type is event.Type.RISING_EDGE
    return Edge(event.line_offset, high=rising, at=event.timestamp_ns / 1e9, seqno=event.global_seqno)


def _gpiod() -> Any:
    try:
        import gpiod  # noqa: PLC0415  (there is no gpiod for every machine that runs the demo)
        import gpiod.line  # noqa: PLC0415
    except ImportError as error:
        raise LinkError(f"gpiod is not installed ({error}): pip install gpiod, on 64-bit Linux", gone=True) from error
    return gpiod


def _system_chips() -> Iterable[Any]:
    gpiod = _gpiod()
    for path in sorted(str(path) for path in Path("/dev").glob("gpiochip*")):
        with contextlib.suppress(OSError):
            if gpiod.is_gpiochip_device(path):
                yield gpiod.Chip(path)


def _cure(chip: Any, lines: Sequence[LineRequest], error: Exception) -> str:
    """Say which line is the trouble and who holds it."""
    for line in lines:
        try:
            info = chip.get_line_info(line.line)
        except (OSError, ValueError):
            return f"has no line GPIO{line.line}"
        if info.used:
            return f"GPIO{line.line} is in use by {info.consumer!r}; two owners of one line are not possible, stop one"
    return f"lines cannot be had: {error}"
