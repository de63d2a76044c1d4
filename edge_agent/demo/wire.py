"""A real pseudo-terminal with simulated devices at its far end: what an adapter and its bus are on a station.

The agent opens the near end as it opens any serial port, so every byte takes the same way as on a station. The far end
can do what real ones do: be unplugged and come back, or hang.
"""

import contextlib
import os
import select
import threading
import tty
from collections.abc import Sequence
from pathlib import Path

from edge_agent.driver import Simulator
from edge_agent.links.wake import Waker

_SPLIT = 0.002
"""Seconds of silence that end a request."""
_PLAY_EVERY = 0.01


class PtyWire:
    """One bus of simulators behind `path`, a symbolic link to the pseudo-terminal (stable, like /dev/serial/by-id)."""

    def __init__(self, path: Path, simulators: Sequence[Simulator]) -> None:
        self.path = path
        self.simulators = list(simulators)
        self.written = 0
        """Bytes said so far, unasked or as answers."""
        self._hangs = threading.Event()
        self._gate = threading.Lock()
        self._waker = Waker()
        self._stopping = threading.Event()
        self._master: int | None = None
        self._thread = threading.Thread(target=self._serve, name=f"wire-{path.name}", daemon=True)

    def start(self) -> None:
        """Plug in and begin to answer."""
        self.plug()
        self._thread.start()

    def stop(self) -> None:
        """Unplug for good."""
        self._stopping.set()
        self._waker.set()
        self._thread.join(5.0)
        self.unplug()
        self._waker.close()

    def plug(self) -> None:
        """Make the port appear under its path."""
        with self._gate:
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            fresh = self.path.with_name(self.path.name + ".new")
            fresh.symlink_to(os.ttyname(slave))
            fresh.replace(self.path)
            # The near end belongs to whoever opens the path; as long as nobody does, reading the master says EIO.
            os.close(slave)
            self._master = master
        self._waker.set()

    def unplug(self) -> None:
        """Make the port vanish, as an adapter that falls off does."""
        with self._gate:
            if self._master is not None:
                os.close(self._master)
                self._master = None
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def hang(self, *, hangs: bool) -> None:
        """Stop answering without a sign, or go on."""
        if hangs:
            self._hangs.set()
        else:
            self._hangs.clear()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            watched = None
            with self._gate:
                if self._master is not None and not self._hangs.is_set() and self._turn(self._master):
                    watched = os.dup(self._master)
            poll = select.poll()
            poll.register(self._waker, select.POLLIN)
            if watched is not None:
                poll.register(watched, select.POLLIN)
            poll.poll(_PLAY_EVERY * 1000)
            if watched is not None:
                os.close(watched)
            self._waker.clear()

    def _turn(self, master: int) -> bool:
        """Say what is to be said and answer what was asked; False while nobody holds the near end."""
        for simulator in self.simulators:
            for chunk in simulator.play():
                self._write(master, chunk.data)
        poll = select.poll()
        poll.register(master, select.POLLIN)
        request = b""
        wait = 0.0
        while found := poll.poll(wait):
            # A pty without anyone at its near end hangs up and stays readable: only the clock may wait for it.
            if found[0][1] & select.POLLHUP or not (part := self._read(master)):
                return False
            request += part
            wait = _SPLIT * 1000
        if request:
            for simulator in self.simulators:
                self._write(master, simulator.answer(request))
        return True

    @staticmethod
    def _read(master: int) -> bytes:
        try:
            return os.read(master, 4096)
        except OSError:
            return b""

    def _write(self, master: int, data: bytes) -> None:
        if data:
            with contextlib.suppress(OSError):
                self.written += os.write(master, data)
