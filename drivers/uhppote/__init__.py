"""Door controllers of the UHPPOTE and Weigeng (微耕) type over UDP."""

from drivers.uhppote.decoder import explain
from drivers.uhppote.driver import Uhppote
from drivers.uhppote.options import UhppoteOptions as Options
from drivers.uhppote.simulator import UhppoteSimulator as Simulator
from edge_agent.driver import Decoder

DRIVER = Uhppote
DECODERS = {"uhppote": Decoder(explain)}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
