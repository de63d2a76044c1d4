"""A Wiegand reader, seen from its far end."""

import threading
from collections.abc import Iterable

from drivers.wiegand.codec import encode, encode_key
from drivers.wiegand.options import WiegandOptions
from edge_agent.driver import Chunk, Edge, Site

PULSE = 80e-6
"""Seconds a line is low; readers take 50 to 100 µs."""
PERIOD = 2e-3
"""Seconds from bit to bit; readers take 1 to 2 ms."""
_PAUSE = 0.15
"""Seconds of simulated time between two bursts, longer than any frame gap."""


class WiegandSimulator:
    """Sends the cards it is shown as pulses; may be used from any thread. Its times count from its own zero."""

    def __init__(self, options: WiegandOptions, site: Site) -> None:
        del site
        self._options = options
        self._lock = threading.Lock()
        self._sent: list[Chunk] = []
        self._now = 0.0

    def swipe(self, card: int, card_format: str = "") -> None:
        """Show a card: `card` is its whole number (24 bits of `w26`); the format is the first one configured."""
        self.send(encode(card, card_format or self._options.formats[0]))

    def press(self, key: str) -> None:
        """Press a key ("0" to "9", "*", "#") of the keypad."""
        self.send(encode_key(key, self._options.keypad))

    def send(self, bits: str) -> None:
        """Send any bits, one pulse each."""
        lines = {"0": self._options.d0, "1": self._options.d1}
        with self._lock:
            edges: list[Edge] = []
            for number, bit in enumerate(bits):
                begin = self._now + number * PERIOD
                edges += (Edge(lines[bit], high=False, at=begin), Edge(lines[bit], high=True, at=begin + PULSE))
            self._now += len(bits) * PERIOD
            self._sent.append(Chunk(at=self._now, edges=tuple(edges)))
            self._now += _PAUSE

    def answer(self, request: bytes) -> bytes:
        """It takes no requests."""
        del request
        return b""

    def play(self) -> Iterable[Chunk]:
        """What it sent since the last call."""
        with self._lock:
            sent, self._sent = self._sent, []
        return sent
