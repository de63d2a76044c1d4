"""One TCP or TLS connection of the broker: packets in, batched bytes out, and the power to fall silent.

Writes of one turn of the event loop leave together: a chunk of a hundred publishes is answered by one system call.
"""

import asyncio
import contextlib
import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import cast

from edge_agent.demo.mqtt_codec import PacketReader
from edge_agent.demo.mqtt_packets import Packet
from edge_agent.demo.mqtt_wire import ProtocolError

log = logging.getLogger(__name__)

LINGER_S = 2.0
"""How long a closing connection may take to hand its last bytes to the peer."""


class Connection(asyncio.Protocol):
    """Transport side of a session; a subclass gives the packets their meaning.

    Three states hold packets back: `silent` (asked for by a test), blocked (the peer reads too slowly), closing.
    """

    def __init__(self, clock: Callable[[], float], maximum_packet_size: int) -> None:
        self.clock = clock
        self.silent = False
        self.closing = False
        self.last_heard = clock()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = PacketReader(maximum_packet_size)
        self._out: list[bytes] = []
        self._blocked = False
        self._closed_at = 0.0

    @abstractmethod
    def handle_made(self) -> None:
        """The transport is open."""

    @abstractmethod
    def handle_packet(self, packet: Packet) -> None:
        """Act on one packet; a ProtocolError raised here goes to `handle_error`."""

    @abstractmethod
    def handle_error(self, error: ProtocolError) -> None:
        """The peer broke the protocol: tell it and close."""

    @abstractmethod
    def handle_lost(self) -> None:
        """The connection is gone."""

    @abstractmethod
    def handle_writable(self) -> None:
        """Everything written so far is on its way, and more may follow."""

    @property
    def writable(self) -> bool:
        """Whether more bytes would leave soon."""
        return not (self.silent or self.closing or self._blocked)

    def send(self, data: bytes) -> None:
        """Write `data` with everything else of this turn of the loop."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        self._out.append(data)

    def flush(self) -> None:
        """Write what is waiting now, unless silent."""
        if self.silent or not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        if not self.transport.is_closing():
            self.transport.write(data)
            self.handle_writable()

    def close(self, last_words: bytes = b"") -> None:
        """Write `last_words` and close; a silent connection is cut without them."""
        if self.closing:
            return
        if self.silent:
            self.abort()
            return
        self._out.append(last_words)
        self.flush()
        self.closing, self._closed_at = True, self.clock()
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection; bytes still waiting are lost."""
        self.closing, self._closed_at = True, self.clock()
        self._out.clear()
        self.transport.abort()

    def set_silent(self, silent: bool) -> None:  # noqa: FBT001 - the one argument of a setter
        """Stop reading and writing, or go on where it stopped."""
        self.silent = silent
        self._steer_reading()
        if not silent and not self.closing:
            self.last_heard = self.clock()
            self.flush()
            self._handle_packets()
            self.handle_writable()

    def check_linger(self, now: float) -> None:
        """Cut a closing connection whose peer does not take the last bytes."""
        if self.closing and now - self._closed_at > LINGER_S:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)
        self.handle_made()

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self.last_heard = self.clock()
        self._reader.feed(data)
        self._handle_packets()

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol: a peer that does not read is not read from either."""
        self._blocked = True
        self._steer_reading()

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._blocked = False
        self._steer_reading()
        self.handle_writable()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it ended makes no difference
        """Part of asyncio.Protocol."""
        self.closing = True
        with contextlib.suppress(asyncio.InvalidStateError):
            self.lost.set_result(None)
        self.handle_lost()

    def _handle_packets(self) -> None:
        try:
            while not (self.silent or self.closing) and (packet := self._reader.next_packet()) is not None:
                self.handle_packet(packet)
        except ProtocolError as error:
            log.info("peer broke the protocol: %s", error)
            self.handle_error(error)

    def _steer_reading(self) -> None:
        if self.silent or self._blocked:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
