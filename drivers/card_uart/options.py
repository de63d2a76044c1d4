"""What the station file may say about a serial card reader."""

from typing import Literal

from pydantic import Field

from drivers.card_uart.codec import Variant
from edge_agent.driver import Duration, Options


class CardUartOptions(Options):
    """Keys of a `[[device]]` with `driver = "card_uart"`."""

    variant: Variant = "rdm6300"
    """How the reader speaks: `rdm6300` (hexadecimal with a checksum) or `decimal10` (ten decimal digits, none)."""
    identity: Literal["own", "w26", "w34"] = "own"
    """What makes a card the same card: all that this reader tells (`own`), or only the lower 24 or 32 bits, so that it
    equals the card as a Wiegand 26 or 34 reader of the same operator sees it."""
    repeat_within: Duration = Field(0.3, gt=0, le=5)
    """A card that comes again within this time has never left the reader."""
    reader: str = "door"
    """The name that visits at this reader carry."""
