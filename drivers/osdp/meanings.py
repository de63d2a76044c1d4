"""What the data of OSDP packets mean (SIA OSDP 2.2; goToMain/libosdp `src/osdp_cp.c`, `osdp_pd.c`)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from edge_agent.driver import DeviceError, Json

Meaning = dict[str, Json]


def command(code: int, data: bytes) -> Meaning:
    """Say what a command's data mean; raises DeviceError if they are too short."""
    return _meaning(_COMMANDS, code, data)


def reply(code: int, data: bytes) -> Meaning:
    """Say what a reply's data mean; raises DeviceError if they are too short."""
    return _meaning(_REPLIES, code, data)


def _meaning(known: Mapping[int, tuple[int, Callable[[bytes], Meaning]]], code: int, data: bytes) -> Meaning:
    if code not in known:
        return {"payload_hex": data.hex()} if data else {}
    least, explain = known[code]
    if len(data) < least:
        raise DeviceError(f"{len(data)} bytes of data are too few, {least} are needed")
    return explain(data)


def _text(data: bytes) -> Meaning:
    length = data[5]
    if len(data) != 6 + length:
        raise DeviceError("the text is not as long as it says")
    return {"text": data[6:].decode("ascii", "replace")}


def _time(data: bytes) -> Meaning:
    year, (month, day, hour, minute, second) = int.from_bytes(data[:2], "little"), data[2:7]
    try:
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  (panel and reader know no zone)
    except ValueError as error:
        raise DeviceError(f"no time: {error}") from error
    return {"datetime": moment.isoformat()}


def _line(data: bytes) -> Meaning:
    return {"new_address": data[0], "new_baud": int.from_bytes(data[1:5], "little")}


def _identity(data: bytes) -> Meaning:
    return {
        "vendor_hex": data[:3].hex(),
        "model": data[3],
        "version": data[4],
        "serial_hex": data[5:9].hex(),
        "firmware": list(data[9:12]),
    }


def _capabilities(data: bytes) -> Meaning:
    if len(data) % 3:
        raise DeviceError("capabilities come in threes")
    return {"capabilities": [list(data[at : at + 3]) for at in range(0, len(data), 3)]}


def _raw(data: bytes) -> Meaning:
    bits = int.from_bytes(data[2:4], "little")
    if len(data) != 4 + (bits + 7) // 8:
        raise DeviceError("the card data are not as long as they say")
    return {"reader": data[0], "format": data[1], "bit_count": bits, "card_data_hex": data[4:].hex()}


def _formatted(data: bytes) -> Meaning:
    if len(data) != 3 + data[2]:
        raise DeviceError("the card data are not as long as they say")
    return {
        "reader": data[0],
        "direction": data[1],
        "digit_count": data[2],
        "text": data[3:].decode("ascii", "replace"),
    }


def _keypad(data: bytes) -> Meaning:
    if len(data) != 2 + data[1]:
        raise DeviceError("the keys are not as many as they say")
    return {"reader": data[0], "digit_count": data[1], "digits": data[2:].decode("ascii", "replace")}


def _states(name: str) -> Callable[[bytes], Meaning]:
    return lambda data: {name: list(data)}


_COMMANDS: Mapping[int, tuple[int, Callable[[bytes], Meaning]]] = MappingProxyType(
    {
        0x61: (0, lambda _: {}),
        0x62: (0, lambda _: {}),
        0x6B: (6, _text),
        0x6D: (7, _time),
        0x6E: (5, _line),
        0x76: (8, lambda data: {"cp_random_hex": data[:8].hex()}),
        0x77: (16, lambda data: {"cp_cryptogram_hex": data[:16].hex()}),
    }
)
"""Code -> least length of its data, and what they mean. ID and CAP carry a byte 0 that means nothing."""
_REPLIES: Mapping[int, tuple[int, Callable[[bytes], Meaning]]] = MappingProxyType(
    {
        0x41: (1, lambda data: {"nak_code": data[0]}),
        0x45: (12, _identity),
        0x46: (0, _capabilities),
        0x48: (2, lambda data: {"tamper": data[0] != 0, "power_fault": data[1] != 0}),
        0x49: (0, _states("inputs")),
        0x4A: (0, _states("outputs")),
        0x4B: (0, _states("readers")),
        0x50: (4, _raw),
        0x51: (3, _formatted),
        0x53: (2, _keypad),
        0x54: (5, _line),
        0x76: (
            32,
            lambda data: {
                "client_uid_hex": data[:8].hex(),
                "pd_random_hex": data[8:16].hex(),
                "pd_cryptogram_hex": data[16:32].hex(),
            },
        ),
        0x78: (16, lambda data: {"rmac_i_hex": data[:16].hex()}),
    }
)
