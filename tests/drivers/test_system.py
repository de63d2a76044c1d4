"""The machine as a device: its files read, its dips and its clock watched."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.system import DRIVER, Options, Simulator, codec
from edge_agent.clock import FakeClock
from edge_agent.driver import Alarm, DeviceError, Reading, Record, Site
from edge_agent.links.asked import SimulatedLink
from edge_agent.links.host import HostLink
from tests.drivers import vectors

THROTTLED = "read /sys/devices/platform/soc/soc:firmware/get_throttled"


class Bench:
    """A simulated Pi."""

    def __init__(self, **options: Any) -> None:
        chosen = Options.model_validate(options)
        self.clock = FakeClock()
        self.machine = Simulator(chosen, Site())
        self.files = self.machine.files
        self.driver = DRIVER(chosen, Site())
        self.link = SimulatedLink("machine", [self.machine], self.clock)
        self.link.open()

    def poll(self) -> list[Record]:
        """Read everything once."""
        return list(self.driver.poll(self.link))

    def values(self) -> dict[str, Any]:
        """Read everything once; what is not absent."""
        found = [record for record in self.poll() if isinstance(record, Reading)]
        return {reading.point: reading.value for reading in found if reading.value is not None}

    def alarm(self, code: str) -> bool | None:
        """Read everything once; whether the alarm is said to be raised, None if nothing is said."""
        said = [record.active for record in self.poll() if isinstance(record, Alarm) and record.code == code]
        return said[0] if said else None


def test_a_pi_tells_its_state() -> None:
    """Every figure of a healthy Pi."""
    assert Bench().values() == {
        "uptime_s": 350735,
        "cpu_temperature_c": 48.3,
        "memory_free_mb": 524,
        "throttled": (),
        "throttled_since_boot": (),
        "under_voltage": False,
        "disk_free_mb": 24800,
        "disk_used_pct": 20.0,
        "network": "up",
        "network_interface": "eth0",
        "clock": "synced",
    }


@pytest.mark.parametrize("vector", vectors.of_driver("system"), ids=str)
def test_vectors(vector: vectors.Vector) -> None:
    """Throttling words mean what the documentation says."""
    found = codec.flags(vector.frame.decode())
    expected = (
        (tuple(vector.decoded["throttled"]), tuple(vector.decoded["throttled_since_boot"])) if vector.valid else None
    )
    assert found == expected


def test_low_supply_raises_the_alarm_while_it_lasts() -> None:
    """Bit 0 raises, its end clears, though bit 16 stays until the next boot."""
    bench = Bench()
    assert bench.alarm("undervoltage") is False
    bench.files[THROTTLED] = "50005"
    assert bench.alarm("undervoltage") is True
    bench.files[THROTTLED] = "50000"
    assert bench.alarm("undervoltage") is False


def test_a_dip_between_two_polls_is_told_once() -> None:
    """Only the firmware's memory has seen it; one from before the start is not told as new."""
    bench = Bench()
    bench.poll()
    bench.files[THROTTLED] = "50000"
    assert [bench.alarm("undervoltage") for _ in range(2)] == [True, False]
    late = Bench()
    late.files[THROTTLED] = "50000"
    assert late.alarm("undervoltage") is False


def test_without_the_firmwares_word_the_kernels_driver_tells() -> None:
    """The kernel's `rpi_volt` replaces it; other sensors there do not."""
    bench = Bench()
    del bench.files[THROTTLED]
    assert bench.alarm("undervoltage") is None
    bench.files["list /sys/class/hwmon"] = "hwmon0\nhwmon1\n"
    bench.files["read /sys/class/hwmon/hwmon0/name"] = "cpu_thermal\n"
    bench.files["read /sys/class/hwmon/hwmon1/name"] = "rpi_volt\n"
    assert bench.alarm("undervoltage") is None
    bench.files["read /sys/class/hwmon/hwmon1/in0_lcrit_alarm"] = "1\n"
    assert bench.alarm("undervoltage") is True


def test_a_clock_without_time_servers_is_an_alarm_after_the_grace() -> None:
    """Nothing is said while the grace lasts, and the alarm clears at once."""
    bench = Bench(clock_grace="10m")
    bench.files["clock"] = "unsynced"
    assert bench.alarm("clock_bad") is None
    bench.clock.advance(599)
    assert bench.alarm("clock_bad") is None
    bench.clock.advance(2)
    assert bench.alarm("clock_bad") is True
    bench.files["clock"] = "synced"
    assert bench.alarm("clock_bad") is False
    del bench.files["clock"]
    assert bench.alarm("clock_bad") is None


def test_wireless_wear_and_a_lost_network() -> None:
    """Signal is that of the interface in use; an eMMC tells its wear; without a route the network is down."""
    bench = Bench()
    bench.files["read /proc/net/route"] = bench.files["read /proc/net/route"].replace(
        "eth0\t00000000", "eth0\t00010000"
    )
    bench.files["read /sys/block/mmcblk0/device/life_time"] = "0x02 0x03\n"
    values = bench.values()
    assert (values["network_interface"], values["signal_dbm"], values["storage_wear_pct"]) == ("wlan0", -56, 30)
    del bench.files["read /proc/net/route"]
    assert bench.values()["network"] == "down"


def test_a_machine_that_tells_nothing_is_an_error() -> None:
    """Without even an uptime something is wrong."""
    bench = Bench()
    bench.files.clear()
    with pytest.raises(DeviceError, match="tells nothing"):
        bench.poll()


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    """The real files of the machine that runs the tests give an uptime and a disk."""
    options = Options(disk=str(tmp_path))
    link = HostLink("machine", FakeClock())
    link.open()
    found = {record.point: record.value for record in DRIVER(options, Site()).poll(link) if isinstance(record, Reading)}
    assert found["uptime_s"]
    assert found["disk_free_mb"]
    assert found["memory_free_mb"]


@given(st.text(max_size=120) | st.text("0123456789abcdefx:. \n\t-", max_size=120))
@example("00 0")
def test_any_text_is_a_figure_or_nothing(text: str) -> None:
    """No content of a file makes the codec raise."""
    for function in (codec.flags, codec.celsius, codec.uptime, codec.available_mb, codec.room, codec.wear_pct):
        function(text)
    codec.default_interface(text)
    codec.signal_dbm(text, "wlan0")
    codec.default_interface("head\neth0 00000000 0 0001 0 0 " + text)
    codec.signal_dbm("wlan0: " + text, "wlan0")
