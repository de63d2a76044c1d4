"""What captured bytes of JK boards mean."""

from drivers.bms import codec_jk as jk
from edge_agent.driver import Capture, DeviceError, Json

OPTIONS = {"tag": (), "protocol_version": ()}
"""Of a capture of the kind `field`, the value of one tag: which (132, the current), in which version (1)."""
_CURRENT = 0x84
_VERSION = 0xC0
_ALARMS = 0x8B
_COMMANDS = {0x01: "activate", 0x02: "write", 0x03: "read", 0x05: "pair", 0x06: "read all"}


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a frame or one field; raises DeviceError with the reason for refusing."""
    if capture.kind == "field":
        return _explain_field(capture)
    command, answered, data = jk.decode(capture.data)
    if not answered:
        asked: dict[str, Json] = {"command": command, "data_hex": data.hex()}
        return asked | ({"meaning": _COMMANDS[command]} if command in _COMMANDS else {})
    return {"command": command} | _values(jk.decode_status(data))


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked frame of a direction."""
    return jk.find(data, answer=direction == "response")


def _values(status: jk.Status) -> dict[str, Json]:
    told: dict[str, Json] = {
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
        "protocol_version": status.protocol_version if _VERSION in status.tags else None,
        "alarms": list(status.alarms) if _ALARMS in status.tags else None,
        "name": status.name or None,
    }
    return {key: value for key, value in told.items() if value is not None}


def _explain_field(capture: Capture) -> dict[str, Json]:
    tag, version = capture.number("tag", _CURRENT), capture.number("protocol_version", 1)
    if version > 0xFF:
        raise DeviceError(f"option protocol_version: {version} is not one byte")
    if jk.WIDTHS.get(tag) != len(capture.data):
        raise DeviceError(f"length: tag {tag:02X} is not {len(capture.data)} bytes wide", raw=capture.data)
    status = jk.decode_status(bytes((_VERSION, version, tag)) + capture.data)
    return {"tag": tag, "raw": int.from_bytes(capture.data, "big"), **_values(status)}
