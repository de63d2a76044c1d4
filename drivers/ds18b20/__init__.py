"""DS18B20 temperature sensors on the machine's 1-Wire bus."""

from drivers.ds18b20.decoder import OPTIONS, explain
from drivers.ds18b20.driver import Ds18b20
from drivers.ds18b20.driver import Ds18b20Options as Options
from drivers.ds18b20.simulator import Ds18b20Simulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Ds18b20
DECODERS = {"ds18b20": Decoder(explain, options=OPTIONS)}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
