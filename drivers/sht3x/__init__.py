"""SHT30, SHT31 and SHT35 temperature and humidity sensors on I²C."""

from drivers.sht3x.decoder import explain
from drivers.sht3x.driver import Sht3x
from drivers.sht3x.driver import Sht3xOptions as Options
from drivers.sht3x.simulator import Sht3xSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Sht3x
DECODERS = {"sht3x": Decoder(explain)}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
