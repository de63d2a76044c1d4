"""A way to end a wait on file descriptors from another thread."""

import contextlib
import socket
import threading


class Waker:
    """A socket pair: `set` makes `fileno` readable until `clear`. `set` is safe from any thread, also after `close`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        # Without the lock a `set` could write into a descriptor that `close` has just freed for somebody else.
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor to poll for reading; -1 once closed."""
        return self._reader.fileno()

    def set(self) -> None:
        """End the wait that is going on, or else the next one."""
        with self._lock, contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Forget every `set` so far."""
        with contextlib.suppress(OSError):
            self._reader.recv(4096)

    def close(self) -> None:
        """Free both descriptors; never raises."""
        with self._lock:
            self._reader.close()
            self._writer.close()
