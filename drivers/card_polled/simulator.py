"""A polled card reader seen from its far end."""

import threading
from collections.abc import Iterable

from drivers.card_polled import codec
from edge_agent.driver import Chunk, Options, Site


class CardPolledSimulator:
    """No card lies on it at first; may be used from any thread."""

    def __init__(self, options: Options, site: Site) -> None:
        del options, site
        self._lock = threading.Lock()
        self._uid = b""

    def hold(self, uid: int) -> None:
        """Hold the card with this UID (32 bits) to the reader until `remove`."""
        with self._lock:
            self._uid = uid.to_bytes(4)

    def remove(self) -> None:
        """Take the card away."""
        with self._lock:
            self._uid = b""

    def answer(self, request: bytes) -> bytes:
        """Tell what lies on the reader."""
        with self._lock:
            return codec.Answer(self._uid).encode() if request == codec.QUESTION else b""

    def play(self) -> Iterable[Chunk]:
        """Nothing: it speaks only when asked."""
        return ()
