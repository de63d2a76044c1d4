"""A DS18B20 behind the kernel's files, seen from its other side."""

from collections.abc import Iterable
from typing import Protocol

from drivers.ds18b20 import codec
from edge_agent.driver import Chunk, Site

_DEFAULT = "28-0316a2794aff"


class SensorOptions(Protocol):
    """What the simulator needs of the driver's options."""

    @property
    def sensor(self) -> str:
        """Name of the sensor, or `any`."""


class Ds18b20Simulator:
    """One sensor at 21.5 °C until it is set."""

    def __init__(self, options: SensorOptions, site: Site) -> None:
        del site
        self.name = options.sensor if options.sensor.startswith("28-") else _DEFAULT
        self.scratchpad = codec.scratchpad(21.5)
        """The nine bytes that the sensor tells."""
        self.others: list[str] = ["w1_bus_master1"]
        """What else hangs on the bus."""

    def set(self, temperature_c: float) -> None:
        """Bring the sensor to a temperature."""
        self.scratchpad = codec.scratchpad(temperature_c)

    def answer(self, request: bytes) -> bytes:
        """Answer as the machine does for a file or a directory."""
        if request == b"list /sys/bus/w1/devices":
            return "".join(f"{name}\n" for name in sorted([*self.others, self.name])).encode()
        if request == f"read /sys/bus/w1/devices/{self.name}/w1_slave".encode():
            return codec.render(self.scratchpad).encode()
        return b""

    def play(self) -> Iterable[Chunk]:
        """Nothing: files do not speak."""
        return ()
