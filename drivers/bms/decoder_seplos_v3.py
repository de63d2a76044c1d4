"""What captured bytes of Seplos boards of the third generation mean."""

from drivers.bms import map_seplos_v3 as v3
from drivers.modbus.codec import Function, Reply, decode_reply, decode_request
from edge_agent.driver import Capture, Json

Meaning = dict[str, Json]


def explain_seplos_v3(capture: Capture) -> Meaning:
    """Explain a frame; raises DeviceError with the reason for refusing."""
    if capture.direction == "request":
        asked = decode_request(capture.data)
        return {
            "unit": asked.unit, "function": int(asked.function), "address": asked.address, "count": asked.count
        }  # fmt: skip
    reply = decode_reply(capture.data)
    head: Meaning = {"unit": reply.unit, "function": int(reply.function)}
    if reply.exception:
        return head | {"exception": reply.exception}
    if reply.function is Function.READ_COILS:
        head |= {
            "byte_count": reply.count // 8,
            "coils_true": [number for number, coil in enumerate(reply.values) if coil],
        }
        if reply.count == v3.EVENTS[1]:
            head |= {key: _json(value) for key, value in v3.decode_events(reply.values).items()}
        return head
    head["registers"] = list(reply.values)
    start = decode_request(capture.request).address if capture.request else None
    return head | _registers(reply, start)


def _registers(reply: Reply, start: int | None) -> Meaning:
    words = reply.values
    if len(words) in {17, 18} and start in {None, v3.PACK[0]}:
        return {key: _json(value) for key, value in v3.decode_pack(words).items()}
    # The summary of a bank is as long; there the high half of the voltage stands where the second cell is.
    if len(words) == v3.CELLS[1] and (start == v3.CELLS[0] or (start is None and words[1] not in {0, 0xFFFF})):
        return {
            "cells_v": [word / 1000 for word in words[:16]],
            "cell_temps_raw_decikelvin": list(words[16:24]),
            "ambient_raw_decikelvin": words[24],
            "mos_raw_decikelvin": words[25],
            **{key: _json(value) for key, value in v3.decode_cells(words).items() if key != "cells_v"},
        }
    if (start, len(words)) in {v3.BOARD_TEXT, v3.PACK_TEXT}:
        return {"text": v3.text(words)}
    return {}


def _json(value: object) -> Json:
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    return value if isinstance(value, str | int | float) else None
