"""What captured bytes of Daly boards mean, in either framing.

Options: `cell_count` and `temp_count` (what the board's answer to 94 says; also as `cell_count_from_94`): without them
the filler behind the last cell cannot always be told from one.
"""

from collections.abc import Sequence

from drivers.bms import codec_a5 as a5
from drivers.bms import map_daly
from drivers.modbus.codec import decode_reply, decode_request
from edge_agent.driver import Capture, DeviceError, Json


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a frame, or a `stream` of classic ones; raises DeviceError with the reason for refusing."""
    if capture.kind == "stream":
        frames = list(a5.find(capture.data))
        if not frames:
            raise DeviceError("no good frame in the stream", raw=capture.data)
        return {"frames": len(frames), **_explain_frames([a5.decode(frame) for frame in frames], capture)}
    if capture.data[:1] != bytes((a5.START,)):
        return _explain_modbus(capture)
    address, command, data = a5.decode(capture.data)
    if capture.direction == "request":
        return {"command": command, "host": address >> 4, "address_byte": address}
    return _explain_frames([(address, command, data)], capture)


def _explain_frames(frames: Sequence[tuple[int, int, bytes]], capture: Capture) -> dict[str, Json]:
    """Explain the answers of one command, in any number of frames, or of several commands one after the other."""
    commands = list(dict.fromkeys(command for _, command, _ in frames))
    meaning: dict[str, Json] = {"command": commands[0]} if len(commands) == 1 else {"commands": list(commands)}
    for command in commands:
        meaning |= _values(command, [data for _, other, data in frames if other == command], capture)
    return meaning


def _values(command: int, parts: list[bytes], capture: Capture) -> dict[str, Json]:
    data = parts[0]
    if command == a5.SUMMARY:
        summary = a5.decode_summary(data)
        return {
            "voltage_v": summary.voltage_v, "current_raw_a": summary.current_raw_a, "soc_pct": summary.soc_pct
        }  # fmt: skip
    if command == a5.CELL_RANGE:
        high, low = (int.from_bytes(data[at : at + 2], "big") / 1000 for at in (0, 3))
        return {"max_cell_v": high, "max_cell": data[2], "min_cell_v": low, "min_cell": data[5]}
    if command == a5.TEMP_RANGE:
        return {
            "max_temp_c": data[0] - 40, "max_sensor": data[1], "min_temp_c": data[2] - 40, "min_sensor": data[3]
        }  # fmt: skip
    if command == a5.MODE:
        state = a5.decode_state(data)
        return {
            "mode": state.mode,
            "charge_mos": state.charge_mos,
            "discharge_mos": state.discharge_mos,
            "remaining_ah": state.remaining_ah,
        }
    if command == a5.COUNTS:
        counts = a5.decode_counts(data)
        return {
            "cells": counts.cells,
            "temp_sensors": counts.temp_sensors,
            "cycles": counts.cycles,
            "charger": counts.charger,
            "load": counts.load,
        }
    if command == a5.CELLS:
        return _cells(parts, capture)
    if command == a5.TEMPS:
        return {"frame": data[0], "temps_c": _temps(parts, capture)}
    if command == a5.FAULTS:
        return {"fault_bytes_hex": data[:7].hex(), "fault_code": data[7], "faults": list(a5.faults_of(data))}
    return {"data_hex": b"".join(parts).hex()}


def _cells(parts: list[bytes], capture: Capture) -> dict[str, Json]:
    """Explain 95: so many cells as are known to exist, else up to the first one without voltage."""
    count = _count(capture, "cell_count", "cell_count_from_94")
    values = a5.cells_of(_in_order(parts))
    known = values[:count] if count else values[: values.index(0.0)] if 0.0 in values else values
    told: dict[str, Json] = {"frame": parts[0][0], "cells_v": list(known)}
    return told | ({"cell_count_from_94": count} if count else {})


def _temps(parts: list[bytes], capture: Capture) -> list[Json]:
    count = _count(capture, "temp_count", "temp_sensors")
    raw = b"".join(part[1:8] for part in _in_order(parts))
    # Without a count: raw 0 and FF, which nothing measures, end the list; what stands behind them is filler.
    end = count or next((at for at, byte in enumerate(raw) if byte in {0x00, 0xFF}), len(raw))
    return [byte - 40 for byte in raw[:end]]


def _in_order(parts: list[bytes]) -> list[bytes]:
    """Return the parts by their number; raises DeviceError if one is missing in between."""
    ordered = sorted(parts, key=lambda part: part[0])
    if [part[0] for part in ordered] != list(range(ordered[0][0], ordered[0][0] + len(ordered))):
        raise DeviceError("frames: one is missing or there twice")
    return ordered


def _count(capture: Capture, *names: str) -> int:
    text = next((capture.options[name] for name in names if name in capture.options), "0")
    if not text.isdecimal():
        raise DeviceError(f"option {names[0]}: {text!r} is no number")
    return int(text)


def _explain_modbus(capture: Capture) -> dict[str, Json]:
    if capture.direction == "request":
        asked = decode_request(capture.data)
        head: dict[str, Json] = {"unit": asked.unit, "function": int(asked.function), "address": asked.address}
        return head | {"count": asked.count} | ({"values": list(asked.values)} if asked.values else {})
    reply = decode_reply(capture.data)
    head = {"unit": reply.unit, "function": int(reply.function)}
    if map_daly.REPLY_BASE < reply.unit < map_daly.REPLY_BASE + 0x10:
        head["answers_unit"] = reply.unit - map_daly.REPLY_BASE + map_daly.ASK_BASE
    if reply.exception:
        return head | {"exception": reply.exception}
    head["registers"] = list(reply.values)
    start = decode_request(capture.request).address if capture.request else None
    if len(reply.values) == map_daly.VALUES[1] and start in {None, map_daly.VALUES[0]}:
        pack = map_daly.decode_values(reply.values)
        return head | {
            "cells_v": list(pack.cells_v),
            "temps_c": [round(temp) for temp in pack.temps_c],
            "voltage_v": pack.voltage_v,
            "current_raw_a": pack.current_a,
            "soc_pct": pack.soc_pct,
        }
    if len(reply.values) == map_daly.COUNTERS[1] and start in {None, map_daly.COUNTERS[0]}:
        fields = map_daly.decode_counters(reply.values)
        return head | {key: value for key, value in fields.items() if isinstance(value, str | float | int)}
    return head
