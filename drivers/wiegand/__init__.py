"""Wiegand card readers on two GPIO lines."""

from drivers.wiegand.decoder import OPTIONS, explain
from drivers.wiegand.driver import Wiegand
from drivers.wiegand.options import WiegandOptions as Options
from drivers.wiegand.simulator import WiegandSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Wiegand
DECODERS = {"wiegand": Decoder(explain, options=OPTIONS)}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
