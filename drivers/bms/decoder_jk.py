"""What captured bytes of JK boards mean.

A capture of the kind `field` is the value of one tag; options: `tag` (default 132, the current) and `protocol_version`
(default 1).
"""

from drivers.bms import codec_jk as jk
from edge_agent.driver import Capture, DeviceError, Json

_CURRENT = 0x84
_COMMANDS = {0x01: "activate", 0x02: "write", 0x03: "read", 0x05: "pair", 0x06: "read all"}


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a frame or one field; raises DeviceError with the reason for refusing."""
    if capture.kind == "field":
        return _explain_field(capture)
    command, answered, data = jk.decode(capture.data)
    if not answered:
        asked: dict[str, Json] = {"command": command, "data_hex": data.hex()}
        return asked | ({"meaning": _COMMANDS[command]} if command in _COMMANDS else {})
    status = jk.decode_status(data)
    told: dict[str, Json] = {
        "command": command,
        "cells_v": list(status.cells_v) or None,
        "voltage_v": status.voltage_v,
        "current_a": status.current_a,
        "charging": None if status.current_a is None else status.current_a > 0,
        "soc_pct": status.soc_pct,
        "cycles": status.cycles,
        "temps_c": list(status.temps_c) or None,
        "mos_temp_c": status.mos_temp_c,
        "capacity_ah": status.capacity_ah,
        "charge_mos": status.charge_mos,
        "discharge_mos": status.discharge_mos,
        "protocol_version": status.protocol_version,
        "alarms": list(status.alarms),
        "name": status.name or None,
    }
    return {key: value for key, value in told.items() if value is not None}


def _explain_field(capture: Capture) -> dict[str, Json]:
    tag, version = _number(capture, "tag", _CURRENT), _number(capture, "protocol_version", 1)
    if jk.WIDTHS.get(tag) != len(capture.data):
        raise DeviceError(f"length: tag {tag:02X} is not {len(capture.data)} bytes wide", raw=capture.data)
    raw = int.from_bytes(capture.data, "big")
    if tag != _CURRENT:
        return {"tag": tag, "raw": raw}
    current = jk.current(raw, version)
    return {"tag": tag, "protocol_version": version, "current_a": current, "charging": current > 0}


def _number(capture: Capture, name: str, usual: int) -> int:
    text = capture.options.get(name, str(usual))
    if not text.isdecimal():
        raise DeviceError(f"option {name}: {text!r} is no number")
    return int(text)
