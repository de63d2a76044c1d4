"""DL/T 645 electricity meters, editions 2007 and 1997."""

from drivers.dlt645.decoder import explain
from drivers.dlt645.driver import Dlt645
from drivers.dlt645.options import Dlt645Options as Options
from drivers.dlt645.scan import SCAN
from drivers.dlt645.simulator import MeterSimulator as Simulator

DRIVER = Dlt645
DECODERS = {"dlt645": explain}
SCANS = {"dlt645": SCAN}

__all__ = ["DECODERS", "DRIVER", "SCANS", "Options", "Simulator"]
