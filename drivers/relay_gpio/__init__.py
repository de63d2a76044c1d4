"""Relays on GPIO lines: siren, lamp, door strike."""

from drivers.relay_gpio.driver import RelayGpio
from drivers.relay_gpio.options import RelayGpioOptions as Options
from drivers.relay_gpio.simulator import RelayGpioSimulator as Simulator

DRIVER = RelayGpio

__all__ = ["DRIVER", "Options", "Simulator"]
