"""YD/T 1363.3: the ASCII frame, and units whose values stand where their maker put them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ydt1363 import DECODERS, DRIVER, Options, Simulator, codec
from drivers.ydt1363.codec import Frame
from edge_agent.clock import FakeClock
from edge_agent.driver import Alarm, Capture, DeviceError, Quality, Reading, Record, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

VECTORS = vectors.of_driver("ydt1363")
POINTS = [
    {"name": "temperature_c", "command": "42", "at": 1, "type": "i16", "scale": 0.1, "valid": [-20, 60]},
    {"name": "setpoint_c", "command": "41", "at": 0, "type": "f32"},
    {"name": "state", "command": "43", "at": 0, "type": "u8", "states": {0: "stopped", 1: "cooling"}},
    {"name": "high_pressure", "command": "44", "at": 1, "type": "u8", "normal": 0},
]
byte = st.integers(0, 255)
frames = st.builds(Frame, byte, byte, byte, byte, st.binary(max_size=300), st.sampled_from(sorted(codec.SOIS)))


class Bench:
    """A unit on a wire; `spoil` changes what comes back."""

    def __init__(self, points: list[dict[str, Any]] = POINTS, **options: Any) -> None:
        self.options = Options.model_validate({"points": points, **options})
        self.unit = Simulator(self.options, Site())
        self.driver = DRIVER(self.options, Site())
        self.spoil: Callable[[bytes], bytes] = bytes
        self.asked = 0
        clock = FakeClock()
        self.link = ByteLink("wire", lambda: SimulatedPort([self], clock), clock)
        self.link.open()

    def answer(self, request: bytes) -> bytes:
        """Stand between the wire and the unit."""
        self.asked += 1
        return self.spoil(self.unit.answer(request))

    def play(self) -> tuple[()]:
        """Nothing comes unasked."""
        return ()

    def records(self) -> list[Record]:
        """Poll once."""
        return list(self.driver.poll(self.link))

    def poll(self) -> dict[str, Any]:
        """Poll once; the values."""
        return {record.point: record.value for record in self.records() if isinstance(record, Reading)}


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_vectors(vector: vectors.Vector) -> None:
    """Every good frame is taken apart and put together again, every bad one refused for the reason known."""
    if not vector.valid:
        with pytest.raises(DeviceError, match=vector.decoded["error"]):
            codec.decode(vector.frame)
        return
    frame = codec.decode(vector.frame)
    assert frame.encode() == vector.frame
    assert codec.find(b"~2001" + vector.frame, lambda found: found == frame) == vector.frame


@given(frames, st.binary(max_size=30).filter(lambda noise: not codec.SOIS & set(noise)))
def test_a_frame_survives_the_wire(frame: Frame, noise: bytes) -> None:
    """Any frame is read back, with noise around it."""
    sent = frame.encode()
    assert codec.decode(sent) == frame
    assert codec.find(noise + sent + noise, lambda _: True) == sent


@given(frames, st.data())
def test_one_flipped_bit_is_refused_or_changes_nothing(frame: Frame, data: st.DataObject) -> None:
    """A single-bit error behind the start byte is found, unless it only writes a digit of CHKSUM in lower case."""
    sent = bytearray(frame.encode())
    at = data.draw(st.integers(8, len(sent) * 8 - 1))
    sent[at // 8] ^= 1 << at % 8
    try:
        assert codec.decode(bytes(sent)) == frame
    except DeviceError:
        return
    assert at // 8 in range(len(sent) - 5, len(sent) - 1)


@given(st.binary(max_size=60) | st.text("~>0123456789ABCDEF\r", max_size=60).map(str.encode))
def test_any_bytes_give_a_frame_or_an_error(data: bytes) -> None:
    """Nothing but DeviceError leaves."""
    codec.find(data, lambda _: True)
    try:
        codec.decode(data)
    except DeviceError:
        return


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda frame: b"\x02" + frame[1:], "start"),
        (lambda frame: frame[:-1] + b"\x0a", "end"),
        (lambda frame: frame[:3] + b"x" + frame[4:], "digits"),
        (lambda frame: frame[:9] + b"1" + frame[10:], "LCHKSUM"),
        (lambda frame: frame[:-2] + b"\r", "length"),
    ],
)
def test_each_damage_has_its_reason(damage: Callable[[bytes], bytes], reason: str) -> None:
    """What is wrong is said."""
    with pytest.raises(DeviceError, match=reason):
        codec.decode(damage(Frame(0x21, 1, 0x60, 0x42, b"\x01").encode()))


def test_a_poll_reads_every_point() -> None:
    """Integers, floats, states and warnings come from their places."""
    bench = Bench()
    bench.unit.set("temperature_c", -3.5)
    bench.unit.set("state", "cooling")
    assert bench.poll() == {"temperature_c": -3.5, "setpoint_c": 24.0, "state": "cooling", "high_pressure": 0}


def test_only_changes_are_asked_twice() -> None:
    """The first poll asks each of the four commands twice, a quiet one once, a changed one once more."""
    bench = Bench()
    bench.poll()
    assert bench.asked == 8
    bench.poll()
    assert bench.asked == 12
    bench.unit.set("temperature_c", 30.0)
    assert bench.poll()["temperature_c"] == 30.0
    assert bench.asked == 17


def test_a_value_that_never_repeats_is_an_error() -> None:
    """Noise that passes the check with another value every time is not believed."""
    bench = Bench(POINTS[:1])
    values = iter(range(10))

    def spoil(_: bytes) -> bytes:
        bench.unit.set("temperature_c", next(values))
        return bench.unit.answer(Frame(0x21, 1, 0x60, 0x42).encode())

    bench.spoil = spoil
    with pytest.raises(DeviceError, match="differ with every answer"):
        bench.poll()


def test_a_warning_raises_the_alarm_and_clears_it() -> None:
    """The alarm names the points that are not normal."""
    bench = Bench()
    assert Alarm("device_fault", active=False) in bench.records()
    bench.unit.set("high_pressure", 2)
    assert Alarm("device_fault", active=True, detail={"points": ["high_pressure"]}) in bench.records()


def test_a_refusal_is_an_error_with_its_meaning() -> None:
    """RTN is put into words, a maker's own code too."""
    bench = Bench(POINTS[:1])
    for rtn, words in ((0x04, "CID2 not known"), (0x85, "maker's own code 85")):
        bench.spoil = lambda _, rtn=rtn: Frame(0x21, 1, 0x60, rtn).encode()  # type: ignore[misc]
        with pytest.raises(DeviceError, match=words):
            bench.poll()


def test_what_is_not_there_or_cannot_be_is_no_value() -> None:
    """A short INFO is an error; empty places are absent; impossible numbers and unlisted states are bad."""
    bench = Bench(POINTS[:3])

    def answer(info: bytes) -> Callable[[bytes], bytes]:
        return lambda _: Frame(0x21, 1, 0x60, 0x00, info).encode()

    bench.spoil = answer(b"\x00")
    with pytest.raises(DeviceError, match="INFO has 1 bytes, the points need 3"):
        bench.poll()
    bench.spoil = answer(b"\x20" * 8)
    assert bench.poll() == {"temperature_c": None, "setpoint_c": None, "state": None}
    bench.spoil = answer(b"\x01\x7f\xff\x7f")
    found = {record.point: record for record in bench.records() if isinstance(record, Reading)}
    assert found["temperature_c"].quality is Quality.BAD
    assert found["setpoint_c"].value is None
    assert found["state"].value == "cooling"


def test_a_unit_that_begins_frames_with_3e() -> None:
    """The other start byte is a setting; a unit of another address, start or kind stays silent."""
    assert Bench(POINTS[:1], start="3E", address=7).poll() == {"temperature_c": 24.0}
    unit = Bench(POINTS[:1], start="3E", address=7).unit
    assert unit.answer(Frame(0x21, 7, 0x60, 0x42).encode()) == b""
    assert unit.answer(b"noise") == b""
    assert codec.decode(unit.answer(Frame(0x21, 7, 0x60, 0x99, soi=0x3E).encode())).cid2 == 0x04


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([POINTS[0], POINTS[0]], "is used twice"),
        ([{**POINTS[1], "states": {0: "x"}}], "has no states"),
        ([{**POINTS[0], "command": "4"}], "pattern"),
    ],
)
def test_slips_in_the_station_file_are_explained(points: list[dict[str, Any]], told: str) -> None:
    """Each is refused with a word on why."""
    with pytest.raises(ValueError, match=told):
        Options.model_validate({"points": points})


def test_refusals_are_explained() -> None:
    """`decode` says what RTN means, in an answer only."""
    frame = Frame(0x21, 1, 0x60, 0x02).encode()
    assert DECODERS["ydt1363"](Capture(frame))["meaning"] == "wrong CHKSUM"
    assert "meaning" not in DECODERS["ydt1363"](Capture(frame, "request"))
