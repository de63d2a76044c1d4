"""Finding units: each address is asked which version of the protocol it speaks (CID2 4F)."""

from drivers.ydt1363 import codec
from drivers.ydt1363.codec import Frame
from edge_agent.driver import ReplyShape, Scan

_VERSION = 0x4F
_VER, _AIR_CONDITIONER = 0x21, 0x60


def _question(address: int) -> tuple[bytes, ReplyShape]:
    """Ask an air conditioner; a refusal is an answer too."""

    def fits(frame: Frame) -> bool:
        return (frame.adr, frame.cid1) == (address, _AIR_CONDITIONER) and frame.cid2 != _VERSION

    shape = ReplyShape(("ydt1363", address), lambda data: codec.find(data, fits))
    return Frame(_VER, address, _AIR_CONDITIONER, _VERSION).encode(), shape


SCAN = Scan(range(1, 17), _question)
