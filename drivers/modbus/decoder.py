"""What captured Modbus frames mean: the frame itself, and with a known model the values of its registers.

A reply does not say which registers it carries. They are known from its request, from the option `answers_register`,
from a fitting request just before it (option `request_before`, hexadecimal), or where so many registers in a row make
sense at only one place of the model's map; else they stay bare registers.
"""

from collections.abc import Callable, Mapping, Sequence

from drivers.modbus.codec import (
    BIT_READS,
    COIL_OFF,
    COIL_ON,
    EXCEPTIONS,
    READS,
    SINGLE_WRITES,
    Function,
    Reply,
    Request,
    decode_reply,
    decode_request,
    find_frames,
    reply_size,
    request_size,
)
from drivers.modbus.place import Area
from drivers.modbus.point import Point
from drivers.modbus.profile import load_profile, shipped
from edge_agent.driver import Capture, Decoder, DeviceError, Json, Quality

_MODELS = {
    "XY-MD02/SHT20": "xy-md02",
    "XY-MD02": "xy-md02",
    "SHT20": "xy-md02",
    "RS-WS-N01": "rs-ws-n01",
    "RS-KTC-N01": "rs-ktc-n01",
    "ONOKOM AIR": "onokom-air",
    "Haier YCJ-A002": "haier-ycj-a002",
    "Gree COM-BMS": "gree-com-bms",
    "SDM": "eastron-sdm630",
    "SDM120": "eastron-sdm120",
    "SDM230": "eastron-sdm230",
    "SDM630": "eastron-sdm630",
    "DDSU666": "chint-ddsu666",
    "PZEM": "pzem-016",
    "PZEM-004T": "pzem-016",
    "PZEM-016": "pzem-016",
}
"""Model as vector files name it -> profile; every profile's own name is known too."""
_SINGLE_PHASE = "eastron-sdm120"
"""The registers of one phase are the same in all SDM meters; their names are those of a single-phase one."""
_NAMES = {"humidity_pct": "humidity_rh", "over_power": "alarm"}
"""Point -> key in vector files, where they differ."""
_WORD_ORDERS = {"ABCD": "big", "CDAB": "little"}


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a request or a reply; raises DeviceError with the reason for refusing it."""
    if capture.direction == "request":
        frame, noise = _frame(capture, request_size)
        return _noted(_of_request(decode_request(frame)), noise)
    frame, noise = _frame(capture, reply_size)
    reply = decode_reply(frame)
    asked = _asked(capture, reply)
    return _noted(_of_reply(reply, asked) | _meaning(reply, asked, capture.options), noise)


DECODERS: Mapping[str, Decoder] = dict.fromkeys(
    ("modbus_rtu", "modbus_temp_humidity", "modbus_ac", "modbus_energy", "modbus_io"), explain
)


def _frame(capture: Capture, size_of: Callable[[bytes], int]) -> tuple[bytes, int]:
    """Return the frame, and how many bytes of noise stood around it; only a stream may have any."""
    if capture.kind != "stream":
        return capture.data, 0
    found = next(find_frames(capture.data, size_of), None)
    if found is None:
        raise DeviceError("no frame with a good CRC in it", raw=capture.data)
    return found, len(capture.data) - len(found)


def _noted(decoded: dict[str, Json], noise: int) -> dict[str, Json]:
    return decoded | {"noise_bytes": noise} if noise else decoded


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
        return told | {"exception": reply.exception, "meaning": EXCEPTIONS.get(reply.exception, "unknown")}
    if reply.function in BIT_READS:
        bits: list[Json] = [bool(bit) for bit in reply.values[: asked.count if asked else None]]
        return told | {"coils" if reply.function is Function.READ_COILS else "inputs": bits}
    if reply.function in READS:
        return told | {"registers": list(reply.values)}
    told["address"] = reply.address or 0
    if reply.function is Function.WRITE_COIL and reply.values[0] in (COIL_ON, COIL_OFF):
        return told | {"coil": reply.values[0] == COIL_ON}
    return told | ({"value": reply.values[0]} if reply.function in SINGLE_WRITES else {"count": reply.count})


def _meaning(reply: Reply, asked: Request | None, options: Mapping[str, str]) -> dict[str, Json]:
    """Say what the registers mean in the map of the model, as far as model and place are known."""
    points = _points(options.get("model", ""), reply.function)
    if reply.exception or not points:
        return {}
    start = asked.address if asked else _start(points, len(reply.values), options.get("answers_register"))
    if start is None:
        return {}
    told: dict[str, Json] = {"answers_register": start}
    for point in points:
        first = point.at.address - start
        if first < 0 or first + point.width > len(reply.values):
            continue
        reading = point.read(reply.values[first : first + point.width])
        if reading.quality is Quality.GOOD:
            value = reading.value
            told[_NAMES.get(point.name, point.name)] = list(value) if isinstance(value, tuple) else value
            if point.width > 1 and point.word_order in _WORD_ORDERS:
                told["word_order"] = _WORD_ORDERS[point.word_order]
    return told


def _points(model: str, function: Function) -> list[Point]:
    name = _MODELS.get(model, model)
    if name not in shipped():
        return []
    area = next((area for area in Area if area.read is function), None)
    points = {point.at.address: point for point in load_profile(name).points if point.at.area is area}
    if model == "SDM":
        points |= {one.at.address: one for one in load_profile(_SINGLE_PHASE).points}
    return list(points.values())


def _start(points: Sequence[Point], count: int, given: str | None) -> int | None:
    """Return the first register of a reply: the one given, else the only place where whole points fill it up."""
    if given is not None:
        return int(given) if given.isdecimal() else None
    covered = {point.at.address + i for point in points for i in range(point.width)}
    begins = {point.at.address for point in points}
    ends = {point.at.address + point.width for point in points}
    places = [start for start in begins if start + count in ends and covered.issuperset(range(start, start + count))]
    return places[0] if len(places) == 1 else None
