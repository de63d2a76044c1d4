"""A serial port that says at once when it is lost, and what to do when it cannot be had.

pyserial opens and configures the port; waiting is ours, because its `read` waits for a count of bytes instead of for
the first one, and reports a lost adapter now as SerialException, now as OSError(5), now as an empty read. Here all
three are `LinkError(gone=True)`, and the descriptor is closed before the error leaves: a kept one makes a re-plugged
adapter come back under another name.
"""

import contextlib
import errno
import grp
import os
import select
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import serial

from edge_agent.driver import LinkError
from edge_agent.links.bytelink import Timing
from edge_agent.links.line import Line, Parity, StopBits
from edge_agent.links.wake import Waker

_READ_SIZE = 4096
_WRITE_SLACK = 1.0
"""Seconds a write may take beyond the time its bytes need on the wire."""


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How to open a port: 8 data bits always, `baud` in bits per second."""

    port: str
    baud: int = 9600
    parity: Parity = "N"
    stop_bits: StopBits = 1

    @property
    def line(self) -> Line:
        """How characters look on it."""
        return Line(self.baud, self.parity, self.stop_bits)

    @property
    def character(self) -> float:
        """Seconds one character takes: start bit, 8 data bits, parity, stop bits."""
        return self.line.character


def timing_for(
    settings: SerialSettings,
    *,
    guard: float | None = None,
    max_reply_delay: float = 2.0,
    echo: Literal["auto", "yes", "no"] = "auto",
) -> Timing:
    """Return the link's timing; `guard` (s) defaults to 3.5 characters, the longest any protocol here asks for."""
    if guard is None:
        guard = settings.line.guard
    return Timing(guard=guard, max_reply_delay=max_reply_delay, echo=echo)


class SerialPort:
    """An open serial port, a `bytelink.Port`. Only `wake` may be called from another thread than the owner's."""

    def __init__(self, device: serial.Serial, settings: SerialSettings) -> None:
        self._device = device
        self._settings = settings
        self._character = settings.character
        self._waker = Waker()
        self._poll = select.poll()
        self._poll.register(device.fileno(), select.POLLIN)
        self._poll.register(self._waker.fileno(), select.POLLIN)

    def write(self, data: bytes) -> None:
        """Send all of `data` and wait until the kernel has handed it on; LinkError(gone=True) if that cannot be."""
        needed = len(data) * self._character + _WRITE_SLACK
        deadline = time.monotonic() + needed
        with self._gone_on_failure():
            self._device.write_timeout = needed
            self._device.write(data)
            # Not tcdrain: with an adapter that hangs it waits for ever.
            while self._device.out_waiting:
                if time.monotonic() > deadline:
                    # Bytes left in the queue would go out later, as a request that nobody asks any more.
                    self._device.reset_output_buffer()
                    raise serial.SerialTimeoutException("Write timeout")
                select.select((), (), (), self._character)

    def read(self, within: float) -> bytes:
        """Return what has arrived, waiting at most `within` seconds for the first byte; b"" if nothing came.

        A `wake` ends the wait. With `within` 0 a `wake` stays due, so that only a real wait spends it.
        """
        with self._gone_on_failure():
            ready = {fd for fd, _ in self._poll.poll(max(within, 0.0) * 1000)}
            if within > 0 and self._waker.fileno() in ready:
                self._waker.clear()
            if self._device.fileno() not in ready:
                return b""
            data = os.read(self._device.fileno(), _READ_SIZE)
            if not data:
                # pyserial sets VMIN 0, so "ready" followed by nothing is how a lost adapter looks.
                raise OSError(errno.EIO, "end of file")
            return data

    def tune(self, line: Line | None) -> None:
        """Send and receive as `line` says from now on, None = as opened.

        LinkError if this port cannot (a UART without parity): it is then as opened.
        """
        line = line or self._settings.line
        with self._gone_on_failure():
            try:
                self._apply(line)
            except (ValueError, termios.error) as error:
                self._apply(self._settings.line)
                wanted = f"{line.baud} 8{line.parity}{line.stop_bits}"
                raise LinkError(f"{self._settings.port} cannot speak {wanted} ({error})") from error

    def _apply(self, line: Line) -> None:
        self._device.apply_settings({"baudrate": line.baud, "parity": line.parity, "stopbits": line.stop_bits})
        self._character = line.character

    def wake(self) -> None:
        """Make a waiting `read`, or else the next one, return at once."""
        self._waker.set()

    def close(self) -> None:
        """Release the port; never raises."""
        self._waker.close()
        with contextlib.suppress(OSError):
            self._device.close()

    @contextlib.contextmanager
    def _gone_on_failure(self) -> Iterator[None]:
        if not self._device.is_open:
            raise LinkError(f"{self._settings.port} is closed", gone=True)
        try:
            yield
        except serial.SerialTimeoutException as error:
            self.close()
            raise LinkError(
                f"{self._settings.port} takes no more bytes: the adapter hangs or its far end is stalled", gone=True
            ) from error
        except (OSError, termios.error) as error:  # SerialException is an OSError
            self.close()
            raise LinkError(
                f"{self._settings.port} is lost ({error}): was the adapter unplugged?", gone=True
            ) from error


def open_serial(settings: SerialSettings) -> SerialPort:
    """Open the port with an exclusive lock and an empty input queue.

    Raises LinkError(gone=True) that says what to do about it. Bytes received before are thrown away: nothing is
    promised for what was on the wire while nobody listened, and half a frame would only be a rejected one.
    """
    try:
        device = serial.Serial(
            settings.port,
            settings.baud,
            parity=settings.parity,
            stopbits=settings.stop_bits,
            timeout=0,
            write_timeout=_WRITE_SLACK,
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:  # ValueError: a baud rate the system does not know
        raise LinkError(_cure(settings.port, error), gone=True) from error
    if settings.parity != "N" and not termios.tcgetattr(device.fileno())[2] & termios.PARENB:
        # The kernel takes the setting and leaves it out: what came would look like noise.
        device.close()
        raise LinkError(f"{settings.port} has no parity bit, like the mini UART of a Pi: take another port", gone=True)
    return SerialPort(device, settings)


def _cure(port: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOENT, errno.ENXIO, errno.ENODEV}:
        return f"{port} does not exist: is the adapter plugged in? {_present()}"
    if number in {errno.EACCES, errno.EPERM}:
        return f"{port}: permission denied; the agent's user must be in group {_group(port)}"
    if number in {errno.EBUSY, errno.EAGAIN}:
        return f"{port} is in use by {_holder(port)}; two programs on one wire garble each other, stop one"
    if number == errno.EIO:
        return f"{port} does not react (I/O error): unplug the adapter and plug it in again"
    return f"{port} cannot be opened as a serial port: {error}"


def _present() -> str:
    names = sorted(str(path) for path in Path("/dev/serial/by-path").glob("*"))
    if not names:
        return "No USB serial adapter is present now (/dev/serial/by-path is empty)"
    return f"Present now: {', '.join(names)}"


def _group(port: str) -> str:
    try:
        name = grp.getgrgid(Path(port).stat().st_gid).gr_name
    except (OSError, KeyError):
        name = "dialout"
    return f"{name} (sudo usermod -aG {name} edge-agent, then restart the agent)"


def _holder(port: str) -> str:
    """Name the process that holds the lock, from /proc/locks: `N: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`."""
    unknown = f"another program (sudo fuser -v {port} names it)"
    try:
        status = Path(port).stat()
        wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == wanted:
                pid = int(fields[4])
                if pid == os.getpid():
                    return "this agent itself: another link names the same port"
                return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text(encoding='utf-8').strip()})"
    except (OSError, ValueError):
        return unknown
    return unknown
