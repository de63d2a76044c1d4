"""DS18B20: which of the kernel's numbers is a temperature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ds18b20 import DRIVER, Options, Simulator, codec
from edge_agent.clock import FakeClock
from edge_agent.driver import DeviceError, Driver, LinkTimeout, Quality, Reading, Site
from edge_agent.links.asked import SimulatedLink
from tests.drivers import vectors

POWER_ON = bytes.fromhex("50054b467fff0c101c")
VECTORS = vectors.of_driver("ds18b20")


class Bench:
    """A sensor behind the machine's files."""

    def __init__(self, **options: str) -> None:
        chosen = Options.model_validate(options)
        self.sensor = Simulator(chosen, Site())
        self.driver: Driver = DRIVER(chosen, Site())
        self.link = SimulatedLink("machine", [self.sensor], FakeClock())
        self.link.open()

    def poll(self) -> Reading:
        """Read once."""
        (reading,) = self.driver.poll(self.link)
        assert isinstance(reading, Reading)
        return reading


@pytest.mark.parametrize("vector", [v for v in VECTORS if "w1_slave" in v.extra], ids=str)
def test_the_kernels_files(vector: vectors.Vector) -> None:
    """Good ones give their temperature; made-up, inconsistent and all-zero ones are refused."""
    if not vector.valid or "error" in vector.decoded:
        with pytest.raises(DeviceError, match=vector.decoded.get("error", "crc")):
            codec.parse(vector.extra["w1_slave"])
        return
    found = codec.parse(vector.extra["w1_slave"])
    assert found.temperature_c == vector.decoded["temperature_c"]
    assert found.suspect == (vector.decoded["status"] == "suspect_power_on")
    assert codec.render(found.data) == vector.extra["w1_slave"]


@given(st.integers(-55 * 16, 125 * 16))
def test_every_temperature_survives(sixteenths: int) -> None:
    """What the kernel writes is read back, below zero too."""
    data = codec.scratchpad(sixteenths / 16)
    assert codec.parse(codec.render(data)).temperature_c == sixteenths / 16


@given(st.integers(-55 * 16, 125 * 16), st.integers(0, 71))
def test_one_flipped_bit_is_refused(sixteenths: int, position: int) -> None:
    """The CRC finds it, whatever the kernel says."""
    data = bytearray(codec.scratchpad(sixteenths / 16))
    data[position // 8] ^= 1 << position % 8
    with pytest.raises(DeviceError, match="crc"):
        codec.parse(codec.render(bytes(data)))
    with pytest.raises(DeviceError, match="crc"):
        codec.parse(codec.render(bytes(data)).replace("NO", "YES"))


@given(st.text(max_size=200))
def test_any_text_gives_a_temperature_or_an_error(text: str) -> None:
    """Nothing but DeviceError leaves."""
    with pytest.raises(DeviceError):
        codec.parse(text)


def test_a_temperature_no_sensor_has_is_refused() -> None:
    """Beyond the sensor's range, even with a good CRC."""
    with pytest.raises(DeviceError, match="range"):
        codec.check(codec.scratchpad(126.0))
    with pytest.raises(DeviceError, match="length"):
        codec.check(b"")


def test_the_only_sensor_is_found() -> None:
    """Without a name the one sensor on the bus is read; none or two are an error that names them."""
    bench = Bench()
    assert bench.poll().value == 21.5
    bench.sensor.others.append("28-000000000001")
    with pytest.raises(DeviceError, match="found: 28-000000000001, 28-0316a2794aff"):
        bench.poll()


def test_a_named_sensor_that_is_gone_does_not_answer() -> None:
    """A missing file is an absent device."""
    bench = Bench(sensor="28-0316a2794aff")
    bench.sensor.name = "28-000000000001"
    with pytest.raises(LinkTimeout):
        bench.poll()


def test_85_degrees_are_believed_only_near_the_last_value() -> None:
    """The power-on value is bad at first and after 21 °C, and a temperature after 83 °C."""
    bench = Bench()
    bench.sensor.scratchpad = POWER_ON
    assert (bench.poll().value, bench.poll().quality) == (None, Quality.BAD)
    bench.sensor.set(21.5)
    assert bench.poll().value == 21.5
    bench.sensor.scratchpad = POWER_ON
    assert "supply is poor" in bench.poll().why
    bench.sensor.set(83.0)
    bench.poll()
    bench.sensor.scratchpad = POWER_ON
    assert bench.poll().value == 85.0


def test_garbled_files_are_read_three_times() -> None:
    """Two failures are mended, three are an error."""
    bench = Bench(sensor="28-0316a2794aff")
    bench.sensor.scratchpad = bytes(9)
    with pytest.raises(DeviceError, match="all_zero"):
        bench.poll()
