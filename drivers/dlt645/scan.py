"""Finding a meter whose number nobody knows: it must be alone on its pair."""

from collections.abc import Sequence

from drivers.dlt645 import codec
from drivers.dlt645.codec import Frame
from edge_agent.driver import Json, ReplyShape, Scan


def _question(address: int) -> tuple[bytes, ReplyShape]:
    """Ask any meter for its address; edition 2007 only."""
    del address

    def fits(frame: Frame) -> bool:
        return frame.control == codec.READ_ADDRESS | codec.ANSWER and len(frame.data) == 6

    shape = ReplyShape("dlt645", lambda data: codec.find(data, fits))
    return Frame(codec.ANY_ADDRESS, codec.READ_ADDRESS).encode(wake=4), shape


def _candidates(address: int, answer: bytes) -> Sequence[dict[str, Json]]:
    """The number that the meter told."""
    del address
    return [{"address": codec.di_hex(codec.decode(answer).data)}]


SCAN = Scan(
    range(1),
    _candidates,
    _question,
    lines=((2400, "E"), (9600, "E"), (4800, "E"), (1200, "E"), (9600, "N"), (2400, "N")),
    within=0.6,
)
