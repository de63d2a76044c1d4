"""What captured bytes of batteries that speak YD/T 1363 mean.

An answer does not say which command it answers. The request says, if the capture has it; else the first way in which
INFO makes sense decides.
"""

from collections.abc import Callable
from datetime import datetime

from drivers.bms.decoder_seplos_v3 import explain_seplos_v3
from drivers.bms.decoder_ydt_words import commands, refusal_meaning
from drivers.bms.map_seplos_v3 import celsius
from drivers.bms.map_ydt import ALARMS, ANALOGUE, DIALECTS, Cursor, Dialect, Module, Name, decode_modules
from drivers.bms.map_ydt_alarms import decode_alarms
from drivers.bms.reader_ydt import text_of
from drivers.modbus.codec import find_frames, reply_size, request_size
from drivers.ydt1363.codec import OK, SOIS, Frame, decode
from drivers.ydt1363.codec import find as find_ascii
from edge_agent.driver import Capture, DeviceError, Json

Meaning = dict[str, Json]
OPTIONS = {"dialect": tuple(DIALECTS)}
"""Without it VER, CID1 and plausibility decide."""
_LIMITS = 0x92
_PARAMETERS = 0x47
_SERIAL = frozenset((0x93, 0xC2))
_TEXTS = frozenset((0x51, 0xC1))
_TIMES = frozenset((0x4D, 0xB1))
_COUNT_OF_PACKS = 0x90


def explain_pylontech(capture: Capture) -> Meaning:
    """Explain a frame of a Pylontech battery; raises DeviceError with the reason for refusing."""
    frame = decode(capture.data)
    head: Meaning = {"address": frame.adr, "ver": frame.ver, "cid1": frame.cid1, "cid2_or_rtn": frame.cid2}
    return head | _explain(frame, capture, [DIALECTS["pylontech"]])


def explain_pace_seplos(capture: Capture) -> Meaning:
    """Explain a frame of a PACE, EG4 or Seplos battery; raises DeviceError with the reason for refusing."""
    if capture.data[:1] and capture.data[0] not in SOIS:
        return explain_seplos_v3(capture)
    frame = decode(capture.data)
    head: Meaning = {"ver": frame.ver, "adr": frame.adr, "cid1": frame.cid1, "cid2_or_rtn": frame.cid2}
    return head | _explain(frame, capture, [DIALECTS[name] for name in ("pace", "eg4", "seplos")])


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked frame, in ASCII or of a third-generation Seplos."""
    size_of = request_size if direction == "request" else reply_size
    return find_ascii(data, lambda _: True) or next(find_frames(data, size_of), None)


def _explain(frame: Frame, capture: Capture, dialects: list[Dialect]) -> Meaning:
    chosen = capture.options.get("dialect")
    if chosen is not None:
        dialects = [dialect for name, dialect in DIALECTS.items() if name == chosen]
        if not dialects:
            raise DeviceError(f"option dialect: {chosen!r} is none of {', '.join(DIALECTS)}")
    if capture.direction == "request":
        meaning: Meaning = {"info_hex": frame.info.hex()}
        words = commands(frame, dialects)
        return meaning | ({"meaning": words} if words else {})
    if frame.cid2 != OK:
        return {"info_hex": frame.info.hex(), "meaning": refusal_meaning(frame.cid2)}
    if not frame.info:
        return {"meaning": "acknowledge"}
    asked = decode(capture.request).cid2 if capture.request else None
    fitting = [dialect for dialect in dialects if (dialect.ver, dialect.cid1) == (frame.ver, frame.cid1)] or dialects
    for dialect in fitting:
        if (told := _told(frame.info, asked, dialect)) is not None:
            return told
    return {"info_hex": frame.info.hex()}


def _told(info: bytes, asked: int | None, dialect: Dialect) -> Meaning | None:
    """Return what INFO says, the first way that fits; None if there is none."""
    ways: list[tuple[frozenset[int], Callable[[bytes, Dialect], Meaning]]] = [
        (frozenset((ANALOGUE,)), _analogue),
        (frozenset((ALARMS,)), _alarms),
        (frozenset((_LIMITS,)), _limits),
        (frozenset((_PARAMETERS,)), _parameters),
        (_TIMES, _time),
        (_TEXTS, _maker),
        (_SERIAL, _serial),
        (_TEXTS, _text),
        (frozenset((_COUNT_OF_PACKS,)), _packs),
    ]
    for commands_of_way, way in ways:
        if asked is not None and asked not in commands_of_way:
            continue
        try:
            return way(info, dialect)
        except (DeviceError, ValueError):
            continue
    return None


def _analogue(info: bytes, dialect: Dialect) -> Meaning:
    modules = decode_modules(info, dialect)
    if not any(module.is_plausible() for module in modules):
        raise DeviceError("voltage and cells do not fit")
    told = [_module(module, dialect.name) for module in modules]
    if dialect.name == "pylontech":
        return {"modules": list(told)}
    if len(told) > 1:
        return {"packs": list(told)}
    return {"pack": modules[0].number, **told[0]}


def _module(module: Module, dialect: Name) -> Meaning:
    told: Meaning = {
        "cells_v": list(module.cells_v),
        "temps_c": list(module.temps_c()),
        "current_a": module.current_a,
        "voltage_v": module.voltage_v,
        "remaining_ah": module.remaining_ah,
        "cycles": module.cycles,
    }
    if dialect == "pylontech":
        told["total_ah"] = module.full_ah
    else:
        told |= {
            "temps_decikelvin": list(module.temps_dk),
            "voltage_raw": round(module.voltage_v * (1000 if dialect == "pace" else 100)),
            "full_ah": module.full_ah,
            "design_ah": module.design_ah,
            "soc_pct": module.soc_pct,
            "soh_pct": module.soh_pct,
        }
    return {key: value for key, value in told.items() if value is not None}


def _alarms(info: bytes, dialect: Dialect) -> Meaning:
    alarms = decode_alarms(info, dialect)
    names = ("charge_current_alarm", "voltage_alarm", "discharge_current_alarm")
    if len(alarms.levels) == 2:
        names = ("current_alarm", "voltage_alarm", "")
    levels: Meaning = {name: level for name, level in zip(names, alarms.levels, strict=False) if name}
    return {
        "command": "alarm info",
        "module" if dialect.name == "pylontech" else "pack": alarms.number,
        "cell_alarms": list(alarms.cells),
        "temp_alarms": list(alarms.temps),
        **levels,
        "protections": list(alarms.protections),
        "charge_mos": alarms.charge_mos,
        "discharge_mos": alarms.discharge_mos,
        "status_hex": alarms.bits.hex(),
    }


def _limits(info: bytes, dialect: Dialect) -> Meaning:
    """Explain 92: limits and switches asked of the charger."""
    _sized(info, 10, dialect, "pylontech")
    cursor = Cursor(info)
    module = cursor.take()
    high, low = cursor.word() / 1000, cursor.word() / 1000
    charge, discharge = (cursor.take(2, signed=True) / 10 for _ in range(2))
    flags = cursor.take()
    return {
        "command": "management info",
        "module": module,
        "charge_voltage_limit_v": high,
        "discharge_voltage_limit_v": low,
        "charge_current_limit_a": charge,
        "discharge_current_limit_a": discharge,
        "charge_enable": bool(flags & 0x80),
        "discharge_enable": bool(flags & 0x40),
        "charge_immediately": bool(flags & 0x30),
        "full_charge_request": bool(flags & 0x08),
    }


def _parameters(info: bytes, dialect: Dialect) -> Meaning:
    """Explain 47: the limits the battery protects itself at."""
    _sized(info, 25, dialect, "pylontech")
    cursor = Cursor(info)
    cursor.take()
    told: Meaning = {"command": "system parameters"}
    for part in ("charge", "discharge"):
        what = "cell" if part == "charge" else "module"
        for name in ("high", "low", "under"):
            told[f"{what}_{name}_voltage_limit_v"] = cursor.word() / 1000
        for name in ("high", "low"):
            told[f"{part}_{name}_temp_limit_c"] = celsius(cursor.word())
        told[f"{part}_current_limit_a"] = cursor.take(2, signed=True) / 10
    return told


def _time(info: bytes, dialect: Dialect) -> Meaning:
    del dialect
    if len(info) not in {6, 7}:
        raise DeviceError("length: not a time")
    cursor = Cursor(info)
    year = cursor.take() + 2000 if len(info) == 6 else cursor.word()
    month, day, hour, minute, second = (cursor.take() for _ in range(5))
    return {"datetime": datetime(year, month, day, hour, minute, second).isoformat()}  # noqa: DTZ001  (the battery's own)


def _maker(info: bytes, dialect: Dialect) -> Meaning:
    """Explain 51: ten characters of name, two bytes of version, twenty characters."""
    if len(info) != 32 or not (name := text_of(info[:10])) or bytes(info[10:12]).isalnum():
        raise DeviceError("length or text: not a maker's name")
    last = "can_protocol" if dialect.name == "seplos" else "manufacturer"
    return {"text": name, "version_bytes": [info[10], info[11]], last: text_of(info[12:])}


def _serial(info: bytes, dialect: Dialect) -> Meaning:
    """Explain 93: the number of the module, then sixteen characters."""
    _sized(info, 17, dialect, "pylontech")
    if not (text := text_of(info[1:])):
        raise DeviceError("text: not printable")
    return {"command": "serial number", "module": info[0], "serial_number": text, "text": text}


def _text(info: bytes, dialect: Dialect) -> Meaning:
    del dialect
    if not (text := text_of(info)):
        raise DeviceError("text: not printable")
    return {"text": text}


def _packs(info: bytes, dialect: Dialect) -> Meaning:
    del dialect
    if len(info) != 1:
        raise DeviceError("length: not a number of packs")
    return {"packs": info[0]}


def _sized(info: bytes, size: int, dialect: Dialect, name: Name) -> None:
    if len(info) != size or dialect.name != name:
        raise DeviceError(f"length: {len(info)} bytes, {size} are needed")
