"""Finding units: each address is asked which version of the protocol it speaks (CID2 4F)."""

from collections.abc import Sequence

from drivers.ydt1363 import codec
from drivers.ydt1363.codec import Frame
from edge_agent.driver import Json, ReplyShape, Scan

_VERSION = 0x4F
_VER, _AIR_CONDITIONER = 0x21, 0x60


def _question(address: int) -> tuple[bytes, ReplyShape]:
    """Ask an air conditioner; a refusal is an answer too."""

    def fits(frame: Frame) -> bool:
        return (frame.adr, frame.cid1) == (address, _AIR_CONDITIONER) and frame.cid2 != _VERSION

    shape = ReplyShape(("ydt1363", address), lambda data: codec.find(data, fits))
    return Frame(_VER, address, _AIR_CONDITIONER, _VERSION).encode(), shape


def _candidates(address: int, answer: bytes) -> Sequence[dict[str, Json]]:
    """Its points are in the maker's document only."""
    del answer
    return [{"address": address, "points": []}]


SCAN = Scan(
    range(1, 255),
    _candidates,
    _question,
    lines=((9600, "N"), (4800, "N"), (19200, "N")),
    usual=16,
    note="take the points from the maker's document",
)
