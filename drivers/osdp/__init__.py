"""Card readers that speak OSDP v2 over RS-485."""

from drivers.osdp.decoder import OPTIONS, explain, explain_session, find
from drivers.osdp.driver import Osdp
from drivers.osdp.options import OsdpOptions as Options
from drivers.osdp.simulator import OsdpSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Osdp
DECODERS = {
    "osdp": Decoder(explain, find),
    "osdp_secure_channel": Decoder(explain_session, find, OPTIONS),
}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
