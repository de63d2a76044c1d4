"""What captured Modbus frames are said to mean: every vector, models, requests, and what stays unsaid."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import DECODERS
from drivers.modbus.codec import Function, Reply, Request, encode_reply, encode_request, seal
from edge_agent.driver import Capture, DeviceError
from tests.drivers import vectors
from tests.drivers.vectors import Vector

VECTORS = vectors.of_driver("modbus")
CHOOSERS = ("model", "answers_register")
UNSAID = {"meaning", "scale", "error", "breaker_closed", "door_open"}
"""Keys that no frame tells: names, remarks, and values of devices whose model the vector does not name."""
AMBIGUOUS = {"temperature_c", "humidity_rh", "voltage_v", "word_order"}
"""Values of replies that stand alone: without their request nothing tells which register they carry."""


def capture(vector: Vector) -> Capture:
    """The capture of one vector, the kind of device chosen as the vector says."""
    options = {key: str(vector.decoded[key]) for key in CHOOSERS if key in vector.decoded}
    return Capture(vector.frame, vector.direction, vector.kind, options=options)


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if vector.valid], ids=str)
def test_every_valid_vector_is_explained(vector: Vector) -> None:
    """Each published frame means what its publisher says, key by key, as far as a frame alone can tell."""
    told = DECODERS[vector.where.partition(".")[0]](capture(vector))
    alone = vector.direction == "response" and "answers_register" not in vector.decoded
    expected = {key: value for key, value in vector.decoded.items() if key not in UNSAID}
    for key, value in expected.items():
        if key in told or not (alone and key in AMBIGUOUS):
            assert told[key] == pytest.approx(value, abs=vector.tolerance)


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if not vector.valid], ids=str)
def test_every_invalid_vector_is_refused(vector: Vector) -> None:
    """A frame with a wrong CRC, cut short, or overrun by text is refused with a reason."""
    with pytest.raises(DeviceError):
        DECODERS["modbus_rtu"](capture(vector))


def explained(frame: bytes, request: Request | None = None, **options: str) -> dict[str, Any]:
    """Explain a reply."""
    asked = encode_request(request) if request else None
    return DECODERS["modbus_energy"](Capture(frame, request=asked, options=options))


VOLTS = encode_reply(Reply(1, Function.READ_INPUT_REGISTERS, (17254, 13108)))


def test_the_request_tells_what_a_reply_carries() -> None:
    """The same two registers of a meter are volts or watts, depending on what was asked."""
    for address, key in ((0, "voltage_v"), (12, "power_w")):
        asked = Request(1, Function.READ_INPUT_REGISTERS, address, 2)
        told = explained(VOLTS, asked, model="SDM")
        assert told[key] == pytest.approx(230.2, abs=0.001)
        assert told["word_order"] == "big"


@pytest.mark.parametrize(("address", "count", "unit", "known"), [(0, 2, 1, True), (0, 3, 1, False), (0, 2, 5, False)])
def test_a_request_just_before_is_used_if_it_fits(address: int, count: int, unit: int, *, known: bool) -> None:
    """In a capture, the request before a reply tells its registers, unless unit, function or length say otherwise."""
    before = encode_request(Request(unit, Function.READ_INPUT_REGISTERS, address, count))
    told = explained(VOLTS, model="SDM", request_before=before.hex())
    assert ("voltage_v" in told) == known


def test_without_its_request_an_ambiguous_reply_stays_registers() -> None:
    """Nothing is guessed: two registers of a meter could be any of its values."""
    assert explained(VOLTS, model="SDM") == {
        "unit": 1, "function": 4, "registers": [17254, 13108], "model": "SDM"
    }  # fmt: skip


def test_an_unknown_model_gives_registers_only() -> None:
    """Without a map only the frame is explained."""
    assert explained(VOLTS, model="toaster") == explained(VOLTS)


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (Request(1, Function.READ_HOLDING_REGISTERS, 0, 2), "but 03 was asked"),
        (Request(1, Function.READ_INPUT_REGISTERS, 0, 3), "where 3 were asked"),
    ],
)
def test_a_reply_to_another_question_is_refused(request_: Request, complaint: str) -> None:
    """A reply of another function or length than its request asked for is no answer to it."""
    with pytest.raises(DeviceError, match=complaint):
        explained(VOLTS, request_, model="SDM")


def test_bits_are_cut_to_what_was_asked() -> None:
    """Coils come in whole bytes; the request says how many of them mean anything."""
    reply = encode_reply(Reply(1, Function.READ_COILS, (1, 0, 1)))
    asked = Request(1, Function.READ_COILS, 0, 3)
    assert explained(reply, asked)["coils"] == [True, False, True]
    assert len(explained(reply)["coils"]) == 8


def test_a_shipped_profile_is_a_model_too() -> None:
    """A capture of a relay board is explained by the profile's points."""
    reply = encode_reply(Reply(9, Function.READ_COILS, (0, 1, 0, 0)))
    told = explained(reply, Request(9, Function.READ_COILS, 0, 4), model="relay-lctech-4")
    assert [told[f"relay_{number}"] for number in (1, 2, 3, 4)] == [False, True, False, False]


@pytest.mark.parametrize("direction", ["request", "response"])
@pytest.mark.parametrize(
    ("model", "order", "told"),
    [
        ("RS-KTC-N01", (Function.WRITE_REGISTER, 0x00BA, 1), {"meaning": "emit heat on"}),
        ("RS-KTC-N01", (Function.WRITE_REGISTER, 0x0007, 1), {"meaning": "learn cool on"}),
        ("RS-KTC-N01", (Function.WRITE_REGISTER, 0x000B, 1), {"meaning": "learn custom 2"}),
        ("RS-KTC-N01", (Function.WRITE_REGISTER, 0x00D0, 1), {}),
        ("RS-KTC-N01", (Function.WRITE_REGISTER, 0x00BA, 2), {}),
        ("Gree COM-BMS", (Function.WRITE_REGISTER, 2, 85), {"power": "off", "meaning": "power off"}),
        ("Gree COM-BMS", (Function.WRITE_REGISTER, 17, 5), {"mode": "auto", "meaning": "mode auto"}),
        ("Gree COM-BMS", (Function.WRITE_REGISTER, 19, 0), {"fan": "auto", "meaning": "fan auto"}),
        ("Gree COM-BMS", (Function.WRITE_REGISTER, 20, 26), {"setpoint_c": 26}),
        ("ONOKOM AIR", (Function.WRITE_COIL, 1, 0xFF00), {"power": True, "meaning": "power on"}),
        ("ONOKOM AIR", (Function.WRITE_COIL, 1, 0), {"power": False, "meaning": "power off"}),
        ("ONOKOM AIR", (Function.WRITE_REGISTER, 5, 2650), {"setpoint_c": 26.5, "scale": 0.01}),
    ],
)
def test_what_is_ordered_is_said(
    model: str, order: tuple[Function, int, int], told: dict[str, Any], direction: str
) -> None:
    """A write to a known model is told in its words, and so is the answer that repeats it."""
    function, address, value = order
    frame = encode_request(Request(1, function, address, 1, (value,)))
    word = {"coil": value > 0} if function is Function.WRITE_COIL else {"value": value}
    expected = {"unit": 1, "function": int(function), "address": address, "model": model, **word, **told}
    assert DECODERS["modbus_ac"](Capture(frame, direction, options={"model": model})) == expected


def test_what_is_asked_for_is_named() -> None:
    """A question to a known model names the values asked for, in the order of their places."""
    asked = encode_request(Request(1, Function.READ_HOLDING_REGISTERS, 1, 3))
    told = DECODERS["modbus_ac"](Capture(asked, "request", options={"model": "ONOKOM AIR"}))
    assert told["reads"] == ["mode", "active_mode", "indoor_c"]
    nothing = encode_request(Request(1, Function.READ_HOLDING_REGISTERS, 500, 1))
    assert "reads" not in DECODERS["modbus_ac"](Capture(nothing, "request", options={"model": "ONOKOM AIR"}))


def test_the_scale_chooses_the_variant() -> None:
    """The same sensor is sold with tenths and with hundredths."""
    reply = encode_reply(Reply(1, Function.READ_INPUT_REGISTERS, (305, 546)))
    for scale, celsius in (("0.1", 30.5), ("0.01", 3.05)):
        told = explained(reply, model="XY-MD02", scale=scale)
        assert (told["temperature_c"], told["scale"]) == (celsius, float(scale))


@pytest.mark.parametrize(
    ("body", "direction", "told"),
    [
        ("0111", "request", {"function": 17, "meaning": "report server ID", "data_hex": ""}),
        ("010800001234", "request", {"function": 8, "meaning": "diagnostics", "data_hex": "00001234"}),
        ("0165aa", "response", {"function": 101, "meaning": "a function of the maker's", "data_hex": "aa"}),
        ("018b01", "response", {"function": 11, "exception": 1, "meaning": "ILLEGAL FUNCTION"}),
        ("018b63", "response", {"function": 11, "exception": 99, "meaning": "unknown"}),
        ("f842", "request", {"function": 66, "model": "PZEM", "meaning": "reset energy", "data_hex": ""}),
    ],
)
def test_other_functions_are_named(body: str, direction: str, told: dict[str, Any]) -> None:
    """Of a function that is not spoken here at least unit, number and data are told."""
    options = {"model": "PZEM"} if "model" in told else {}
    frame = seal(bytes.fromhex(body))
    assert DECODERS["modbus_rtu"](Capture(frame, direction, options=options)) == {"unit": frame[0], **told}


@pytest.mark.parametrize("body", ["018b", "018b0102"])
def test_an_exception_of_the_wrong_length_is_refused(body: str) -> None:
    """Its five bytes are all it may have, also of a function that is not known."""
    with pytest.raises(DeviceError, match="no exception reply"):
        DECODERS["modbus_rtu"](Capture(seal(bytes.fromhex(body))))


@given(
    data=st.binary(max_size=60),
    direction=st.sampled_from(["request", "response"]),
    kind=st.sampled_from(["", "stream"]),
    request=st.none() | st.binary(max_size=12),
    options=st.dictionaries(
        st.sampled_from(["model", "answers_register", "request_before"]),
        st.sampled_from(["SDM", "PZEM", "3", "0104000000027"]) | st.text(max_size=5),
    ),
)
def test_any_capture_is_explained_or_refused(
    data: bytes, direction: str, kind: str, request: bytes | None, options: dict[str, str]
) -> None:
    """No bytes and no options make the decoder fail in any other way than DeviceError."""
    for protocol in DECODERS.values():
        try:
            protocol(Capture(data, direction, kind, request, options))
        except DeviceError:
            continue
