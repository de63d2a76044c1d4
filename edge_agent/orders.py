"""Orders on their way to the thread that owns the wire: given from any thread, carried out once between two polls."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from edge_agent.driver import Command
from edge_agent.errors import AgentError, LinkError, LinkTimeout
from edge_agent.records import Json, Quality, Reading, Record

_COMMANDED = "commanded"
"""Stands in the name of every point that tells what was ordered and not what is."""

Values: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of an order, by point: what was ordered, and apart from it what was observed right after.

    A value that could not be read is None; `unseen` says why nothing was observed.
    """

    commanded: Values = field(default_factory=dict)
    observed: Values = field(default_factory=dict)
    unseen: str = ""

    @classmethod
    def of(cls, records: Iterable[Record], unseen: str = "") -> "Acted":
        """Sort the readings among `records` into what was ordered and what was observed."""
        values = {record.point: _json(record) for record in records if isinstance(record, Reading)}
        ordered = {point: value for point, value in values.items() if _COMMANDED in point}
        return cls(ordered, {point: value for point, value in values.items() if point not in ordered}, unseen)

    def answer(self) -> dict[str, Json]:
        """Return it as the answer to a command."""
        parts: Mapping[str, Json] = {_COMMANDED: self.commanded, "observed": self.observed, "unseen": self.unseen}
        return {name: part for name, part in parts.items() if part}


@dataclass(frozen=True, slots=True)
class Order:
    """A command for one device; the future takes what becomes of it, or the LinkError or DeviceError."""

    device: str
    command: Command
    future: "Future[Acted]" = field(default_factory=Future)


class Orders:
    """Orders that wait; `rouse` makes the thread that owns the wire look at them at once."""

    def __init__(self, rouse: Callable[[], None]) -> None:
        self._rouse = rouse
        self._waiting: deque[Order] = deque()
        self._ended: AgentError | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def give(self, device: str, command: Command, within: float) -> Acted:
        """Return what became of it; raises DeviceError, LinkError or, after `within` real seconds, LinkTimeout.

        What was not begun by then never will be. What was begun may or may not happen: the LinkTimeout says which.
        """
        order = Order(device, command)
        self._waiting.append(order)
        if self._ended is not None:
            self.refuse(self._ended)
        self._rouse()
        try:
            return order.future.result(within)
        except TimeoutError:
            if order.future.cancel():
                raise LinkTimeout(f"nothing was sent: the wire was not free for {within:g} s") from None
            if order.future.done():
                return order.future.result()
            raise LinkTimeout(f"no outcome within {within:g} s: it may or may not have happened") from None

    def take(self) -> Order | None:
        """Return the next order that nobody has given up, begun; None if there is none."""
        while self._waiting:
            order = self._waiting.popleft()
            if order.future.set_running_or_notify_cancel():
                return order
        return None

    def refuse(self, why: AgentError) -> None:
        """Fail everything that waits."""
        while (order := self.take()) is not None:
            order.future.set_exception(why)

    def end(self) -> None:
        """Fail everything that waits and whatever still comes: the thread is going."""
        self._ended = LinkError("nothing was sent: the link is being closed")
        self.refuse(self._ended)


def _json(reading: Reading) -> Json:
    if reading.quality is not Quality.GOOD:
        return None
    return list(reading.value) if isinstance(reading.value, tuple) else reading.value
