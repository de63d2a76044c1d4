"""Finding Modbus devices: each unit is asked for one register, and read by every profile that may be its own."""

from collections.abc import Sequence

from drivers.modbus.codec import EXCEPTION, Function, Request, encode_request, find_frames, reply_size
from drivers.modbus.profile import load_profile, shipped
from edge_agent.driver import Json, ReplyShape, Scan


def _question(address: int) -> tuple[bytes, ReplyShape]:
    """Ask for input register 1, which sensors have; others answer ILLEGAL FUNCTION or ILLEGAL DATA ADDRESS."""
    function = Function.READ_INPUT_REGISTERS

    def find(data: bytes) -> bytes | None:
        heads = (bytes((address, function)), bytes((address, function | EXCEPTION)))
        return next((frame for frame in find_frames(data, reply_size) if frame.startswith(heads)), None)

    return encode_request(Request(address, function, 1, 1)), ReplyShape((address, int(function)), find, 7)


def _candidates(address: int, answer: bytes) -> Sequence[dict[str, Json]]:
    """Every shipped profile that this address allows; the last one stands for a profile still to be written."""
    del answer
    known = [name for name in shipped() if _allows(name, address)]
    return [{"profile": name, "address": address} for name in (*known, "")]


def _allows(profile: str, address: int) -> bool:
    low, high = load_profile(profile).addresses
    return low <= address <= high


SCAN = Scan(
    range(1, 248),
    _candidates,
    _question,
    lines=tuple((baud, parity) for baud in (9600, 4800, 2400, 19200, 115200) for parity in ("N", "E")),
    usual=247,
    longest=80,
    modbus=True,
    note="compare the values with the device before you trust the profile",
)
