"""What captured bytes of a polled card reader mean; only for captures that somebody hands over on purpose."""

from drivers.card_polled import codec
from edge_agent.driver import Capture, DeviceError, Json


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first question or the first whole, checked answer."""
    if direction == "request":
        return codec.QUESTION if codec.QUESTION in data else None
    return codec.find(data)


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a question or an answer; raises DeviceError with the reason for refusing."""
    if capture.direction == "request":
        if capture.data == codec.QUESTION:
            return {"command": "poll"}
        raise DeviceError("not the question this reader takes; checksum or code is wrong")
    uid = codec.decode(capture.data).uid
    if not uid:
        return {"card_present": False}
    return {"card_present": True, "uid_hex": uid.hex(), "card": int.from_bytes(uid, "big")}
