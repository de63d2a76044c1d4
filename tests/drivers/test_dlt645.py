"""DL/T 645 meters: frames, values, what is believed of a weak check, and what a meter refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlt645 import DECODERS, DRIVER, Options, Simulator, codec
from drivers.dlt645.codec import Frame
from drivers.dlt645.items import EDITIONS, ITEMS_1997, ITEMS_2007, Item
from edge_agent.clock import FakeClock
from edge_agent.driver import Capture, DeviceError, LinkTimeout, Quality, Reading, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

VECTORS = vectors.of_driver("dlt645")
ITEMS = [(edition, di, item) for edition, items in EDITIONS.items() for di, item in items.items()]
addresses = st.integers(0, 999_999_999_999).map(lambda number: f"{number:012d}")
frames = st.builds(Frame, addresses, st.integers(0, 255), st.binary(max_size=60))


class Bench:
    """A meter on a wire; `spoil` changes what comes back."""

    def __init__(self, **options: Any) -> None:
        self.options = Options.model_validate({"address": "161", **options})
        self.meter = Simulator(self.options, Site())
        self.spoil: Callable[[bytes], bytes] = bytes
        self.asked: list[Frame] = []
        self.driver = DRIVER(self.options, Site())
        clock = FakeClock()
        self.link = ByteLink("wire", lambda: SimulatedPort([self], clock), clock)
        self.link.open()

    def answer(self, request: bytes) -> bytes:
        """Stand between the wire and the meter."""
        self.asked.append(codec.decode(request))
        return self.spoil(self.meter.answer(request))

    def play(self) -> tuple[()]:
        """Nothing comes unasked."""
        return ()

    def poll(self) -> dict[str, Any]:
        """Poll once; the good values."""
        found = [record for record in self.driver.poll(self.link) if isinstance(record, Reading)]
        return {reading.point: reading.value for reading in found}


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_vectors(vector: vectors.Vector) -> None:
    """Every good frame is taken apart and put together again, every bad one refused."""
    if not vector.valid:
        with pytest.raises(DeviceError, match=vector.decoded["error"]):
            codec.decode(vector.frame)
        return
    frame = codec.decode(vector.frame)
    assert frame.encode(wake=vector.frame.index(0x68)) == vector.frame
    assert codec.find(b"\x68\x00" + vector.frame + b"\xff", lambda found: found == frame) == vector.frame.lstrip(
        b"\xfe"
    )


@given(frames, st.integers(0, 4), st.binary(max_size=20).filter(lambda noise: b"\x68" not in noise))
def test_a_frame_survives_the_wire(frame: Frame, wake: int, noise: bytes) -> None:
    """Any frame is read back, behind FE bytes and noise."""
    sent = frame.encode(wake)
    assert codec.decode(sent) == frame
    assert codec.find(noise + sent + noise, lambda _: True) == frame.encode()


@given(frames, st.data())
def test_one_flipped_bit_is_refused(frame: Frame, data: st.DataObject) -> None:
    """Any single-bit error in a frame is found."""
    sent = bytearray(frame.encode())
    at = data.draw(st.integers(0, len(sent) * 8 - 1))
    sent[at // 8] ^= 1 << at % 8
    with pytest.raises(DeviceError):
        codec.decode(bytes(sent))


@given(st.binary(max_size=60))
def test_any_bytes_give_a_frame_or_an_error(data: bytes) -> None:
    """Nothing but DeviceError leaves."""
    codec.find(data, lambda _: True)
    try:
        codec.decode(data)
    except DeviceError:
        return


@pytest.mark.parametrize(
    ("edition", "di", "item"), ITEMS, ids=lambda part: part if isinstance(part, str) else part.point
)
@given(data=st.data())
def test_values_are_read_as_they_were_written(edition: str, di: str, item: Item, data: st.DataObject) -> None:
    """Any value in its range survives, with its sign where it may have one."""
    del edition, di
    largest = (8 if item.signed else 10) * 10 ** (2 * item.size - 1) - 1
    value = data.draw(st.integers(-largest if item.signed else 0, largest)) / 10**item.decimals
    assert item.decode(item.encode(value), sign=True) == value
    assert item.decode(b"\xff" * item.size, sign=True) is None
    assert item.decode(b"", sign=True) is None


def test_the_top_bit_is_a_sign_only_where_configured() -> None:
    """The same bytes are minus with `sign = top_bit` and a large number without."""
    item = ITEMS_2007["02020100"]
    assert item.decode(b"\x99\x49\x80", sign=True) == -4.999
    assert item.decode(b"\x99\x49\x80", sign=False) == 804.999
    assert ITEMS_2007["02010100"].decode(b"\x05\x82", sign=True) == 820.5


def test_a_poll_reads_the_usual_values() -> None:
    """One poll tells energy, voltage, current, power, factor and frequency."""
    assert Bench().poll() == {
        "energy_kwh": 1234.56,
        "voltage_v": 231.0,
        "current_a": 4.9,
        "power_kw": 1.1021,
        "power_factor": 0.974,
        "frequency_hz": 49.98,
    }


def test_the_1997_edition_has_its_own_identifiers() -> None:
    """The same points are read with two-byte identifiers and control code 01; frequency is left out."""
    bench = Bench(edition="1997")
    assert bench.poll() == {
        "energy_kwh": 1234.56,
        "voltage_v": 231,
        "current_a": 4.9,
        "power_kw": 1.1021,
        "power_factor": 0.974,
    }
    assert {frame.control for frame in bench.asked} == {codec.READ_1997}
    assert {len(frame.data) for frame in bench.asked} == {2}


def test_current_transformers_multiply() -> None:
    """Energy, current and power are those before the transformers, voltage is not touched."""
    values = Bench(ct_ratio=40).poll()
    assert values["energy_kwh"] == 49382.4
    assert values["current_a"] == 196.0
    assert values["voltage_v"] == 231.0


def test_a_quiet_meter_is_asked_once_a_value() -> None:
    """After the first poll nothing needs to be said twice."""
    bench = Bench()
    bench.poll()
    first = len(bench.asked)
    bench.poll()
    assert (first, len(bench.asked) - first) == (12, 6)


def test_a_jump_must_be_told_twice() -> None:
    """A step beyond the usual, or energy that falls, costs one more question and is then believed."""
    bench = Bench(points=["energy_kwh", "power_kw"])
    bench.poll()
    bench.meter.set("power_kw", 7.0)
    bench.meter.set("energy_kwh", 1234.5)
    bench.asked.clear()
    assert bench.poll() == {"energy_kwh": 1234.5, "power_kw": 7.0}
    assert len(bench.asked) == 4


def test_a_forged_jump_is_not_told() -> None:
    """A frame whose check passes by chance once does not become a value."""
    bench = Bench(points=["energy_kwh"])
    bench.poll()
    forged = iter([99.99])

    def spoil(answer: bytes) -> bytes:
        value = next(forged, None)
        frame = codec.decode(answer)
        if value is None:
            return answer
        return Frame(frame.address, frame.control, frame.data[:4] + ITEMS_2007["00010000"].encode(value)).encode()

    bench.spoil = spoil
    assert bench.poll() == {"energy_kwh": 1234.56}


def test_a_value_that_never_repeats_is_an_error() -> None:
    """Three answers that all differ are noise."""
    bench = Bench(points=["energy_kwh"])
    values = iter([10.0, 20.0, 30.0])

    def spoil(answer: bytes) -> bytes:
        bench.meter.set("energy_kwh", next(values))
        return bench.meter.answer(bench.asked[-1].encode()) if answer else answer

    bench.spoil = spoil
    with pytest.raises(DeviceError, match="differs with every answer"):
        bench.poll()


def test_what_a_meter_refuses_is_left_out_and_no_longer_asked_for() -> None:
    """Three refusals running end the asking; the other values go on."""
    bench = Bench(points=["energy_kwh", "frequency_hz"])
    bench.meter.unknown.add("frequency_hz")
    for _ in range(3):
        assert bench.poll() == {"energy_kwh": 1234.56}
    bench.asked.clear()
    bench.poll()
    assert len(bench.asked) == 1


def test_a_meter_that_refuses_everything_is_an_error() -> None:
    """Then the meter has another edition, or wants a password."""
    bench = Bench(points=["frequency_hz"])
    bench.meter.unknown.add("frequency_hz")
    for _ in range(4):
        with pytest.raises(DeviceError, match=r"refuses|none of the values"):
            bench.poll()


def test_a_value_outside_its_range_is_bad() -> None:
    """800 V is told as bad, with the reason and without the number."""
    bench = Bench(points=["voltage_v"])
    bench.meter.set("voltage_v", 800.0)
    (reading,) = bench.driver.poll(bench.link)
    assert isinstance(reading, Reading)
    assert (reading.value, reading.quality) == (None, Quality.BAD)
    assert "800 is outside 0 to 500" in reading.why


def test_the_only_meter_is_asked_for_its_address() -> None:
    """`any` asks once; after a silence it asks again, because another meter may hang there."""
    bench = Bench(address="any", points=["voltage_v"])
    bench.poll()
    bench.poll()
    assert [frame.control for frame in bench.asked].count(codec.READ_ADDRESS) == 1
    bench.spoil = lambda _: b""
    with pytest.raises(LinkTimeout):
        bench.poll()
    bench.spoil = bytes
    bench.meter.address = "000000000162"
    assert bench.poll() == {"voltage_v": 231.0}
    assert bench.asked[-1].address == "000000000162"


def test_another_meters_answer_is_not_taken() -> None:
    """An answer under another address is none."""
    bench = Bench(points=["voltage_v"])
    bench.spoil = lambda answer: Frame("000000000162", *_rest(answer)).encode()
    with pytest.raises(DeviceError, match="no valid answer"):
        bench.poll()


def _rest(answer: bytes) -> tuple[int, bytes]:
    frame = codec.decode(answer)
    return frame.control, frame.data


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"address": "12x"}, "address"),
        ({"address": "any", "edition": "1997"}, "cannot be asked for its address"),
        ({"points": ["volts"]}, "is no point of a meter"),
        ({"points": ["frequency_hz"], "edition": "1997"}, "has none of these"),
    ],
)
def test_slips_in_the_station_file_are_explained(options: dict[str, Any], told: str) -> None:
    """Each is refused with a word on what to write."""
    with pytest.raises(ValueError, match=told):
        Options.model_validate({"address": "161", **options})


def test_a_three_phase_block_is_explained() -> None:
    """`decode` takes a block of all phases apart, one phase that is not measured among them."""
    data = codec.di_bytes("0201FF00") + b"\x10\x23" + b"\xff\xff" + b"\x05\x23"
    told = DECODERS["dlt645"](Capture(Frame("000000000161", 0x91, data).encode()))
    assert (told["voltage_v"], told["voltage_l2_v"], told["voltage_l3_v"]) == (231.0, None, 230.5)


def test_the_rest_of_the_protocol_is_explained() -> None:
    """Answers of 1997, more to follow, commands, and refusals without a reason."""
    explain = DECODERS["dlt645"]
    old = codec.di_bytes("B621") + ITEMS_1997["B621"].encode(12.34)
    assert explain(Capture(Frame("000000000161", 0x81, old).encode()))["current_a"] == 12.34
    assert explain(Capture(Frame("000000000161", 0xB1, codec.di_bytes("00010000")).encode()))["more_follows"] is True
    assert explain(Capture(Frame("000000000161", 0x08, b"\x01").encode()))["data_hex_minus_33"] == "01"
    assert explain(Capture(Frame("000000000161", 0xD1).encode())) == {"address": "000000000161", "control": 0xD1}
    assert explain(Capture(Frame(codec.ANY_ADDRESS, 0x13).encode()))["address"] == "AAAAAAAAAAAA"
    assert (
        explain(Capture(Frame("1" * 12, 0x91, codec.di_bytes("FFFF0001") + b"\xff").encode()))["data_hex_minus_33"]
        == "ff"
    )
    with pytest.raises(DeviceError, match="no data identifier"):
        explain(Capture(Frame("000000000161", 0x91, b"\x01").encode()))
