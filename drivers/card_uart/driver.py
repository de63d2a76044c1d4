"""Listens to a serial card reader: frames become visits, damaged frames become counts."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from drivers.card_uart.codec import Card, Framer, Rejected, RejectWatch
from drivers.card_uart.options import CardUartOptions
from drivers.card_uart.simulator import CardUartSimulator
from edge_agent.driver import CardRef, Chunk, DeviceError, Event, LineRequest, Record, Site, Wire

_KEPT_BITS = {"w26": 24, "w34": 32}
_OWN_FORMAT = {"rdm6300": "em4100", "decimal10": "decimal10"}


class CardUart:
    """One access for each time a card comes to the reader, however often the reader repeats it.

    A variant without a checksum must tell the same card twice before it counts.
    """

    Options: ClassVar[type[CardUartOptions]] = CardUartOptions
    Simulator: ClassVar[type[CardUartSimulator]] = CardUartSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = True

    settle = 0.1
    """A frame takes 15 ms and its repetition follows after 50 ms of silence, so 100 ms of it end any frame."""

    def __init__(self, options: CardUartOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._framer = Framer(options.variant)
        self._watch = RejectWatch()
        self._needed = 2 if options.variant == "decimal10" else 1
        self._heard_at = float("-inf")
        # Of the card at the reader only the reference is kept.
        self._present: CardRef | None = None
        self._seen_at = float("-inf")
        self._times = 0

    def lines(self) -> tuple[LineRequest, ...]:
        """No GPIO."""
        return ()

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Take bytes as they come; raises DeviceError only if the station has no card key."""
        if chunk.at >= self._heard_at + self.settle:
            yield from self._cut_off(chunk.at)
        self._heard_at = chunk.at
        for found in self._framer.feed(chunk.data):
            if isinstance(found, Rejected):
                yield from self._watch.reject(found.reason, chunk.at)
            else:
                yield from self._seen(found, chunk.at)

    def quiet(self, now: float) -> Iterable[Record]:
        """Give up on half a frame, and clear the alarm in time."""
        if now >= self._heard_at + self.settle:
            yield from self._cut_off(now)
        yield from self._watch.clean(now)

    def _cut_off(self, at: float) -> Iterator[Record]:
        for rejected in self._framer.end():
            yield from self._watch.reject(rejected.reason, at)

    def _seen(self, card: Card, at: float) -> Iterator[Record]:
        reference = self._reference(card)
        stayed = reference == self._present and at - self._seen_at <= self._options.repeat_within
        self._times = self._times + 1 if stayed else 1
        self._present = reference
        self._seen_at = at
        if self._times == self._needed:
            yield Event("visit", {"reader": self._options.reader}, card=reference)

    def _reference(self, card: Card) -> CardRef:
        if self._site.card_key is None:
            raise DeviceError("the station has no card key", op="card", hint="set key_file in [cards]")
        identity = self._options.identity
        if identity == "own":
            return self._site.card_key.reference(_OWN_FORMAT[self._options.variant], card.bits)
        return self._site.card_key.reference(identity, card.bits[-_KEPT_BITS[identity] :])
