"""Finding Modbus devices: each unit is asked for one register; an exception is an answer too."""

from drivers.modbus.codec import EXCEPTION, Function, Request, encode_request, find_frames, reply_size
from edge_agent.driver import ReplyShape, Scan


def _question(address: int) -> tuple[bytes, ReplyShape]:
    """Ask for input register 1, which sensors have; others answer ILLEGAL FUNCTION or ILLEGAL DATA ADDRESS."""
    function = Function.READ_INPUT_REGISTERS

    def find(data: bytes) -> bytes | None:
        heads = (bytes((address, function)), bytes((address, function | EXCEPTION)))
        return next((frame for frame in find_frames(data, reply_size) if frame.startswith(heads)), None)

    return encode_request(Request(address, function, 1, 1)), ReplyShape(("modbus", address), find)


SCAN = Scan(range(1, 248), _question)
