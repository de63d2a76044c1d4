"""What captured bytes of Daly boards mean, in either framing."""

from collections.abc import Sequence

from drivers.bms import codec_a5 as a5
from drivers.bms import map_daly
from drivers.bms.pack import Pack
from drivers.modbus.codec import decode_reply, decode_request, find_frames, reply_size, request_size
from edge_agent.driver import Capture, Decoder, DeviceError, Json

OPTIONS = {"cell_count": (), "temp_count": ()}
"""What the board's answer to 94 says: without it the filler behind the last cell cannot always be told from one."""
_ASKERS = 0x40
"""From here on the address is that of who asks."""


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a frame, or the answers of the classic framing in a stream together; raises DeviceError if refused."""
    if capture.kind == "stream":
        answers = [a5.decode(frame) for frame in a5.find(capture.data)] if capture.direction == "response" else []
        answers = [answer for answer in answers if answer[0] < _ASKERS]
        if not answers:
            return Decoder(_explain_one, _find)(capture)
        noise = len(capture.data) - a5.SIZE * len(answers)
        meaning = {"frames": len(answers), **_explain_frames(answers, capture)}
        return meaning | ({"noise_bytes": noise} if noise else {})
    return _explain_one(capture)


def _find(data: bytes, direction: str) -> bytes | None:
    """Return the first whole, checked frame of either framing."""
    size_of = request_size if direction == "request" else reply_size
    return next(a5.find(data), None) or next(find_frames(data, size_of), None)


def _explain_one(capture: Capture) -> dict[str, Json]:
    if capture.data[:1] != bytes((a5.START,)):
        return _explain_modbus(capture)
    address, command, data = a5.decode(capture.data)
    if capture.direction == "request":
        return {"command": command, "host": address >> 4, "address_byte": address}
    if address >= _ASKERS:
        raise DeviceError(f"address: {address:02X} is that of who asks", raw=capture.data)
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
    if command == a5.BALANCE:
        return {"balance_bits": int.from_bytes(data[:6], "little")}
    if command == a5.FAULTS:
        return {"fault_bytes_hex": data[:7].hex(), "fault_code": data[7], "faults": list(a5.faults_of(data))}
    return {"data_hex": b"".join(parts).hex()}


def _cells(parts: list[bytes], capture: Capture) -> dict[str, Json]:
    """Explain 95: so many cells as are known to exist, else up to the first one without voltage."""
    count = capture.number("cell_count", capture.number("cell_count_from_94", 0))
    values = a5.cells_of(_in_order(parts))
    known = values[:count] if count else values[: values.index(0.0)] if 0.0 in values else values
    told: dict[str, Json] = {"frame": parts[0][0], "cells_v": list(known)}
    return told | ({"cell_count_from_94": count} if count else {})


def _temps(parts: list[bytes], capture: Capture) -> list[Json]:
    count = capture.number("temp_count", capture.number("temp_sensors", 0))
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


def _explain_modbus(capture: Capture) -> dict[str, Json]:
    if capture.direction == "request":
        asked = decode_request(capture.data)
        head: dict[str, Json] = {"unit": asked.unit, "function": int(asked.function), "address": asked.address}
        return head | {"count": asked.count} | ({"values": list(asked.values)} if asked.values else {})
    reply = decode_reply(capture.data)
    head = {"unit": reply.unit, "function": int(reply.function)}
    if reply.unit == map_daly.D2 and not reply.exception:
        return head | {"registers": list(reply.values), **_pack(map_daly.decode_d2(reply.values))}
    if map_daly.REPLY_BASE < reply.unit < map_daly.REPLY_BASE + 0x10:
        head["answers_unit"] = reply.unit - map_daly.REPLY_BASE + map_daly.ASK_BASE
    if reply.exception:
        return head | {"exception": reply.exception}
    head["registers"] = list(reply.values)
    start = decode_request(capture.request).address if capture.request else None
    if len(reply.values) == map_daly.VALUES[1] and start in {None, map_daly.VALUES[0]}:
        return head | _pack(map_daly.decode_values(reply.values))
    if len(reply.values) == map_daly.COUNTERS[1] and start in {None, map_daly.COUNTERS[0]}:
        fields = dict(map_daly.decode_counters(reply.values))
        fields["mos_temp_c"] = fields.pop("temp_mos_c")
        return head | {key: value for key, value in fields.items() if isinstance(value, str | float | int)}
    return head


def _pack(pack: Pack) -> dict[str, Json]:
    return {
        "cells_v": list(pack.cells_v),
        "temps_c": [round(temp) for temp in pack.temps_c],
        "voltage_v": pack.voltage_v,
        "current_raw_a": pack.current_a,
        "soc_pct": pack.soc_pct,
    }
