"""Modbus RTU frames: every vector, strict decoding, and finding an answer in a stream."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.codec import (
    COIL_ON,
    Function,
    Refused,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    find_frames,
    reply_size,
    request_size,
    seal,
)
from drivers.modbus.codec_shape import reply_shape
from edge_agent.driver import DeviceError
from tests.drivers import vectors
from tests.drivers.vectors import Vector

VECTORS = vectors.of_driver("modbus")
VALID = [vector for vector in VECTORS if vector.valid and vector.kind == "frame"]
INVALID = [vector for vector in VECTORS if not vector.valid]
STREAMS = [vector for vector in VECTORS if vector.valid and vector.kind == "stream"]

words = st.integers(0, 0xFFFF)
reads = st.builds(
    Request,
    unit=st.integers(1, 255),
    function=st.sampled_from([Function.READ_HOLDING_REGISTERS, Function.READ_INPUT_REGISTERS]),
    address=words,
    count=st.integers(1, 125),
)


def expect(decoded: dict[str, Any], found: Request | Reply) -> None:
    """Compare a decoded frame with what its vector says."""
    assert found.unit == decoded["unit"]
    assert found.function == decoded["function"]
    for key in ("address", "count", "exception"):
        if key in decoded:
            assert getattr(found, key) == decoded[key]
    if "value" in decoded:
        assert found.values == (decoded["value"],)
    if "registers" in decoded:
        assert found.values == tuple(decoded["registers"])
    if "coil" in decoded:
        assert found.values == (COIL_ON if decoded["coil"] else 0,)
    for key in ("coils", "inputs"):
        if key in decoded:
            assert found.values == tuple(map(int, decoded[key]))


@pytest.mark.parametrize("vector", VALID, ids=str)
def test_valid_frames_decode_to_their_values(vector: Vector) -> None:
    """Every valid frame decodes to its values, and encoding those gives the frame again."""
    if vector.direction == "request":
        request = decode_request(vector.frame)
        expect(vector.decoded, request)
        assert encode_request(request) == vector.frame
    else:
        reply = decode_reply(vector.frame)
        expect(vector.decoded, reply)
        assert encode_reply(reply) == vector.frame


@pytest.mark.parametrize("vector", INVALID, ids=str)
def test_invalid_frames_are_refused(vector: Vector) -> None:
    """Every invalid frame is refused whole, and no frame is found inside it."""
    decode = decode_request if vector.direction == "request" else decode_reply
    size = request_size if vector.direction == "request" else reply_size
    with pytest.raises(DeviceError):
        decode(vector.frame)
    assert list(find_frames(vector.frame, size)) == []


@pytest.mark.parametrize("vector", STREAMS, ids=str)
def test_frames_are_found_in_noise(vector: Vector) -> None:
    """A frame with noise around it is found in the stream, though the whole is no frame."""
    requests = vector.direction == "request"
    with pytest.raises(DeviceError):
        (decode_request if requests else decode_reply)(vector.frame)
    (frame,) = find_frames(vector.frame, request_size if requests else reply_size)
    expect(vector.decoded, decode_request(frame) if requests else decode_reply(frame))


def test_the_vectors_are_all_there() -> None:
    """The five vector files hold 71 frames, 6 of them to be refused."""
    assert (len(VECTORS), len(INVALID)) == (71, 6)


@pytest.mark.parametrize(
    "request_",
    [
        Request(1, Function.READ_COILS, 3, 9),
        Request(1, Function.READ_DISCRETE_INPUTS, 0, 2000),
        Request(1, Function.READ_HOLDING_REGISTERS, 0, 125),
        Request(1, Function.WRITE_COIL, 5, 1, (COIL_ON,)),
        Request(1, Function.WRITE_REGISTER, 5, 1, (77,)),
        Request(1, Function.WRITE_COILS, 5, 9, (1, 0, 1, 0, 1, 0, 1, 0, 1)),
        Request(1, Function.WRITE_REGISTERS, 5, 2, (7, 0xFFFF)),
    ],
    ids=str,
)
def test_requests_survive_the_wire(request_: Request) -> None:
    """Encoding and decoding a request gives the request again."""
    assert decode_request(encode_request(request_)) == request_


def sealed(hexadecimal: str) -> bytes:
    """A frame with a good CRC around any content."""
    return seal(bytes.fromhex(hexadecimal))


@pytest.mark.parametrize(
    "frame",
    [
        sealed("01 03 0000 0000"),
        sealed("01 03 0000 007e"),
        sealed("01 01 0000 07d1"),
        sealed("01 0f 0000 0009 01 ff"),
        sealed("01 10 0000 0001 04 0001 0002"),
        sealed("01 10 0000 0000 00"),
        sealed("01 2b 0000 0001"),
        b"",
        b"\x01\x10\x00\x00\x00\x01",
    ],
    ids=lambda frame: frame.hex(" "),
)
def test_requests_that_break_the_specification_are_refused(frame: bytes) -> None:
    """A good CRC does not excuse a count out of range, bytes that do not fit the count, or an unknown function."""
    with pytest.raises(DeviceError):
        decode_request(frame)


@pytest.mark.parametrize(
    "frame",
    [sealed("01 03 03 000000"), sealed("01 03 00"), sealed("01 83 00"), sealed("01 2b 02 0000"), b"", b"\x01\x03"],
    ids=lambda frame: frame.hex(" "),
)
def test_replies_that_break_the_specification_are_refused(frame: bytes) -> None:
    """A good CRC does not excuse an odd or missing byte count, exception 0, or an unknown function."""
    with pytest.raises(DeviceError):
        decode_reply(frame)


ASKED = Request(17, Function.READ_HOLDING_REGISTERS, 107, 2)
GOOD = encode_reply(Reply(17, Function.READ_HOLDING_REGISTERS, (141, 142)))


@pytest.mark.parametrize(
    "answer",
    [
        encode_reply(Reply(18, Function.READ_HOLDING_REGISTERS, (141, 142))),
        encode_reply(Reply(17, Function.READ_INPUT_REGISTERS, (141, 142))),
        encode_reply(Reply(17, Function.READ_HOLDING_REGISTERS, (141,))),
        encode_reply(Reply(17, Function.READ_HOLDING_REGISTERS, (141, 142, 143))),
        encode_reply(Reply(17, Function.READ_INPUT_REGISTERS, exception=2)),
        encode_request(ASKED),
        GOOD[:-1],
    ],
    ids=["other unit", "other function", "too few", "too many", "other exception", "echo", "truncated"],
)
def test_what_does_not_fit_the_question_is_no_answer(answer: bytes) -> None:
    """A good frame of another unit, function or count answers nothing; followed by the true one it is stepped over."""
    shape = reply_shape(ASKED)
    assert shape.find(answer) is None
    assert shape.find(answer + GOOD) == GOOD


@given(noise=st.binary(max_size=40), tail=st.binary(max_size=20))
def test_an_answer_is_found_behind_any_noise(noise: bytes, tail: bytes) -> None:
    """Whatever precedes or follows a good answer, it is found, and as soon as its last byte is there."""
    shape = reply_shape(ASKED)
    assert shape.find(noise + GOOD) == GOOD
    assert shape.find(noise + GOOD + tail) == GOOD
    assert shape.find(noise + GOOD[:-1]) is None


@given(asked=reads, data=st.data())
def test_a_burst_of_16_bits_is_always_noticed(asked: Request, data: st.DataObject) -> None:
    """No answer with one disturbed bit, or a burst of up to 16 bits, is accepted."""
    values = tuple(data.draw(words) for _ in range(asked.count))
    good = encode_reply(Reply(asked.unit, asked.function, values))
    bits = 8 * len(good)
    length = data.draw(st.integers(1, 16))
    start = data.draw(st.integers(0, bits - length))
    # The serial line sends the lowest bit of a byte first: a burst runs through the bytes in that order.
    pattern = data.draw(st.integers(0, (1 << length) - 1)) | 1 | 1 << length - 1
    bad = (int.from_bytes(good, "little") ^ pattern << start).to_bytes(len(good), "little")
    assert reply_shape(asked).find(bad) is None


@given(st.binary(max_size=300))
def test_no_bytes_make_the_codec_fail(data: bytes) -> None:
    """Any bytes are searched and decoded without any error but DeviceError."""
    assert isinstance(reply_shape(ASKED).find(data), bytes | None)
    for decode in (decode_request, decode_reply):
        try:
            decode(data)
        except DeviceError:
            continue


def test_an_exception_answers_and_has_a_name() -> None:
    """An exception reply is an answer; as an error it carries name and number."""
    refusal = encode_reply(Reply(17, Function.READ_HOLDING_REGISTERS, exception=2))
    assert reply_shape(ASKED).find(b"\x00" + refusal) == refusal
    assert decode_reply(refusal).exception == 2
    assert "ILLEGAL DATA ADDRESS (2)" in str(Refused(2, op=str(ASKED)))
    assert "exception without a name (77)" in str(Refused(77, op=str(ASKED)))


def test_a_write_is_confirmed_only_by_its_own_echo() -> None:
    """The answer to a write repeats address and value; another address, value or count confirms nothing."""
    for request, wrong in (
        (Request(3, Function.WRITE_REGISTER, 185, 1, (1,)), Request(3, Function.WRITE_REGISTER, 186, 1, (1,))),
        (Request(3, Function.WRITE_COIL, 2, 1, (COIL_ON,)), Request(3, Function.WRITE_COIL, 2, 1, (0,))),
    ):
        assert reply_shape(request).find(encode_request(request)) == encode_request(request)
        assert reply_shape(request).find(encode_request(wrong)) is None
    many = Request(3, Function.WRITE_REGISTERS, 4, 2, (1, 2))
    assert reply_shape(many).find(encode_reply(Reply(3, Function.WRITE_REGISTERS, (), 4, 2)))
    assert reply_shape(many).find(encode_reply(Reply(3, Function.WRITE_REGISTERS, (), 4, 1))) is None


def test_a_device_may_answer_under_another_unit() -> None:
    """With `reply_unit` that unit answers, or a gateway for it under the unit asked; with "any" every one does."""
    asked = Request(0x81, Function.READ_HOLDING_REGISTERS, 0, 1)
    own = encode_reply(Reply(0x81, Function.READ_HOLDING_REGISTERS, (5,)))
    other = encode_reply(Reply(0x51, Function.READ_HOLDING_REGISTERS, (5,)))
    assert reply_shape(asked).find(other) is None
    assert reply_shape(asked, 0x51).find(own) == own
    assert reply_shape(asked, 0x52).find(other) is None
    assert reply_shape(asked, 0x51).find(other) == other
    assert reply_shape(asked, "any").find(other) == other
    assert reply_shape(asked, 0x51).key == (0x51, 3)
    written = Request(0x81, Function.WRITE_REGISTER, 0, 1, (1,))
    assert reply_shape(written, 0x51).find(encode_request(written)) is None


def test_questions_whose_answers_look_alike_share_a_key() -> None:
    """The key is unit and function, because that is all a refusal shows; `size` is the length of the full answer."""
    shape = reply_shape(ASKED)
    assert shape.key == (17, 3)
    assert shape.size == len(GOOD)
    assert reply_shape(Request(17, Function.READ_HOLDING_REGISTERS, 0, 9)).key == shape.key
    assert reply_shape(Request(17, Function.READ_INPUT_REGISTERS, 107, 2)).key != shape.key
    one, eight, nine = (reply_shape(Request(1, Function.READ_COILS, 0, count)) for count in (1, 8, 9))
    assert (one.size, eight.size, nine.size) == (6, 6, 7)
