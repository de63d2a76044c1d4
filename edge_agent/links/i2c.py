"""An I²C bus through the kernel's i2c-dev interface (Linux `Documentation/i2c/dev-interface.rst`).

A question is the 7-bit address of a device and the bytes to write to it; its answer is then read until the device
acknowledges. Nothing but the standard library is needed: each read and each write of the device file is one message.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.driver import LineRequest, LinkError, LinkTimeout
from edge_agent.links.asked import AskedLink

_I2C_SLAVE = 0x0703
"""ioctl that names the device of the following reads and writes (linux/i2c-dev.h)."""
_PAUSE = 0.002
"""Seconds between two looks whether a device that is busy measuring acknowledges."""


class Bus(Protocol):
    """An open bus; OSError where a device does not acknowledge."""

    def write(self, address: int, data: bytes) -> None:
        """Send one message."""

    def read(self, address: int, size: int) -> bytes:
        """Receive one message of `size` bytes."""

    def close(self) -> None:
        """Release the bus; never raises."""


class DevBus:
    """`/dev/i2c-N`. Devices that a kernel driver has claimed are refused by the kernel (EBUSY)."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, address: int, data: bytes) -> None:
        """See `Bus`."""
        fcntl.ioctl(self._fd, _I2C_SLAVE, address)
        os.write(self._fd, data)

    def read(self, address: int, size: int) -> bytes:
        """See `Bus`."""
        fcntl.ioctl(self._fd, _I2C_SLAVE, address)
        return os.read(self._fd, size)

    def close(self) -> None:
        """See `Bus`."""
        os.close(self._fd)


class I2cLink(AskedLink):
    """One bus with all its devices."""

    def __init__(self, name: str, path: Path, clock: Clock, opener: Callable[[Path], Bus] = DevBus) -> None:
        super().__init__(name, clock)
        self._path = path
        self._opener = opener
        self._bus: Bus | None = None

    def open(self, lines: tuple[LineRequest, ...] = ()) -> None:
        """Open the bus; raises LinkError(gone=True) with what to do."""
        if self._bus is None:
            try:
                self._bus = self._opener(self._path)
            except OSError as error:
                raise LinkError(_cure(self._path, error), gone=True) from error
        super().open(lines)

    def close(self) -> None:
        """Release the bus; never raises."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        super().close()

    def _exchange(self, request: bytes, size: int, within: float) -> bytes:
        if self._bus is None or not request:
            raise LinkError(f"{self.name}: a question needs an open bus and an address", gone=self._bus is None)
        address, command = request[0], request[1:]
        tries = max(1, round(within / _PAUSE))
        try:
            if command:
                self._bus.write(address, command)
            for _ in range(tries - 1):
                try:
                    return self._bus.read(address, size)
                except OSError as error:
                    if error.errno == errno.ENODEV:
                        raise
                # Not acknowledged: still measuring.
                self.wait(_PAUSE)
            return self._bus.read(address, size)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise LinkError(f"{self._path} is lost: {error.strerror}", gone=True) from error
            raise LinkTimeout(f"nothing answers at {address:02x}h on {self._path}: {error.strerror}") from error


def _cure(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"{path} does not exist: switch I2C on (sudo raspi-config nonint do_i2c 0) and restart"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{path}: permission denied; the agent's user must be in group i2c (sudo usermod -aG i2c edge-agent)"
    return f"{path} cannot be opened: {error.strerror}"
