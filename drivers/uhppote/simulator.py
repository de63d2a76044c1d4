"""A door controller, seen from the network: stores events under indexes, overwrites them, forgets them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from drivers.uhppote import codec
from drivers.uhppote.options import UhppoteOptions
from edge_agent.driver import Chunk, DeviceError, Site

_SWIPE, _DOOR = 1, 2
"""Event types."""
_REMOTE_OPEN = 44
"""Reason of the event that an open-door request leaves (uhppote-core `messages/events.go`)."""


class UhppoteSimulator:
    """Answers get-status, get-event, get-time, get-listener, get-controller and open-door; for any thread."""

    def __init__(self, options: UhppoteOptions, site: Site) -> None:
        del site
        self.controller = options.controller
        self.clock: Callable[[], datetime] = datetime.now
        self.magic = codec.MAGIC
        self.doors_open = [False] * 4
        self.refuses = False
        """Whether it answers an open-door request with "not done"."""
        self.system_error = 0
        self.listener = "192.168.1.5:60001"
        """Where the site's own software listens."""
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._overwritten = 0

    def swipe(self, card: int, *, door: int = 1, direction: int = 1, denied: int = 0) -> int:
        """Hold a card to a reader; `denied` is the reason for refusing it, 0 = granted. Returns the event's index."""
        return self.happen(
            _SWIPE, reason=denied or 1, access_granted=not denied, card=card, door=door, direction=direction
        )

    def happen(self, event_type: int = _DOOR, **values: Any) -> int:
        """Store an event at the controller's present time, or at `event_timestamp`; returns its index."""
        with self._lock:
            index = len(self._events) + 1
            now = self.clock().strftime("%Y-%m-%dT%H:%M:%S")
            self._events.append(
                {"event_index": index, "event_type": event_type, "door": 1, "event_timestamp": now} | values
            )
            return index

    def overwrite(self, up_to: int) -> None:
        """Let the store be full: events up to this index are no more there."""
        with self._lock:
            self._overwritten = max(self._overwritten, up_to)

    def clear(self) -> None:
        """Forget all events, as a reset to factory settings does; the next has index 1."""
        with self._lock:
            self._events.clear()
            self._overwritten = 0

    def answer(self, request: bytes) -> bytes:
        """Answer one datagram; silence for what is no request, or meant for another controller."""
        try:
            asked: dict[str, Any] = codec.decode(request, "request")
        except DeviceError:
            return b""
        if asked["controller"] not in {0, self.controller}:
            return b""
        if asked["function"] == codec.OPEN_DOOR and not self.refuses:
            self.happen(reason=_REMOTE_OPEN, access_granted=True, door=asked["door"])
        with self._lock:
            values = self._values(asked)
        if values is None:
            return b""
        frame = bytearray(codec.encode(asked["function"], self.controller, values, "response"))
        if asked["function"] == codec.GET_STATUS:
            frame[0] = self.magic
        return bytes(frame)

    def play(self) -> Iterable[Chunk]:
        """It pushes events to its listener only, which is not us."""
        return ()

    def _values(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        match asked["function"]:
            case codec.GET_STATUS:
                return self._status()
            case codec.GET_EVENT:
                return self._event(asked["event_index"])
            case codec.OPEN_DOOR:
                return {"ok": not self.refuses}
            case 0x90:  # set-listener
                self.listener = asked["listener"]
                return {"ok": True}
            case 0x92:  # get-listener
                return {"listener": self.listener}
            case 0x94:  # get-controller
                return {"ip": "192.168.1.100", "netmask": "255.255.255.0", "version": "v8.92", "date": "2018-11-05"}
            case 0x32:  # get-time
                return {"datetime": self.clock().strftime("%Y-%m-%dT%H:%M:%S")}
        return None

    def _status(self) -> dict[str, Any]:
        now = self.clock()
        return (self._events[-1] if self._events else {}) | {
            "doors_open": self.doors_open,
            "system_error": self.system_error,
            "system_date": now.strftime("%Y-%m-%d"),
            "system_time": now.strftime("%H:%M:%S"),
        }

    def _event(self, index: int) -> dict[str, Any]:
        if 0 < index <= self._overwritten:
            return {"event_index": index, "event_type": codec.OVERWRITTEN}
        return self._events[index - 1] if 0 < index <= len(self._events) else {}


class Responder:
    """A simulator behind a real UDP port of the loopback, as a context manager; `delivers` copies of every answer."""

    def __init__(self, simulator: UhppoteSimulator, *, delivers: int = 1) -> None:
        self._simulator = simulator
        self._delivers = delivers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="uhppote-responder", daemon=True)
        self._stopping = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopping:
            request, sender = self._socket.recvfrom(2048)
            answer = self._simulator.answer(request)
            for _ in range(self._delivers if answer else 0):
                self._socket.sendto(answer, sender)
