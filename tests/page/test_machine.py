"""The machine's figures, from the kernel's files and from a made-up root."""

from pathlib import Path

from edge_agent.machine import Machine, Probe


def put(root: Path, name: str, text: str) -> None:
    """Write one of the kernel's files."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


def test_this_machine_tells_something(tmp_path: Path) -> None:
    """Linux tells uptime, memory and disk to everyone."""
    machine = Probe(tmp_path)()
    assert machine.uptime_s is not None
    assert machine.rss is not None
    assert machine.memory_total is not None
    assert machine.disk_free is not None
    assert machine.disk_total is not None
    assert 0 < machine.rss < machine.memory_total
    assert machine.disk_free <= machine.disk_total


def test_a_raspberry_pi_tells_temperature_and_power(tmp_path: Path) -> None:
    """Thousandths of a degree; bit 0 is low voltage now, bit 16 is low voltage since boot."""
    put(tmp_path, "proc/uptime", "350735.47 234388.90\n")
    put(tmp_path, "proc/meminfo", "MemTotal:         478512 kB\nMemAvailable:  201000 kB\nHugePages_Total:  0\n")
    put(tmp_path, "proc/self/status", "Name:\tedge-agent\nVmRSS:\t   47104 kB\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "51540\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/type", "battery\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "99000\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    machine = Probe(tmp_path, root=tmp_path)()
    assert machine.uptime_s == 350735.47
    assert (machine.rss, machine.memory_available) == (47104 * 1024, 201000 * 1024)
    assert machine.cpu_c == 51.54
    assert machine.throttled == ("under_voltage", "throttled")
    assert machine.throttled_before == ("under_voltage", "throttled")


def test_what_is_not_told_is_none(tmp_path: Path) -> None:
    """An empty or nonsensical root gives no figures and no error."""
    put(tmp_path, "proc/uptime", "soon\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "?\n")
    assert Probe(tmp_path / "nowhere", root=tmp_path)() == Machine()


def test_looking_often_does_not_mean_reading_often(tmp_path: Path) -> None:
    """Within 5 s the same figures are given again."""
    put(tmp_path, "proc/uptime", "10 0\n")
    probe = Probe(tmp_path, root=tmp_path)
    first = probe()
    put(tmp_path, "proc/uptime", "20 0\n")
    assert probe() is first
