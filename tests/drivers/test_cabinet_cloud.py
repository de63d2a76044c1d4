"""Messages of swap cabinets to their clouds: explained, or refused with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cabinet_cloud import DECODERS, explain
from edge_agent.cli import main
from edge_agent.driver import Capture, DeviceError

VECTORS = Path(__file__).with_name("cabinet_cloud.jsonl")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["msgType", "code", "c", "tm", "param", "result", "attrList", "devId", "isFull"])


def message(**fields: Any) -> Capture:
    """A message as JSON."""
    return Capture(json.dumps(fields).encode())


def test_the_vectors_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """Every captured message means what is known of it."""
    assert main(["decode", "--vectors", str(VECTORS)]) == 0, capsys.readouterr().out


def test_slots_are_told_with_their_values() -> None:
    """States and numbers have their names; what is not known keeps its own number, and mains 1 is lost."""
    attributes = [
        {"id": "02104001", "value": "1", "doorId": "3"},
        {"id": "02103001", "value": "0", "doorId": "3"},
        {"id": "02109001", "value": "87", "doorId": "3"},
        {"id": "02104001", "value": "9", "doorId": "4"},
        {"id": "02019001", "value": "1"},
        {"id": "02111001", "value": "east"},
        {"id": "09999999", "value": "x"},
    ]
    told = explain(message(msgType=300, devId="d", attrList=attributes))
    assert told["slots"] == {"3": {"state": "charging", "door": "closed", "soc_pct": 87.0}, "4": {"02104001": "9"}}
    assert (told["mains_ok"], told["02111001"], told["09999999"]) == (False, "east", "x")


def test_a_length_in_front_must_fit() -> None:
    """The four bytes say how much follows."""
    body = b'{"code":0}'
    assert explain(Capture(len(body).to_bytes(4) + body)) == {"code": 0}
    with pytest.raises(DeviceError, match="length"):
        explain(Capture((len(body) + 1).to_bytes(4) + body))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "form"),
        (b"{", "form"),
        (b'{"code":NaN}', "form"),
        (b'{"code":1e999}', "form"),
        (b'{"code":"\\ud800"}', "form"),
        (b'{"a":' * 5000, "form"),
        (b"\x00\x00\x00\x02[]", "not a JSON object"),
        (b'{"x":1}', "neither"),
        (b'{"msgType":7}', "is not known"),
        (b'{"msgType":300,"attrList":[1]}', "an attribute"),
    ],
)
def test_nonsense_is_refused(data: bytes, reason: str) -> None:
    """With a word on why."""
    with pytest.raises(DeviceError, match=reason):
        explain(Capture(data))


@given(st.dictionaries(keys, values, max_size=5))
def test_any_message_gives_a_meaning_or_an_error(fields: dict[str, Any]) -> None:
    """No JSON makes the decoder raise anything but DeviceError, and what it tells is JSON."""
    try:
        json.dumps(explain(message(**fields)))
    except DeviceError:
        return


def test_a_result_that_is_no_json_stays_text() -> None:
    """Cabinets that failed to write an object out send its name; the message is good all the same."""
    assert explain(message(code=0, result="[Resp69@1]"))["result"] == "[Resp69@1]"


def test_messages_in_a_row_are_found() -> None:
    """Lines, lengths in front and stray bytes are all the same to a stream."""
    one, two = b'{"code":0}', b'{"c":1,"param":{"action":2,"cabinetsn":""}}'
    stream = one + b"\n\xff\x00\x00\x00" + bytes((len(two),)) + two + b"{"
    told = DECODERS["cabinet_cloud"](Capture(stream, kind="stream"))
    assert told == {"frames": 2, "code": 0, "others": [{"command": 1, "action": 2}], "noise_bytes": 7}
    with pytest.raises(DeviceError, match="no good frame"):
        DECODERS["cabinet_cloud"](Capture(b'{"a":' * 3000, kind="stream"))
