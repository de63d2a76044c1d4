"""What the station file may say about an OSDP reader."""

from typing import Annotated

from pydantic import Field

from drivers.wiegand.codec import Format
from edge_agent.driver import Duration, Options


class OsdpOptions(Options):
    """Keys of a `[[device]]` with `driver = "osdp"`."""

    address: Annotated[int, Field(ge=0, le=126)]
    """Address of the reader; 127 is not taken, every reader answers to it."""
    key_file: Annotated[str, Field(pattern=r"^/")]
    """File with the key of the secure channel (SCBK) that is in the reader: 32 hexadecimal digits, readable for the
    agent alone. There is no way without a key."""
    formats: tuple[Format, ...] = ("w26", "w34")
    """Card formats whose parity is checked and taken off, so that a card is the same at a Wiegand reader."""
    timeout: Annotated[Duration, Field(ge=0.2, le=2)] = 0.4
    """How long an answer may take; a reader must answer within 200ms."""
    reader: str = "door"
    """The name that visits at this reader carry."""
