"""What answers a Modbus question, and what must not be taken for its answer."""

from typing import Literal

from drivers.modbus.codec import (
    BIT_READS,
    EXCEPTION,
    READS,
    SINGLE_WRITES,
    WRITE_REPLY_SIZE,
    Request,
    find_frames,
    reply_size,
)
from edge_agent.driver import ReplyShape

ReplyUnit = int | Literal["any"] | None
"""For devices that answer under another unit than they are asked by; None = the same.

The unit asked will do in the answer to a read, too: gateways put it into what they pass on.
"""


def reply_shape(request: Request, reply_unit: ReplyUnit = None, *, guard: float = 0.0) -> ReplyShape:
    """Return what answers `request`: its unit, function, byte count and CRC, or the exception to that function.

    An exception tells neither address nor count, so every question of one function to one unit shares the key: after a
    timeout a late refusal must not meet the next of them. `guard` is the silence (s) that the device needs before.
    """
    unit = request.unit if reply_unit is None else reply_unit
    function = int(request.function)
    read = request.function in READS
    # Not for writes: there an echo under the unit asked would pass for the answer.
    units = (unit, request.unit) if read else (unit,)
    data_size = (request.count + 7) // 8 if request.function in BIT_READS else 2 * request.count
    last = request.values[0] if request.function in SINGLE_WRITES else request.count
    repeated = request.address.to_bytes(2, "big") + last.to_bytes(2, "big")

    def answers(frame: bytes) -> bool:
        if not (unit == "any" or frame[0] in units) or frame[1] & ~EXCEPTION != function:
            return False
        if frame[1] & EXCEPTION:
            return True
        return frame[2] == data_size if read else frame[2:6] == repeated

    def find(received: bytes) -> bytes | None:
        return next(filter(answers, find_frames(received, reply_size)), None)

    return ReplyShape((unit, function), find, 5 + data_size if read else WRITE_REPLY_SIZE, guard)
