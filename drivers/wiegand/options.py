"""What the station file may say about a Wiegand reader."""

from typing import Literal, Self

from pydantic import Field, model_validator

from drivers.wiegand.codec import LAYOUTS, Format, Keypad
from edge_agent.driver import Duration, Options


class WiegandOptions(Options):
    """Keys of a `[[device]]` with `driver = "wiegand"`."""

    d0: int = Field(ge=0, le=63)
    """GPIO line (BCM number) of D0, the green wire: a pulse is a 0."""
    d1: int = Field(ge=0, le=63)
    """GPIO line (BCM number) of D1, the white wire: a pulse is a 1."""
    formats: tuple[Format, ...] = Field(("w26", "w34"), min_length=1)
    """Card formats that count; a frame of any other length is rejected."""
    frame_gap: Duration = Field(0.025, ge=0.005, le=0.1)
    """Silence that ends a frame."""
    pull: Literal["up", "none"] = "up"
    """The Pi's own pull-up; `none` if the level shifter has one."""
    uid_order: Literal["msb", "lsb"] = "msb"
    """`lsb` if this reader sends the card's bytes in reverse, so that it equals the card at other readers."""
    keypad: Keypad = "none"
    """Bits of one key press (`4bit` or `8bit`) if the reader has a keypad: then they are passed over, not rejected."""
    reader: str = "door"
    """The name that visits at this reader carry."""

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        if self.d0 == self.d1:
            raise ValueError(f"d0 and d1 are both line {self.d0} – each wire needs its own")
        lengths = [LAYOUTS[name].bits for name in self.formats]
        if len(set(lengths)) < len(lengths):
            raise ValueError("formats: two of the same length cannot be told apart – keep the one the cards have")
        return self
