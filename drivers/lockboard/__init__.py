"""Lock boards of parcel and battery cabinets: door states, and opening a door."""

from drivers.lockboard import decoder
from drivers.lockboard.driver import LockBoard
from drivers.lockboard.scan import SCANS
from edge_agent.driver import Decoder

DRIVER = LockBoard

DECODERS = {
    "lockboard_8a80": Decoder(decoder.explain_8a80, decoder.find_8a80, decoder.OPTIONS),
    "lockboard_wkly": Decoder(decoder.explain_wkly, decoder.find_wkly, decoder.OPTIONS),
    "lockboard_kerong": Decoder(decoder.explain_kerong, decoder.find_kerong, decoder.OPTIONS),
}

__all__ = ["DECODERS", "DRIVER", "SCANS"]
