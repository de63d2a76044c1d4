"""What captured Modbus frames are said to mean: every vector, models, requests, and what stays unsaid."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import DECODERS
from drivers.modbus.codec import Function, Reply, Request, encode_reply, encode_request
from edge_agent.driver import Capture, DeviceError
from tests.drivers import vectors
from tests.drivers.vectors import Vector

VECTORS = vectors.of_driver("modbus")
CHOOSERS = ("model", "answers_register")
UNSAID = {"model", "meaning", "scale", "error", "breaker_closed", "door_open"}
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
    assert explained(VOLTS, model="SDM") == {"unit": 1, "function": 4, "registers": [17254, 13108]}


def test_an_unknown_model_gives_registers_only() -> None:
    """Without a map only the frame is explained."""
    assert explained(VOLTS, model="toaster") == explained(VOLTS) == explained(VOLTS, model="SDM")


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
