"""How the driver and the families of battery boards work together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from drivers.bms.pack import Pack
from edge_agent.driver import ReplyShape

Source = Literal["board", "label"]
"""Where a serial number stands: in the board, or in a text the pack's maker wrote."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent, and what answers it."""

    request: bytes
    reply: ReplyShape


Ask = Callable[[Question], bytes]
"""Asks and returns the answer; LinkTimeout, LinkError and DeviceError pass through."""


class Reader(Protocol):
    """Reads one battery of one family."""

    def read(self, ask: Ask) -> Pack:
        """Ask for everything; the current keeps the sign it was sent with. Raises DeviceError for nonsense."""

    def serial(self, ask: Ask, source: Source) -> str | None:
        """Ask for the serial number, None if the battery has none. Not called where `Pack.label` has it."""
