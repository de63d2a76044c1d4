"""What captured bytes of JBD boards mean, in either framing."""

from drivers.bms import codec_dd as dd
from drivers.bms import codec_up as up
from drivers.modbus.codec import crc16
from edge_agent.driver import Capture, DeviceError, Json

_START = 0xDD
_END = 0x77
_READ = 0xA5
_WRITE = 0x5A
_OK = 0x00
_REFUSED = 0x80
_SWITCH = 0xE1
_WRITES = {0x0A: "clear alarm"}
_UP_HEAD = 8


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a frame; raises DeviceError with the reason for refusing."""
    data = capture.data
    if data[:1] != bytes((_START,)):
        return _explain_up(capture)
    if len(data) < 7 or data[-1] != _END:
        raise DeviceError("length or end: the last byte is not 77", raw=data)
    if len(data) != 7 + data[3]:
        raise DeviceError(f"length: {len(data)} bytes do not fit {data[3]} data bytes", raw=data)
    if data[-3:-1] != dd.checksum(data[2:-3]):
        raise DeviceError("checksum: the sum does not fit", raw=data)
    if capture.direction == "request":
        return _explain_request(data)
    register, status, content = data[1], data[2], data[4:-3]
    if status not in {_OK, _REFUSED}:
        raise DeviceError(f"status: {status:02X} is neither 00 nor 80", raw=data)
    if status == _REFUSED:
        return {"register": register, "status": status, "meaning": "refused"}
    return {"register": register, **_values(register, content)}


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first frame of either framing that can be explained."""
    for start in range(len(data)):
        rest = data[start:]
        if rest[0] == _START:
            frame = rest[: 7 + rest[3]] if len(rest) > 3 else b""
        else:
            frame = rest[: _UP_HEAD + int.from_bytes(rest[6:_UP_HEAD], "big") + 2]
        try:
            explain(Capture(frame, direction))
        except DeviceError:
            continue
        return frame
    return None


def _explain_request(data: bytes) -> dict[str, Json]:
    access, register, content = data[1], data[2], data[4:-3]
    if access == _READ:
        return {"register": register, "access": "read"}
    if access != _WRITE:
        raise DeviceError(f"access: {access:02X} is neither A5 nor 5A", raw=data)
    meaning: dict[str, Json] = {"register": register, "access": "write", "data_hex": content.hex()}
    if register == _SWITCH and len(content) == 2:
        # A set bit switches off.
        meaning |= {"charge_mos": not content[1] & 1, "discharge_mos": not content[1] & 2}
    return meaning | ({"meaning": _WRITES[register]} if register in _WRITES else {})


def _values(register: int, content: bytes) -> dict[str, Json]:
    if register == dd.BASIC:
        basic = dd.decode_basic(content)
        names = dd.protections(basic.protection_bits)
        return {
            "voltage_v": basic.voltage_v,
            "current_a": basic.current_a,
            "remaining_ah": basic.remaining_ah,
            "nominal_ah": basic.nominal_ah,
            "cycles": basic.cycles,
            "balance_bits": basic.balance_bits,
            "production_date": basic.production_date,
            "protection_bits": basic.protection_bits,
            "protections": list(names),
            "protection_count": len(names),
            "software_version": basic.software_version,
            "soc_pct": basic.soc_pct,
            "charge_mos": basic.charge_mos,
            "discharge_mos": basic.discharge_mos,
            "cell_count": basic.cell_count,
            "temps_c": list(basic.temps_c),
            "charging": basic.current_a > 0,
        }
    if register == dd.CELLS:
        return {"cells_v": list(dd.decode_cells(content))}
    if register == dd.NAME:
        return {"text": content.decode("latin-1").strip("\x00 ")}
    return {"data_hex": content.hex()}


def _explain_up(capture: Capture) -> dict[str, Json]:
    """Explain a frame of the addressed framing: its head, then its data."""
    data = capture.data
    if len(data) < _UP_HEAD + 2 or data[1] != up.READ:
        raise DeviceError("start: neither DD nor the function 78 of UP boards", raw=data)
    length = int.from_bytes(data[6:_UP_HEAD], "big")
    if len(data) != _UP_HEAD + length + 2:
        raise DeviceError(f"length: {len(data)} bytes do not fit {length} data bytes", raw=data)
    if crc16(data) != 0:
        raise DeviceError("crc: the CRC does not fit", raw=data)
    area = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:6], "big")
    head: dict[str, Json] = {
        "framing": "jbd_up", "unit": data[0], "function": data[1], "start": area[0], "end": area[1]
    }  # fmt: skip
    content = data[_UP_HEAD:-2]
    if area == up.STATUS and content:
        pack = up.decode_status(content)
        return head | {
            "voltage_v": pack.voltage_v,
            "current_a": pack.current_a,
            "soc_pct": pack.soc_pct,
            "soh_pct": pack.soh_pct,
            "remaining_ah": pack.remaining_ah,
            "full_ah": pack.full_ah,
            "cycles": pack.cycles,
            "mos_temp_c": pack.temp_mos_c,
            "temps_c": list(pack.temps_c),
            "cells_v": list(pack.cells_v),
            "charge_mos": pack.charge_mos,
            "discharge_mos": pack.discharge_mos,
            "protections": list(pack.protections or ()),
            "label": pack.label,
        }
    if area == up.PARAMETERS and content:
        numbers = up.decode_parameters(content)
        return head | {
            "board_sn": numbers.board_sn, "board_date": numbers.board_date,
            "pack_sn": numbers.pack_sn, "pack_date": numbers.pack_date,
        }  # fmt: skip
    return head | ({"data_hex": content.hex()} if content else {})
