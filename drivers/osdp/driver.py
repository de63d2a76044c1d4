"""Polls an OSDP reader over a secure channel: cards become visits, keys become events without their digits."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

from drivers.osdp import codec
from drivers.osdp.library import load_key
from drivers.osdp.options import OsdpOptions
from drivers.osdp.panel import Panel, SecureChannelError
from drivers.osdp.simulator import OsdpSimulator
from drivers.wiegand.codec import RejectedFrame, decode
from edge_agent.driver import CardKey, CardRef, DeviceError, Event, Link, Reading, Record, ReplyShape, Site, Wire

_CARD, _KEYS, _STATUS = 1, 2, 4
"""Kinds of libosdp's events (osdp.h, `enum osdp_event_type`)."""
_WIEGAND = 1
_LOCAL = 2
"""Raw card data in the order of a Wiegand reader; a status report about the reader itself."""


class Osdp:
    """See the module. Any fault ends the session; the next poll begins a new one with a new handshake."""

    Options: ClassVar[type[OsdpOptions]] = OsdpOptions
    Simulator: ClassVar[type[OsdpSimulator]] = OsdpSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = True

    def __init__(self, options: OsdpOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._panel: Panel | None = None

    def poll(self, link: Link) -> Iterable[Record]:
        """Poll once; raises LinkError, and DeviceError without a key, a card key or libosdp."""
        card_key = self._site.card_key
        if card_key is None:
            # Before asking: a reader tells a card only once.
            raise DeviceError("the station has no card key", op="card", hint="set key_file in [cards]")
        panel, heard = self._exchange(link)
        serial, firmware = panel.identity()
        yield Reading("secure", value=True)
        yield Reading("sn", serial)
        yield Reading("firmware", firmware)
        for event in heard:
            yield from self._tell(event, card_key)

    def _exchange(self, link: Link) -> tuple[Panel, list[dict[str, Any]]]:
        panel, self._panel = self._panel, None
        heard = None
        if panel is not None:
            # A reader that was without power has forgotten the session; then a new one is made at once.
            with suppress(SecureChannelError):
                heard = panel.exchange(lambda command: self._ask(link, command))
        if panel is None or heard is None:
            panel = Panel(self._options.address, load_key(self._options.key_file))
            heard = panel.exchange(lambda command: self._ask(link, command))
        self._panel = panel
        return panel, heard

    def _ask(self, link: Link, command: bytes) -> bytes:
        """Ask, and once more if the reply came damaged: a reader repeats its reply to a repeated sequence number."""
        asked = codec.decode(command)

        def find(received: bytes) -> bytes | None:
            for packet, frame in codec.find(received):
                fits = packet.sequence == asked.sequence or packet.code == codec.BUSY
                if packet.reply and packet.address == asked.address and fits:
                    return frame
            return None

        shape = ReplyShape(key=("osdp", asked.address), find=find)
        for _ in range(2):
            try:
                return link.ask(command, reply=shape, within=self._options.timeout)
            except DeviceError as error:
                damaged = len(error.raw)
        # Without the bytes: they may hold somebody's card.
        raise DeviceError(f"{damaged} bytes came that are no reply", op=asked.name)

    def _tell(self, event: dict[str, Any], card_key: CardKey) -> Iterator[Record]:
        if event["event"] == _CARD:
            yield Event("visit", {"reader": self._options.reader}, card=self._reference(event, card_key))
        elif event["event"] == _KEYS:
            yield Event("keypad_used", {"reader": self._options.reader})
        elif event["event"] == _STATUS and event["type"] == _LOCAL:
            tamper, power = (*event["report"], 0, 0)[:2]
            yield Reading("tamper", bool(tamper), prompt=True)
            yield Reading("power_fault", bool(power), prompt=True)

    def _reference(self, event: dict[str, Any], card_key: CardKey) -> CardRef:
        data: bytes = event["data"]
        if event["format"] not in {0, _WIEGAND}:
            return card_key.reference("osdp_text", "".join(f"{byte:08b}" for byte in data))
        bits = "".join(f"{byte:08b}" for byte in data)[: event["length"]]
        try:
            card = decode(bits, self._options.formats)
        except RejectedFrame:
            # The channel vouches for the bits: a card of another format is a card all the same.
            return card_key.reference("osdp", bits)
        return card_key.reference(card.format.partition("_")[0], card.bits)
