"""Devices in the network: a serial server that passes bytes on, and the connection under Modbus TCP.

A lost connection is `LinkError(gone=True)`, like an adapter pulled out, and is opened again in the same way. A far end
that loses its power says nothing; the kernel finds out by keepalive and by data that nobody acknowledges.
"""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Iterator

from edge_agent.driver import LinkError
from edge_agent.links.wake import Waker

_READ_SIZE = 4096
_CONNECT_S = 3.0
_WRITE_S = 2.0
"""Longest time in which a request of a few hundred bytes may find no room in the send buffer."""
_DEAD_AFTER_S = 12
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _DEAD_AFTER_S // 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_S * 1000),
)
"""tcp(7): what is sent is lost when unacknowledged for `_DEAD_AFTER_S`, and an idle connection after as long."""


class TcpPort:
    """An open connection, a `bytelink.Port`. Only `wake` may be called from another thread than the owner's."""

    def __init__(self, connection: socket.socket, name: str, *, write_within: float = _WRITE_S) -> None:
        self._connection = connection
        self._name = name
        self._write_within = write_within
        self._waker = Waker()
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)
        self._poll.register(self._waker.fileno(), select.POLLIN)

    def write(self, data: bytes) -> None:
        """Hand all of `data` to the kernel in time; LinkError(gone=True) if that cannot be."""
        deadline = time.monotonic() + self._write_within
        with self._gone_on_failure():
            while data:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(errno.ETIMEDOUT, "takes no more bytes")
                _, ready, _ = select.select((), (self._connection,), (), left)
                if ready:
                    data = data[self._connection.send(data) :]

    def read(self, within: float) -> bytes:
        """Return what has arrived, waiting at most `within` seconds for the first byte; b"" if nothing came.

        A `wake` ends the wait. With `within` 0 a `wake` stays due, so that only a real wait spends it.
        """
        with self._gone_on_failure():
            ready = {fd for fd, _ in self._poll.poll(max(within, 0.0) * 1000)}
            if within > 0 and self._waker.fileno() in ready:
                self._waker.clear()
            if self._connection.fileno() not in ready:
                return b""
            data = self._connection.recv(_READ_SIZE)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the far end")
            return data

    def wake(self) -> None:
        """Make a waiting `read`, or else the next one, return at once."""
        self._waker.set()

    def close(self) -> None:
        """End the connection; never raises."""
        self._waker.close()
        self._connection.close()

    @contextlib.contextmanager
    def _gone_on_failure(self) -> Iterator[None]:
        if self._connection.fileno() < 0:
            raise LinkError(f"{self._name} is closed", gone=True)
        try:
            yield
        except OSError as error:
            self.close()
            raise LinkError(f"connection to {self._name} is lost ({error.strerror or error})", gone=True) from error


def open_tcp(host: str, port: int) -> TcpPort:
    """Connect to an address within three seconds; raises LinkError(gone=True) that says what to do about it."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_S)
    except OSError as error:
        raise LinkError(_cure(name, error), gone=True) from error
    # From here on poll and select wait; a call on the socket itself must never do.
    connection.setblocking(False)  # noqa: FBT003  (the name of the standard library)
    for level, option, value in _OPTIONS:
        connection.setsockopt(level, option, value)
    return TcpPort(connection, name)


def _cure(name: str, error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"{name} refuses the connection: is it set to TCP server on this port, and does no other client hold it?"
    if isinstance(error, TimeoutError) or error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}:
        return f"{name} does not answer: has it power, is its network cable in, is the address right?"
    return f"{name} cannot be reached: {error.strerror or error}"
