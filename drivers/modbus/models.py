"""What registers and commands mean on the model that a capture is known to be of, by the shipped profiles.

A reply does not say which registers it carries. They are known from its request, from the option `answers_register`, or
where so many registers in a row make sense at only one place of the model's map; else they stay bare registers.
"""

from collections.abc import Mapping, Sequence

from drivers.modbus.codec import READS, SINGLE_WRITES, Function, Reply, Request
from drivers.modbus.place import Area
from drivers.modbus.point import Point
from drivers.modbus.profile import load_profile, shipped
from edge_agent.driver import Capture, Json, Quality

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
_THREE_PHASES, _SINGLE_PHASE = "eastron-sdm630", "eastron-sdm120"
"""The registers of one phase are the same in all SDM meters; their names are those of a single-phase one."""
_NAMES = {"humidity_pct": "humidity_rh", "over_power": "alarm", "fan_speed": "fan"}
"""Point -> key in vector files, where they differ."""
_WORD_ORDERS = {"ABCD": "big", "CDAB": "little"}
_SWITCH: Mapping[Json, str] = {True: "on", False: "off"}
_HUNDREDTHS = {"xy-md02": "xy-md02-hundredths"}
"""Profile -> that of the variant with the scale 0.01."""
_INFRARED = "rs-ktc-n01"
_LEARN, _EMIT = 0x0007, 0x00B9
_CODES = ("cool on", "heat on", "off", *(f"custom {number}" for number in range(1, 21)))
"""Infrared codes of the RS-KTC-N01: a 1 written to `_LEARN` + place learns one, to `_EMIT` + place sends it."""
_MAKERS_FUNCTIONS = {("pzem-016", 0x41): "calibration", ("pzem-016", 0x42): "reset energy"}
NAMES = (*_MODELS, *shipped())
"""Every model that captures may be of."""


def of_function(function: int, options: Mapping[str, str]) -> dict[str, Json]:
    """Say what a function of the maker's own does on this model, as far as that is known."""
    profile = _profile(options)
    told: dict[str, Json] = {"model": options["model"]} if profile else {}
    known = (profile, function) in _MAKERS_FUNCTIONS
    return told | ({"meaning": _MAKERS_FUNCTIONS[profile, function]} if known else {})


def of_request(request: Request, options: Mapping[str, str]) -> dict[str, Json]:
    """Say what is asked of the model, or ordered; nothing if the model is not known."""
    profile = _profile(options)
    if not profile:
        return {}
    told: dict[str, Json] = {"model": options["model"]}
    if request.function in READS:
        return told | _read(request, profile)
    if profile == _INFRARED and (words := _infrared(request)):
        return told | {"meaning": words}
    return told | _written(request, profile)


def of_reply(reply: Reply, asked: Request | None, capture: Capture) -> dict[str, Json]:
    """Say what an answer of the model means, as far as the place of its registers is known."""
    options = capture.options
    profile = _profile(options)
    if not profile:
        return {}
    if reply.function in SINGLE_WRITES and not reply.exception:
        return of_request(Request(reply.unit, reply.function, reply.address or 0, 1, reply.values), options)
    told: dict[str, Json] = {"model": options["model"]}
    points = _points(profile, _area(reply.function))
    if reply.exception or reply.function not in READS or not points:
        return told
    start = asked.address if asked else None
    if start is None and "answers_register" in options:
        start = capture.number("answers_register", 0)
    if start is None:
        start = _only_place(points, len(reply.values))
    return told if start is None else told | {"answers_register": start, **_values(points, start, reply.values)}


def _profile(options: Mapping[str, str]) -> str:
    """Return the name of the profile, "" if the model is not known."""
    model = options.get("model", "")
    name = _MODELS.get(model, model)
    if options.get("scale") == "0.01":
        name = _HUNDREDTHS.get(name, name)
    return name if name in shipped() else ""


def _area(function: Function) -> Area | None:
    """Return where a function reads, or writes."""
    if function in (Function.WRITE_COIL, Function.WRITE_COILS):
        return Area.COIL
    if function in (Function.WRITE_REGISTER, Function.WRITE_REGISTERS):
        return Area.HOLDING
    return next((area for area in Area if area.read is function), None)


def _points(profile: str, area: Area | None) -> list[Point]:
    points = {point.at.address: point for point in load_profile(profile).points if point.at.area is area}
    if profile == _THREE_PHASES:
        points |= {one.at.address: one for one in load_profile(_SINGLE_PHASE).points if one.at.area is area}
    return list(points.values())


def _values(points: Sequence[Point], start: int, values: tuple[int, ...]) -> dict[str, Json]:
    """Return the values of the points that lie in `values`, the first of which is that of register `start`."""
    told: dict[str, Json] = {}
    scales = set()
    for point in points:
        first = point.at.address - start
        if first < 0 or first + point.width > len(values):
            continue
        reading = point.read(values[first : first + point.width])
        if reading.quality is Quality.GOOD:
            value = reading.value
            told[_key(point)] = list(value) if isinstance(value, tuple) else value
            scales.add(point.scale)
            if point.width > 1 and point.word_order in _WORD_ORDERS:
                told["word_order"] = _WORD_ORDERS[point.word_order]
    return told | ({"scale": scale} if len(scales) == 1 and (scale := scales.pop()) != 1 else {})


def _only_place(points: Sequence[Point], count: int) -> int | None:
    """Return the only register from which on whole points fill up `count` registers, None if there are several."""
    covered = {point.at.address + i for point in points for i in range(point.width)}
    begins = {point.at.address for point in points}
    ends = {point.at.address + point.width for point in points}
    places = [start for start in begins if start + count in ends and covered.issuperset(range(start, start + count))]
    return places[0] if len(places) == 1 else None


def _infrared(request: Request) -> str:
    if request.function is not Function.WRITE_REGISTER or request.values != (1,):
        return ""
    for verb, first in (("learn", _LEARN), ("emit", _EMIT)):
        if 0 <= request.address - first < len(_CODES):
            return f"{verb} {_CODES[request.address - first]}"
    return ""


def _written(request: Request, profile: str) -> dict[str, Json]:
    """Return the values written, and in words those that have a name."""
    bits = request.function is Function.WRITE_COIL
    values = tuple(value >> 15 for value in request.values) if bits else request.values
    points = _points(profile, _area(request.function))
    told = _values(points, request.address, values)
    named = [(point, told[_key(point)]) for point in points if isinstance(told.get(_key(point)), str | bool)]
    words = ", ".join(f"{_words(point)} {_SWITCH.get(value, value)}" for point, value in named)
    return told | ({"meaning": words} if words else {})


def _read(request: Request, profile: str) -> dict[str, Json]:
    """Return the names of what is read, in the order of their places."""
    asked = range(request.address, request.address + request.count)
    found = {p.at.address: _key(p) for p in _points(profile, _area(request.function)) if p.at.address in asked}
    return {"reads": [found[address] for address in sorted(found)]} if found else {}


def _key(point: Point) -> str:
    return _NAMES.get(point.name, point.name)


def _words(point: Point) -> str:
    return _key(point).replace("_", " ")
