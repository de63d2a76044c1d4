"""UDP datagrams to one device on the network, as the raw end of a ByteLink.

The socket is connected: the kernel drops what comes from anywhere but the device's own address and port. A datagram
arrives whole and undamaged (checksums of Ethernet and UDP) or not at all, but perhaps late, twice or in another order.
"""

import contextlib
import errno
import os
import select
import socket

from edge_agent.driver import LinkError
from edge_agent.links.wake import Waker

_LARGEST = 65_535
_UNREACHABLE = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN))


class UdpPort:
    """An open UDP socket, a `bytelink.Port`. Only `wake` may be called from another thread than the owner's."""

    def __init__(self, device: socket.socket, where: str) -> None:
        self._socket = device
        self._where = where
        self._waker = Waker()
        self._poll = select.poll()
        self._poll.register(device.fileno(), select.POLLIN)
        self._poll.register(self._waker.fileno(), select.POLLIN)

    def write(self, data: bytes) -> None:
        """Send `data` as one datagram; LinkError if the network refuses it, `gone` if there is no way at all."""
        # What an earlier datagram met (port unreachable) would be reported for this one.
        self._open().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            self._socket.send(data)
        except OSError as error:
            raise self._failed(error) from error

    def read(self, within: float) -> bytes:
        """Return the next datagram, waiting at most `within` seconds; b"" if none came.

        A `wake` ends the wait. With `within` 0 a `wake` stays due, so that only a real wait spends it.
        """
        device = self._open()
        ready = {fd for fd, _ in self._poll.poll(max(within, 0.0) * 1000)}
        if within > 0 and self._waker.fileno() in ready:
            self._waker.clear()
        if device.fileno() not in ready:
            return b""
        try:
            return device.recv(_LARGEST)
        except BlockingIOError:
            # The kernel found a damaged datagram and dropped it after all.
            return b""
        except OSError as error:
            raise self._failed(error) from error

    def wake(self) -> None:
        """Make a waiting `read`, or else the next one, return at once."""
        self._waker.set()

    def close(self) -> None:
        """Release the socket; never raises."""
        self._waker.close()
        with contextlib.suppress(OSError):
            self._socket.close()

    def _open(self) -> socket.socket:
        if self._socket.fileno() < 0:
            raise LinkError(f"{self._where} is closed", gone=True)
        return self._socket

    def _failed(self, error: OSError) -> LinkError:
        """Say what it means; the socket itself stays good when only the far end is missing."""
        if error.errno == errno.ECONNREFUSED:
            return LinkError(
                f"{self._where}: the address answers, but nothing listens on that port; is the port right?"
            )
        self.close()
        return LinkError(_cure(self._where, error), gone=True)


def open_udp(host: str, port: int) -> UdpPort:
    """Open a socket that talks to IP address `host` only; raises LinkError(gone=True) that says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    device = socket.socket(family, socket.SOCK_DGRAM)
    try:
        device.setblocking(False)  # noqa: FBT003  (the library's own signature)
        device.connect((host, port))
    except OSError as error:
        device.close()
        raise LinkError(_cure(where, error), gone=True) from error
    return UdpPort(device, where)


def _cure(where: str, error: OSError) -> str:
    if error.errno in _UNREACHABLE:
        return f"{where}: no way there; is the network cable in, and is the address in this station's network?"
    return f"{where} cannot be talked to ({os.strerror(error.errno or 0)})"
