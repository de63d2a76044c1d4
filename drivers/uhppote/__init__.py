"""Door controllers of the UHPPOTE and Weigeng (微耕) type over UDP."""

from drivers.uhppote.decoder import explain
from drivers.uhppote.driver import Uhppote
from drivers.uhppote.options import UhppoteOptions as Options
from drivers.uhppote.simulator import UhppoteSimulator as Simulator

DRIVER = Uhppote
DECODERS = {"uhppote": explain}

__all__ = ["DECODERS", "DRIVER", "Options", "Simulator"]
