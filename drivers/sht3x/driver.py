"""One SHT3x temperature and humidity sensor on an I²C bus."""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from drivers.sht3x import codec
from drivers.sht3x.simulator import Sht3xSimulator
from edge_agent.driver import DeviceError, Duration, Link, Options, Quality, Reading, Record, ReplyShape, Site, Wire

_TRIES = 3
_LOWEST_C, _HIGHEST_C = -40.0, 125.0
"""What the sensor can measure; the scale goes beyond."""


class Sht3xOptions(Options):
    """Keys of a `[[device]]` with `driver = "sht3x"`."""

    address: Literal["44", "45"] = "44"
    """Address on the bus, hexadecimal: 44 with the pin ADDR at ground, 45 with it at supply."""
    timeout: Duration = Field(0.1, gt=0, le=2)
    """Longest wait for a measurement; it takes 15 ms."""


class Sht3x:
    """A sensor on one of the machine's I²C buses."""

    Options: ClassVar[type[Sht3xOptions]] = Sht3xOptions
    Simulator: ClassVar[type[Sht3xSimulator]] = Sht3xSimulator
    wire: ClassVar[Wire] = Wire.I2C
    sensitive: ClassVar[bool] = False

    def __init__(self, options: Sht3xOptions, site: Site) -> None:
        del site
        self._options = options
        self._question = bytes((int(options.address, 16),)) + codec.MEASURE

    def poll(self, link: Link) -> Iterable[Record]:
        """Measure once; an answer that fails its CRC is asked for at most twice more."""
        temperature, humidity = self._measure(link)
        if not _LOWEST_C <= temperature <= _HIGHEST_C:
            why = f"{temperature:.1f} °C is beyond what the sensor can measure"
            yield Reading("temperature_c", None, quality=Quality.BAD, why=why)
            yield Reading("humidity_pct", None, quality=Quality.BAD, why=why)
            return
        yield Reading("temperature_c", round(temperature, 2), change=0.2)
        yield Reading("humidity_pct", round(humidity, 1), change=1.0)

    def _measure(self, link: Link) -> tuple[float, float]:
        for _ in range(_TRIES - 1):
            try:
                return codec.decode(self._ask(link))
            except DeviceError:
                continue
        return codec.decode(self._ask(link))

    def _ask(self, link: Link) -> bytes:
        shape = ReplyShape(("sht3x", self._options.address), lambda data: data or None, size=codec.REPLY_BYTES)
        return link.ask(self._question, reply=shape, within=self._options.timeout)
