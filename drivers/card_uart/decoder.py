"""What captured bytes of a card reader mean; only for captures that somebody hands over on purpose."""

from typing import get_args

from drivers.card_uart.codec import Card, Framer, Rejected, Variant, decode
from edge_agent.driver import Capture, DeviceError, Json

OPTIONS = {"variant": get_args(Variant)}
_CRLF_AT = slice(11, 13)


def explain(capture: Capture) -> dict[str, Json]:
    """Explain one frame, or a `stream` of them; raises DeviceError with the reason for refusing."""
    if capture.kind == "stream":
        return _explain_stream(capture)
    variant = _variant(capture, capture.data)
    card = decode(capture.data, variant)
    if isinstance(card, Rejected):
        raise DeviceError(card.reason)
    number = int(card.bits[-32:], 2)
    meaning: dict[str, Json] = {
        "variant": variant,
        "card": number,
        "printed": f"{number:010d}",
        "wiegand": f"{number >> 16 & 0xFF},{number & 0xFFFF}",
    }
    if variant == "rdm6300":
        whole = int(card.bits, 2)
        meaning |= {"version": whole >> 32, "card_hex10": f"{whole:010X}", "checksum": int(capture.data[11:13], 16)}
    return meaning


def _explain_stream(capture: Capture) -> dict[str, Json]:
    """Tell the good frames; a card that follows itself has not left the reader."""
    framer = Framer(_variant(capture, capture.data))
    found = [*framer.feed(capture.data), *framer.end()]
    cards = [int(card.bits[-32:], 2) for card in found if isinstance(card, Card)]
    if not cards:
        raise DeviceError("no good frame in the stream")
    accesses = sum(1 for index, card in enumerate(cards) if index == 0 or cards[index - 1] != card)
    return {
        "frames": len(cards),
        "cards": list(cards),
        "accesses": accesses,
        "rejected": [rejected.reason for rejected in found if isinstance(rejected, Rejected)],
    }


def _variant(capture: Capture, data: bytes) -> Variant:
    """Return the variant given, else the one whose line end is where only it can be."""
    given = capture.options.get("variant", "")
    if given in {"", "rdm6300"}:
        return "decimal10" if not given and data[_CRLF_AT] == b"\r\n" else "rdm6300"
    if given == "decimal10":
        return "decimal10"
    raise DeviceError(f"variant {given!r} is not known; there are rdm6300 and decimal10")
