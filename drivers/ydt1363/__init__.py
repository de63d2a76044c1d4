"""Telecom air conditioners that speak YD/T 1363.3 (电总协议)."""

from drivers.ydt1363.decoder import explain, find
from drivers.ydt1363.driver import Ydt1363
from drivers.ydt1363.options import YdtOptions as Options
from drivers.ydt1363.scan import SCAN
from drivers.ydt1363.simulator import YdtSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Ydt1363
DECODERS = {"ydt1363": Decoder(explain, find)}
SCANS = {"ydt1363": SCAN}

__all__ = ["DECODERS", "DRIVER", "SCANS", "Options", "Simulator"]
