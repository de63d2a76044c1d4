"""What captured Modbus frames mean: the frame itself, and with a known model the values of its registers.

What a reply answers is known from its request, or from a fitting one just before it (option `request_before`,
hexadecimal).
"""

from collections.abc import Mapping

from drivers.modbus import models
from drivers.modbus.codec import (
    BIT_READS,
    COIL_OFF,
    COIL_ON,
    EXCEPTION,
    EXCEPTION_SIZE,
    EXCEPTIONS,
    READS,
    SINGLE_WRITES,
    Function,
    Reply,
    Request,
    decode_reply,
    decode_request,
    find_frames,
    is_sealed,
    reply_size,
    request_size,
)
from edge_agent.driver import Capture, Decoder, DeviceError, Json

_OTHER_FUNCTIONS = {
    0x07: "read exception status",
    0x08: "diagnostics",
    0x0B: "get comm event counter",
    0x0C: "get comm event log",
    0x11: "report server ID",
    0x14: "read file record",
    0x15: "write file record",
    0x16: "mask write register",
    0x17: "read/write multiple registers",
    0x18: "read FIFO queue",
    0x2B: "encapsulated interface transport",
}
"""Functions of the specification that are only named here (6.7 to 6.21)."""


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a request or a reply; raises DeviceError with the reason for refusing it."""
    if is_sealed(capture.data) and capture.data[1] & ~EXCEPTION not in set(Function):
        return _of_another_function(capture)
    if capture.direction == "request":
        request = decode_request(capture.data)
        return _of_request(request) | models.of_request(request, capture.options)
    reply = decode_reply(capture.data)
    asked = _asked(capture, reply)
    return _of_reply(reply, asked) | models.of_reply(reply, asked, capture)


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole frame with a good CRC."""
    return next(find_frames(data, request_size if direction == "request" else reply_size), None)


DECODERS: Mapping[str, Decoder] = dict.fromkeys(
    ("modbus_rtu", "modbus_temp_humidity", "modbus_ac", "modbus_energy", "modbus_io"),
    Decoder(explain, find, {"model": models.NAMES, "answers_register": (), "scale": ()}),
)


def _of_another_function(capture: Capture) -> dict[str, Json]:
    """Explain a frame of a function that no device here is asked for, as far as every Modbus frame is alike."""
    frame = capture.data
    told: dict[str, Json] = {"unit": frame[0], "function": frame[1] & ~EXCEPTION}
    if frame[1] & EXCEPTION:
        if len(frame) != EXCEPTION_SIZE:
            raise DeviceError(f"{len(frame)} bytes are no exception reply, {EXCEPTION_SIZE} would be", raw=frame)
        return told | _refusal(frame[2])
    told |= {"meaning": _OTHER_FUNCTIONS.get(frame[1], "a function of the maker's"), "data_hex": frame[2:-2].hex()}
    return told | models.of_function(frame[1], capture.options)


def _refusal(code: int) -> dict[str, Json]:
    return {"exception": code, "meaning": EXCEPTIONS.get(code, "unknown")}


def _asked(capture: Capture, reply: Reply) -> Request | None:
    """Return the request that the reply answers, if the capture tells; DeviceError if the two do not fit."""
    if capture.request is not None:
        asked = decode_request(capture.request)
        if misfit := _misfit(asked, reply):
            raise DeviceError(misfit)
        return asked
    try:
        before = decode_request(bytes.fromhex(capture.options.get("request_before", "")))
    except (DeviceError, ValueError):
        return None
    return before if before.unit == reply.unit and not _misfit(before, reply) else None


def _misfit(asked: Request, reply: Reply) -> str:
    """Say why `reply` cannot be the answer to `asked`; "" if it can."""
    if asked.function is not reply.function:
        return f"answers function {reply.function:02X}, but {asked.function:02X} was asked"
    size = (asked.count + 7) // 8 * 8 if asked.function in BIT_READS else asked.count
    if not reply.exception and reply.function in READS and len(reply.values) != size:
        return f"brings {len(reply.values)} values where {asked.count} were asked"
    return ""


def _of_request(request: Request) -> dict[str, Json]:
    told: dict[str, Json] = {"unit": request.unit, "function": int(request.function), "address": request.address}
    if request.function is Function.WRITE_COIL and request.values[0] in (COIL_ON, COIL_OFF):
        return told | {"coil": request.values[0] == COIL_ON}
    if request.function in SINGLE_WRITES:
        return told | {"value": request.values[0]}
    told["count"] = request.count
    if request.function is Function.WRITE_COILS:
        told["coils"] = [bool(bit) for bit in request.values]
    if request.function is Function.WRITE_REGISTERS:
        told["registers"] = list(request.values)
    return told


def _of_reply(reply: Reply, asked: Request | None) -> dict[str, Json]:
    told: dict[str, Json] = {"unit": reply.unit, "function": int(reply.function)}
    if reply.exception:
        return told | _refusal(reply.exception)
    if reply.function in BIT_READS:
        bits: list[Json] = [bool(bit) for bit in reply.values[: asked.count if asked else None]]
        return told | {"coils" if reply.function is Function.READ_COILS else "inputs": bits}
    if reply.function in READS:
        return told | {"registers": list(reply.values)}
    told["address"] = reply.address or 0
    if reply.function is Function.WRITE_COIL and reply.values[0] in (COIL_ON, COIL_OFF):
        return told | {"coil": reply.values[0] == COIL_ON}
    return told | ({"value": reply.values[0]} if reply.function in SINGLE_WRITES else {"count": reply.count})
