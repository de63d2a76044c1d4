"""What a captured YD/T 1363 frame says, whoever sent it."""

from drivers.ydt1363 import codec
from edge_agent.driver import Capture, Json


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked frame; nothing in it says who sent it."""
    del direction
    return codec.find(data, lambda _: True)


def explain(capture: Capture) -> dict[str, Json]:
    """Explain the frame; the places of values in INFO are the maker's own. Raises DeviceError."""
    frame = codec.decode(capture.data)
    told: dict[str, Json] = {
        "ver": frame.ver,
        "adr": frame.adr,
        "cid1": frame.cid1,
        "cid2_or_rtn": frame.cid2,
        "info_len": 2 * len(frame.info),
        "info_hex": frame.info.hex(),
    }
    if capture.direction == "response" and frame.cid2 in codec.RETURNS:
        told["meaning"] = codec.refusal(frame)
    return told
