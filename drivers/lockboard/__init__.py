"""Lock boards of parcel and battery cabinets: door states, and opening a door."""

from drivers.lockboard.decoder import explain_8a80, explain_kerong, explain_wkly
from drivers.lockboard.driver import LockBoard
from drivers.lockboard.scan import SCANS

DRIVER = LockBoard

DECODERS = {
    "lockboard_8a80": explain_8a80,
    "lockboard_wkly": explain_wkly,
    "lockboard_kerong": explain_kerong,
}

__all__ = ["DECODERS", "DRIVER", "SCANS"]
