"""A serial card reader, seen from its far end."""

import threading
from collections.abc import Iterable

from drivers.card_uart.codec import encode
from drivers.card_uart.options import CardUartOptions
from edge_agent.driver import Chunk, Site

_REPEAT = 0.065
"""Seconds between two tellings of a card that stays (arduino12/rdm6300)."""
_PAUSE = 1.0
"""Seconds of simulated time between two cards."""


class CardUartSimulator:
    """Tells the cards it is shown; may be used from any thread. Its times count from its own zero."""

    def __init__(self, options: CardUartOptions, site: Site) -> None:
        del site
        self._variant = options.variant
        self._lock = threading.Lock()
        self._said: list[Chunk] = []
        self._now = 0.0

    def swipe(self, card: int, *, stay: float = 0.1) -> None:
        """Hold `card` (its number: at most 40 bits, `decimal10` 32) to the reader for `stay` seconds."""
        frame = encode(card, self._variant)
        with self._lock:
            for _ in range(1 + int(stay / _REPEAT)):
                self._said.append(Chunk(at=self._now, data=frame))
                self._now += _REPEAT
            self._now += _PAUSE

    def noise(self, data: bytes) -> None:
        """Let bytes appear on the wire that are no frame."""
        with self._lock:
            self._said.append(Chunk(at=self._now, data=data))
            self._now += _PAUSE

    def answer(self, request: bytes) -> bytes:
        """It takes no requests."""
        del request
        return b""

    def play(self) -> Iterable[Chunk]:
        """What it said since the last call."""
        with self._lock:
            said, self._said = self._said, []
        return said
