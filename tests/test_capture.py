"""Decoders of captured bytes: one frame, or every frame in a stream."""

import pytest

from edge_agent.capture import Capture, Decoder, Meaning
from edge_agent.errors import DeviceError


def find(data: bytes, direction: str) -> bytes | None:
    """The first frame: a letter and a digit; questions have capitals."""
    for start in range(len(data) - 1):
        frame = data[start : start + 2]
        if frame[:1].isalpha() and frame[1:].isdigit() and frame[:1].isupper() == (direction == "request"):
            return frame
    return None


def explain(capture: Capture) -> Meaning:
    """The digit of a frame; 0 is refused."""
    if capture.kind or len(capture.data) != 2 or capture.data.endswith(b"0"):
        raise DeviceError("not a frame")
    return {"digit": int(capture.data[1:])}


DECODER = Decoder(explain, find)


@pytest.mark.parametrize(
    ("capture", "told"),
    [
        (Capture(b"a1"), {"digit": 1}),
        (Capture(b"a1", kind="stream"), {"frames": 1, "digit": 1}),
        (Capture(b"--a1-", kind="stream"), {"frames": 1, "digit": 1, "noise_bytes": 3}),
        (Capture(b"a0a2", kind="stream"), {"frames": 1, "digit": 2, "noise_bytes": 2}),
        (Capture(b"a1b2a1", kind="stream"), {"frames": 3, "digit": 1, "others": [{"digit": 2}, {"digit": 1}]}),
        (Capture(b"a1a2", kind="stream", request=b"a1"), {"frames": 1, "digit": 2, "noise_bytes": 2}),
        (Capture(b"a1", kind="stream", request=b"a1"), {"frames": 1, "digit": 1}),
        (Capture(b"A1a2", "request", "stream"), {"frames": 1, "digit": 1, "noise_bytes": 2}),
    ],
)
def test_a_stream_is_explained_frame_by_frame(capture: Capture, told: Meaning) -> None:
    """The first meaning stands at the top, the others behind it; noise and the echo of the request are counted."""
    assert DECODER(capture) == told


@pytest.mark.parametrize("data", [b"", b"-", b"a0", b"A1"])
def test_a_stream_without_a_good_frame_is_refused(data: bytes) -> None:
    """Also when there are frames, but none that can be explained."""
    with pytest.raises(DeviceError, match="no good frame"):
        DECODER(Capture(data, kind="stream"))


def test_a_protocol_without_streams_gets_the_bytes_as_they_are() -> None:
    """Datagrams and registers of a chip come one by one."""
    with pytest.raises(DeviceError, match="not a frame"):
        Decoder(explain)(Capture(b"a1", kind="stream"))


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("0x1F", 31), ("007", 7)])
def test_a_number_among_the_options(text: str, number: int) -> None:
    """Decimal or hexadecimal; the usual one if it is not there."""
    assert Capture(b"", options={"n": text}).number("n", 5) == number
    assert Capture(b"").number("n", 5) == 5


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "9" * 5000])
def test_what_is_no_number_is_refused(text: str) -> None:
    """With the name of the option."""
    with pytest.raises(DeviceError, match="option n: "):
        Capture(b"", options={"n": text}).number("n", 5)
