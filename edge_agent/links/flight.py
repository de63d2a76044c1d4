"""The flight recorder of a link: the last bytes on its wire, kept in memory and written down around a fault.

Nothing is written while all is well, and no more than a few small files ever: a fault that repeats must not wear out
the card. Links with personal bytes get no recorder at all.
"""

import logging
import threading
from collections import deque
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.links import capture
from edge_agent.links.capture import Piece

log = logging.getLogger(__name__)

_KEPT_BYTES = 32_768
"""About the last half minute of a busy pair at 9600 baud."""
_AFTER = 16
"""Pieces recorded after a fault before the record is closed: what came next often explains it."""
_FILES = 4
_PAUSE_S = 600.0


class FlightRecorder:
    """Use `tap` as the link's tap; `fault` may be called from any thread."""

    def __init__(self, link: str, directory: Path, clock: Clock, protocol: str = "") -> None:
        self._link = link
        self._directory = directory
        self._clock = clock
        self._protocol = protocol
        self._lock = threading.Lock()
        self._ring: deque[Piece] = deque()
        self._bytes = 0
        self._why = ""
        self._left = 0
        self._next = float("-inf")

    def tap(self, direction: str, data: bytes) -> None:
        """Take what was sent (`>`) or received (`<`) now."""
        with self._lock:
            self._ring.append(Piece(self._clock.monotonic(), direction, data))
            self._bytes += len(data)
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._ring.popleft().data)
            if not self._left:
                return
            self._left -= 1
            done = not self._left
        if done:
            self.close()

    def fault(self, why: str) -> None:
        """Keep what is in the ring and a little of what follows; within 10 min of another fault nothing happens."""
        with self._lock:
            now = self._clock.monotonic()
            if self._left or now < self._next:
                return
            self._next = now + _PAUSE_S
            self._why = why
            self._left = _AFTER

    def close(self) -> None:
        """Write what a fault has asked for, if it has not been written yet; never raises."""
        with self._lock:
            why, self._why = self._why, ""
            self._left = 0
            pieces = list(self._ring)
        if why and pieces:
            self._write(pieces, why)

    def _write(self, pieces: list[Piece], why: str) -> None:
        text = capture.lines(capture.joined(pieces), source=f"link {self._link}: {why}", protocol=self._protocol)
        stamp = round(self._clock.wall() * 1000)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / f"{self._link}.{stamp}.jsonl").write_text(
                "".join(f"{line}\n" for line in text), encoding="utf-8"
            )
            for old in sorted(self._directory.glob(f"{self._link}.*.jsonl"), key=_stamp)[:-_FILES]:
                old.unlink()
        except OSError as error:
            log.warning("flight record cannot be written link=%s: %s", self._link, error)


def _stamp(file: Path) -> int:
    stamp = file.name.split(".")[-2]
    return int(stamp) if stamp.isdecimal() else 0
