"""Wiegand card readers on two GPIO lines."""

from drivers.wiegand.decoder import explain
from drivers.wiegand.driver import Wiegand
from drivers.wiegand.options import WiegandOptions as Options
from drivers.wiegand.simulator import WiegandSimulator as Simulator

DRIVER = Wiegand
DECODERS = {"wiegand": explain}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
