"""Card readers that speak OSDP v2 over RS-485."""

from drivers.osdp.decoder import explain, explain_session
from drivers.osdp.driver import Osdp
from drivers.osdp.options import OsdpOptions as Options
from drivers.osdp.simulator import OsdpSimulator as Simulator

DRIVER = Osdp
DECODERS = {"osdp": explain, "osdp_secure_channel": explain_session}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
