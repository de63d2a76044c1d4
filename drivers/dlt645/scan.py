"""Finding a meter whose number nobody knows: it must be alone on its pair."""

from drivers.dlt645 import codec
from drivers.dlt645.codec import Frame
from edge_agent.driver import ReplyShape, Scan


def _question(address: int) -> tuple[bytes, ReplyShape]:
    """Ask any meter for its address; edition 2007 only."""
    del address

    def fits(frame: Frame) -> bool:
        return frame.control == codec.READ_ADDRESS | codec.ANSWER and len(frame.data) == 6

    shape = ReplyShape("dlt645", lambda data: codec.find(data, fits))
    return Frame(codec.ANY_ADDRESS, codec.READ_ADDRESS).encode(wake=4), shape


SCAN = Scan(range(1), _question)
