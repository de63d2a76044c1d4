"""SHT3x: words, their CRC, and what is told of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sht3x import DECODERS, DRIVER, Options, Simulator, codec
from edge_agent.clock import FakeClock
from edge_agent.driver import Capture, DeviceError, LinkTimeout, Quality, Reading, Site
from edge_agent.links.asked import SimulatedLink
from tests.drivers import vectors


class Bench:
    """A sensor on a bus."""

    def __init__(self, address: str = "44") -> None:
        options = Options.model_validate({"address": address})
        self.sensor = Simulator(options, Site())
        self.driver = DRIVER(options, Site())
        self.link = SimulatedLink("i2c", [self.sensor], FakeClock())
        self.link.open()

    def poll(self) -> dict[str, Reading]:
        """Measure once."""
        return {record.point: record for record in self.driver.poll(self.link) if isinstance(record, Reading)}


@pytest.mark.parametrize("vector", vectors.of_driver("sht3x"), ids=str)
def test_vectors(vector: vectors.Vector) -> None:
    """Words give their values, triples their CRC."""
    capture = Capture(vector.frame, kind=vector.kind)
    if not vector.valid:
        with pytest.raises(DeviceError, match="crc"):
            DECODERS["sht3x"](capture)
        return
    assert vector.decoded.items() <= DECODERS["sht3x"](capture).items()


@given(st.floats(-45, 130), st.floats(0, 100))
def test_measurements_survive(temperature: float, humidity: float) -> None:
    """To the resolution of 16 bits."""
    found = codec.decode(codec.encode(temperature, humidity))
    assert found[0] == pytest.approx(temperature, abs=0.002)
    assert found[1] == pytest.approx(humidity, abs=0.001)


@given(st.floats(-45, 130), st.floats(0, 100), st.integers(0, 47))
def test_one_flipped_bit_is_refused(temperature: float, humidity: float, position: int) -> None:
    """The CRC of each word finds it."""
    data = bytearray(codec.encode(temperature, humidity))
    data[position // 8] ^= 1 << position % 8
    with pytest.raises(DeviceError, match="crc"):
        codec.decode(bytes(data))


def test_a_poll_tells_temperature_and_humidity() -> None:
    """Rounded to what the sensor can tell."""
    bench = Bench()
    bench.sensor.set(-12.34, 55.55)
    assert {point: reading.value for point, reading in bench.poll().items()} == {
        "temperature_c": -12.34,
        "humidity_pct": 55.6,
    }


def test_a_temperature_beyond_the_sensor_is_bad() -> None:
    """All bits set pass the CRC and are no measurement."""
    bench = Bench()
    bench.sensor.set(130.0, 100.0)
    assert {reading.quality for reading in bench.poll().values()} == {Quality.BAD}


def test_damaged_and_missing_answers_are_errors() -> None:
    """Damage is asked for again, then an error; another address is silence."""
    bench = Bench()
    bench.sensor.reply = b"\x00" * 6
    with pytest.raises(DeviceError, match="crc"):
        bench.poll()
    bench.sensor.reply = b"\x00"
    with pytest.raises(DeviceError, match="length"):
        bench.poll()
    other = Bench("45")
    bench.driver = other.driver
    with pytest.raises(LinkTimeout):
        bench.poll()


def test_a_whole_measurement_is_explained() -> None:
    """`decode` takes six bytes as well as their parts, and refuses parts of the wrong length."""
    told = DECODERS["sht3x"](Capture(codec.encode(23.5, 48.0)))
    assert told["temperature_c"] == pytest.approx(23.5, abs=0.002)
    with pytest.raises(DeviceError, match="length"):
        DECODERS["sht3x"](Capture(b"\x00", kind="field"))
