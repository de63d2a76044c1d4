"""A card reader that is asked again and again: a card that comes is one visit, however long it stays.

The check is one XOR byte, so a card counts only when it is told twice running.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from drivers.card_polled import codec
from drivers.card_polled.simulator import CardPolledSimulator
from edge_agent.driver import (
    CardRef,
    DeviceError,
    Duration,
    Event,
    Link,
    Options,
    Reading,
    Record,
    ReplyShape,
    Site,
    Wire,
)

_TRIES = 3
_KEPT_BITS = {"uid": 32, "w26": 24, "w34": 32}


class CardPolledOptions(Options):
    """Keys of a `[[device]]` with `driver = "card_polled"`."""

    identity: Literal["uid", "w26", "w34"] = "uid"
    """What makes a card the same card: its four bytes of UID, or their lower 24 or all 32 bits in the form of a
    Wiegand 26 or 34 reader of the same operator."""
    uid_order: Literal["msb", "lsb"] = "msb"
    """`lsb` if this reader tells the bytes of the UID in reverse of the operator's other readers."""
    repeat_within: Duration = Field(1.0, gt=0, le=10)
    """A card that comes again within this time has never left the reader."""
    reader: str = "door"
    """The name that visits at this reader carry."""
    timeout: Duration = Field(0.2, gt=0, le=2)
    """Longest wait for an answer."""


class CardPolled:
    """A reader at a serial link; ask it several times a second."""

    Options: ClassVar[type[CardPolledOptions]] = CardPolledOptions
    Simulator: ClassVar[type[CardPolledSimulator]] = CardPolledSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = True

    def __init__(self, options: CardPolledOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._begun = False
        # Of the card at the reader only the reference is kept.
        self._present: CardRef | None = None
        self._seen_at = 0.0

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask once, twice when a card has come; what lies on the reader at the first look came unseen."""
        card = self._ask(link)
        if card is not None and not self._is_present(card, link):
            again = self._ask(link)
            if again != card:
                raise DeviceError("two answers running tell two different things", op="poll", hint="noise on the wire")
            self._present = card
            if self._begun:
                yield Event("visit", {"reader": self._options.reader}, card=card)
        if card is not None:
            self._seen_at = link.monotonic()
        self._begun = True
        yield Reading("card_present", card is not None)

    def _is_present(self, card: CardRef, link: Link) -> bool:
        return card == self._present and link.monotonic() - self._seen_at <= self._options.repeat_within

    def _ask(self, link: Link) -> CardRef | None:
        """Ask, at most twice more after a garbled answer; no byte of one leaves this place."""
        shape = ReplyShape("card_polled", codec.find)
        for _ in range(_TRIES):
            try:
                answer = codec.decode(link.ask(codec.QUESTION, reply=shape, within=self._options.timeout))
            except DeviceError as error:
                received = len(error.raw)
                continue
            return self._reference(answer.uid) if answer.uid else None
        raise DeviceError(f"no valid answer in {received} bytes", op="poll")

    def _reference(self, uid: bytes) -> CardRef:
        if self._site.card_key is None:
            raise DeviceError("the station has no card key", op="card", hint="set key_file in [cards]")
        number = int.from_bytes(uid, "big" if self._options.uid_order == "msb" else "little")
        identity = self._options.identity
        bits = f"{number:032b}"[-_KEPT_BITS[identity] :]
        return self._site.card_key.reference(identity, bits)
