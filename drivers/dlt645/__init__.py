"""DL/T 645 electricity meters, editions 2007 and 1997."""

from drivers.dlt645.decoder import OPTIONS, explain, find
from drivers.dlt645.driver import Dlt645
from drivers.dlt645.options import Dlt645Options as Options
from drivers.dlt645.scan import SCAN
from drivers.dlt645.simulator import MeterSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Dlt645
DECODERS = {"dlt645": Decoder(explain, find, OPTIONS)}
SCANS = {"dlt645": SCAN}

__all__ = ["DECODERS", "DRIVER", "SCANS", "Options", "Simulator"]
