"""One DS18B20 temperature sensor, read through the kernel's 1-Wire file of it.

85.0 °C is what a sensor tells that lost its supply: it is believed only near what was measured before.
"""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from drivers.ds18b20 import codec
from drivers.ds18b20.simulator import Ds18b20Simulator
from edge_agent.driver import DeviceError, Duration, Link, Options, Quality, Reading, Record, ReplyShape, Site, Wire

ANY = "any"
_DEVICES = "/sys/bus/w1/devices"
_FAMILY = "28-"
_TRIES = 3
_NEAR_C = 5.0
"""°C from the last good value within which 85.0 is a temperature."""


class Ds18b20Options(Options):
    """Keys of a `[[device]]` with `driver = "ds18b20"`."""

    sensor: str = Field(ANY, pattern=r"^(any|28-[0-9a-f]{12})$")
    """Name of the sensor's folder below /sys/bus/w1/devices, like `28-0316a2794aff`; `any` if there is only one."""
    timeout: Duration = Field(2.0, gt=0, le=10)
    """Longest wait; a conversion takes 750 ms, and sensors on one wire take turns."""


class Ds18b20:
    """A sensor on the machine's 1-Wire bus."""

    Options: ClassVar[type[Ds18b20Options]] = Ds18b20Options
    Simulator: ClassVar[type[Ds18b20Simulator]] = Ds18b20Simulator
    wire: ClassVar[Wire] = Wire.HOST
    sensitive: ClassVar[bool] = False

    def __init__(self, options: Ds18b20Options, site: Site) -> None:
        del site
        self._options = options
        self._last: float | None = None

    def poll(self, link: Link) -> Iterable[Record]:
        """Read the temperature; a file that fails its checks is read at most twice more."""
        question = f"read {_DEVICES}/{self._sensor(link)}/w1_slave"
        found = self._read(link, question)
        if found.suspect and (self._last is None or abs(found.temperature_c - self._last) > _NEAR_C):
            why = "85.0 °C is what a sensor tells before its first conversion: its supply is poor"
            yield Reading("temperature_c", None, quality=Quality.BAD, why=why)
            return
        self._last = found.temperature_c
        yield Reading("temperature_c", round(found.temperature_c, 2), change=0.2)

    def _read(self, link: Link, question: str) -> codec.Scratchpad:
        for _ in range(_TRIES - 1):
            try:
                return codec.parse(self._ask(link, question))
            except DeviceError:
                continue
        return codec.parse(self._ask(link, question))

    def _sensor(self, link: Link) -> str:
        if self._options.sensor != ANY:
            return self._options.sensor
        names = [name for name in self._ask(link, f"list {_DEVICES}").split() if name.startswith(_FAMILY)]
        if len(names) != 1:
            found = ", ".join(names) or "none"
            hint = 'set sensor to one of them, or check the wiring and "dtoverlay=w1-gpio" in config.txt'
            raise DeviceError(f"there must be one sensor, found: {found}", op="list sensors", hint=hint)
        return names[0]

    def _ask(self, link: Link, question: str) -> str:
        shape = ReplyShape(("ds18b20", question), lambda data: data)
        return link.ask(question.encode(), reply=shape, within=self._options.timeout).decode(errors="replace")
