"""What swap cabinets tell their makers' clouds, explained for `decode`; nothing on a station speaks it yet.

Tower-type cabinets (凯信, 拓邦) send JSON behind a 4-byte length, high byte first, or as lines: `msgType` 100 login,
300 report, 400 alarm, 500 control, one more for the answers; a report is a list of attributes `id`, `value` and, for
those of a slot, `doorId`. 云动 cabinets send `tm`, `code` and `result` (JSON in a JSON string), or `c`, `tm`, `param`.
Source: liasica/cabservd, TEST.md and internal/brands.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from edge_agent.driver import Capture, Decoder, DeviceError, Json

_KINDS = {
    100: "login",
    101: "login_answer",
    300: "report",
    301: "report_answer",
    400: "alarm",
    401: "alarm_answer",
    500: "control",
    501: "control_answer",
}
_CABINET_STATES = {"0": "init", "1": "idle", "2": "swapping", "3": "returning", "4": "taking", "5": "fault"}
_SLOT_STATES = {"0": "empty", "1": "charging", "2": "full", "5": "fault"}
_DOORS = {"0": "closed", "1": "open"}
_YES = {"0": False, "1": True}
_MAINS = {"0": True, "1": False}
"""1 means lost."""
_STATES: dict[str, tuple[str, Mapping[str, Json]]] = {
    "02102001": ("cabinet_state", _CABINET_STATES),
    "02019001": ("mains_ok", _MAINS),
    "02104001": ("state", _SLOT_STATES),
    "02103001": ("door", _DOORS),
    "02118001": ("enabled", _YES),
    "02119001": ("enabled", _YES),
    "02140001": ("battery_present", _YES),
}
"""Attribute -> key and what its values mean."""
_NUMBERS = {
    "02111001": "longitude",
    "02112001": "latitude",
    "02107001": "voltage_v",
    "02108001": "current_a",
    "02113001": "temperature_c",
    "02120001": "energy_kwh",
    "02116001": "discharged_ah",
    "02117001": "charged_ah",
    "02109001": "soc_pct",
    "02110001": "soh_pct",
    "01111001": "voltage_v",
    "01112001": "current_a",
    "01116001": "cell_count",
    "01118001": "pcb_temp_c",
    "01119001": "cell_temp_c",
    "01120001": "battery_temp_c",
}
_TEXTS = {"02106001": "battery_sn"}
_PARAMETERS = {"action": "action", "opendoor": "open_door", "cabinetsn": "cabinet_sn", "tasktoken": "task_token"}
_LENGTH = 4
_JSON = json.JSONDecoder()
_BEGIN = re.compile(r"(?<![:,[])\{")
"""A brace that is not the value of something else."""
_SECONDS_BELOW = 100_000_000_000
"""A time below it counts seconds since 1970, one above it milliseconds."""


def explain(capture: Capture) -> dict[str, Json]:
    """Explain one message; raises DeviceError: length, form, kind."""
    message = _object(_body(capture.data))
    if "msgType" in message:
        return _tower(message)
    if "code" in message:
        return _answer(message)
    if "c" in message:
        return _command(message)
    raise DeviceError("kind: neither msgType nor code nor c is in it")


def _body(data: bytes) -> bytes:
    """Return the JSON without its length in front, which says how much must follow."""
    if data[:1] in {b"{", b""}:
        return data
    if int.from_bytes(data[:_LENGTH], "big") != len(data) - _LENGTH:
        raise DeviceError(f"length: {len(data)} bytes do not fit the length in front")
    return data[_LENGTH:]


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_refuse)
        # A lone half of a surrogate pair is text, and 1e999 a number, that no one could print.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise DeviceError(f"form: not JSON ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise DeviceError("form: not a JSON object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _tower(message: Mapping[str, Any]) -> dict[str, Json]:
    kind = _KINDS.get(message["msgType"]) if isinstance(message["msgType"], int) else None
    if kind is None:
        raise DeviceError(f"kind: msgType {message['msgType']!r} is not known")
    told: dict[str, Json] = {"kind": kind, "device": message.get("devId"), "transaction": message.get("txnNo")}
    if kind != "report":
        return told
    told["full"] = message.get("isFull") == 1
    slots: dict[str, dict[str, Json]] = {}
    attributes = message.get("attrList")
    for attribute in attributes if isinstance(attributes, list) else ():
        if not isinstance(attribute, dict):
            raise DeviceError("form: an attribute is no object")
        meaning = _attribute(str(attribute.get("id")), str(attribute.get("value")))
        if "doorId" in attribute:
            slots.setdefault(str(attribute["doorId"]), {}).update(meaning)
        else:
            told |= meaning
    if slots:
        told["slots"] = {slot: dict(meaning) for slot, meaning in slots.items()}
    return told


def _attribute(identifier: str, value: str) -> dict[str, Json]:
    """Return key and meaning; what is not known stands under its own number, and so does a value that is none."""
    if identifier in _STATES:
        key, meanings = _STATES[identifier]
        return {key: meanings[value]} if value in meanings else {identifier: value}
    if identifier in _NUMBERS:
        number = _number(value)
        return {identifier: value} if number is None else {_NUMBERS[identifier]: number}
    return {_TEXTS.get(identifier, identifier): value}


def _answer(message: Mapping[str, Any]) -> dict[str, Json]:
    told: dict[str, Json] = {"code": message["code"], **_time(message)}
    result = message.get("result")
    if isinstance(result, str):
        try:
            told["result"] = _object(result)
        except DeviceError:
            # Some answers carry the name of the object that the cabinet failed to write out.
            told["result"] = result
    elif result is not None:
        told["result"] = result
    return told


def _command(message: Mapping[str, Any]) -> dict[str, Json]:
    told: dict[str, Json] = {"command": message["c"], **_time(message)}
    param = message.get("param")
    if isinstance(param, dict):
        told |= {key: param[name] for name, key in _PARAMETERS.items() if param.get(name, "") != ""}
    return told


def _time(message: Mapping[str, Any]) -> dict[str, Json]:
    """Return the time by its unit: `tm` is seconds here and milliseconds there, a number here and a text there."""
    number = _number(str(message.get("tm")))
    if number is None or number < 0:
        return {}
    return {"time_s" if number < _SECONDS_BELOW else "time_ms": int(number)}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None


def find(data: bytes, direction: str) -> bytes | None:
    """Return the first JSON object in bytes as they came, without the length in front of it."""
    del direction
    text = data.decode("latin-1")  # one character a byte
    for begin in _BEGIN.finditer(text):
        try:
            return data[begin.start() : _JSON.raw_decode(text, begin.start())[1]]
        except (ValueError, RecursionError):
            continue
    return None


DECODERS = {"cabinet_cloud": Decoder(explain, find)}
