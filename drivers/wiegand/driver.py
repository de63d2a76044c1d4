"""Listens to a Wiegand reader: bursts of edges become visits, doubtful bursts become counts."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from drivers.card_uart.codec import RejectWatch
from drivers.wiegand.codec import Card, RejectedFrame, decode, is_key
from drivers.wiegand.frames import Burst, Collector
from drivers.wiegand.options import WiegandOptions
from drivers.wiegand.simulator import WiegandSimulator
from edge_agent.driver import CardRef, Chunk, DeviceError, Event, LineRequest, Reading, Record, Site, Wire


class Wiegand:
    """One access for each accepted frame; the station's double-swipe window merges what a reader repeats."""

    Options: ClassVar[type[WiegandOptions]] = WiegandOptions
    Simulator: ClassVar[type[WiegandSimulator]] = WiegandSimulator
    wire: ClassVar[Wire] = Wire.EDGES
    sensitive: ClassVar[bool] = True

    def __init__(self, options: WiegandOptions, site: Site) -> None:
        self.settle = options.frame_gap
        self._options = options
        self._site = site
        self._collector = Collector(options.d0, options.d1, options.frame_gap)
        self._watch = RejectWatch()

    def lines(self) -> tuple[LineRequest, ...]:
        """D0 and D1, falling edges only: a pulse begins where it falls, and fewer edges are fewer to lose."""
        lines = (self._options.d0, self._options.d1)
        return tuple(LineRequest(line, pull=self._options.pull, edges="falling") for line in lines)

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Take edges as they come; raises DeviceError only if the station has no card key."""
        for burst in self._collector.feed(chunk.edges):
            yield from self._judge(burst)

    def quiet(self, now: float) -> Iterable[Record]:
        """End the frame that the silence completes, and clear the alarm in time."""
        for burst in self._collector.quiet(now):
            yield from self._judge(burst)
        yield from self._watch.clean(now)

    def _judge(self, burst: Burst) -> Iterator[Record]:
        if not burst.reason and is_key(burst.bits, self._options.keypad):
            return  # a key of somebody's code: not a card, not a fault, and not kept
        try:
            if burst.reason:
                raise RejectedFrame(burst.reason)
            card = decode(burst.bits, self._options.formats)
        except RejectedFrame as rejected:
            yield Reading("rejected_bits", len(burst.bits))
            yield from self._watch.reject(str(rejected), burst.at)
            return
        yield Event("visit", {"reader": self._options.reader}, card=self._reference(card), at=burst.at)

    def _reference(self, card: Card) -> CardRef:
        if self._site.card_key is None:
            raise DeviceError("the station has no card key", op="card", hint="set key_file in [cards]")
        bits = card.bits
        if self._options.uid_order == "lsb" and len(bits) % 8 == 0:
            bits = "".join(reversed([bits[start : start + 8] for start in range(0, len(bits), 8)]))
        # Both layouts of 37 bits carry the same 35: where the facility ends is only a matter of printing.
        return self._site.card_key.reference(card.format.partition("_")[0], bits)
