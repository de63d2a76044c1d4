"""An SHT3x seen from its other side."""

from collections.abc import Iterable
from typing import Protocol

from drivers.sht3x import codec
from edge_agent.driver import Chunk, Site


class SensorOptions(Protocol):
    """What the simulator needs of the driver's options."""

    @property
    def address(self) -> str:
        """Address on the bus, hexadecimal."""


class Sht3xSimulator:
    """A sensor at 23.5 °C and 48 % until it is set."""

    def __init__(self, options: SensorOptions, site: Site) -> None:
        del site
        self._question = bytes((int(options.address, 16),)) + codec.MEASURE
        self.reply = codec.encode(23.5, 48.0)
        """The six bytes of its next measurement."""

    def set(self, temperature_c: float, humidity_pct: float) -> None:
        """Bring the sensor into another air."""
        self.reply = codec.encode(temperature_c, humidity_pct)

    def answer(self, request: bytes) -> bytes:
        """Answer its own address and command."""
        return self.reply if request == self._question else b""

    def play(self) -> Iterable[Chunk]:
        """Nothing: the sensor never speaks unasked."""
        return ()
