"""Speak to systemd: one datagram a message, no library.

Source: sd_notify(3) and sd_watchdog_enabled(3), systemd 252: `NOTIFY_SOCKET` holds a path or, after `@`, an abstract
name; `WATCHDOG_USEC` is the time in microseconds within which a sign of life is due, meant for the process
`WATCHDOG_PID` if that is set. Without these variables everything here does nothing, so the agent runs anywhere.
"""

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Seconds to wait for a service manager that does not empty its socket."""


class Notifier:
    """The way to the service manager; `address` None means that there is none."""

    def __init__(self, address: str | None = None, *, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        """Seconds within which systemd expects each WATCHDOG=1, or None if it expects none."""
        self._address = "\0" + address[1:] if address is not None and address.startswith("@") else address
        self._failing = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Notifier":
        """Read what systemd passed to this process; what does not concern it or makes no sense counts as absent."""
        usec = environ.get("WATCHDOG_USEC", "")
        concerned = environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
        watchdog = int(usec) / 1e6 if concerned and usec.isascii() and usec.isdigit() and int(usec) > 0 else None
        return cls(environ.get("NOTIFY_SOCKET") or None, watchdog=watchdog)

    def send(self, *assignments: str) -> None:
        """Send `NAME=value` assignments in one datagram; never raises, a lost message is logged once."""
        if self._address is None:
            return
        message = "\n".join(text.replace("\n", " ") for text in assignments).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_PATIENCE)
                sender.connect(self._address)
                sender.sendall(message)
        except OSError as error:
            if not self._failing:
                log.warning("systemd does not take messages error=%r", error)
            self._failing = True
        else:
            if self._failing:
                log.info("systemd takes messages again")
            self._failing = False
