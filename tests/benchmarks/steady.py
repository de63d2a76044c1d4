"""What an ordinary station costs: 8 devices of 10 points each, polled every second, page on and off."""

import os
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.agent_process import agent, rest, surroundings
from tests.benchmarks.machine import bytes_written, memory, processor_time
from tests.stations import HEAD, wait_for

DEVICES = 8
SECONDS = float(os.environ.get("STEADY_SECONDS", "330"))
_WARM_UP = 20.0
_POINT = """
[[point]]
name   = "{name}"
at     = "holding:{address}"
type   = "s16"
scale  = 0.1
unit   = "{unit}"
valid  = [-100, 400]
change = {change}
sim    = {{ wave = "sine", low = {low}, high = {high}, period = "{period}" }}
"""
_KINDS = (
    ("temperature_{n}_c", "°C", 0.2, 21, 29, "24h"),
    ("humidity_{n}_pct", "%", 1, 45, 65, "12h"),
    ("current_{n}_a", "A", 0.2, 0.5, 4.5, "1h"),
    ("voltage_{n}_v", "V", 1, 225, 235, "6h"),
    ("level_{n}_pct", "%", 1, 20, 80, "24h"),
)
"""Name, unit, dead-band as in the shipped profiles, lowest, highest, period."""
_DEVICE = """
[[device]]
name = "meter-{number}"
link = "bus-{bus}"
driver = "modbus"
profile = "{profile}"
address = {number}
every = "1s"
"""
_BUS = """
[[link]]
name = "bus-{bus}"
kind = "serial"
port = "/dev/serial/by-id/bus-{bus}"
"""


def station_file(directory: Path, *, page: bool) -> str:
    """Write the profile and return the station file: two pairs of wires, the shipped intervals."""
    directory.mkdir(parents=True)
    points = [
        _POINT.format(
            name=name.format(n=number), address=number, unit=unit, change=change, low=low, high=high, period=period
        )
        for number, (name, unit, change, low, high, period) in enumerate((*_KINDS, *_KINDS))
    ]
    profile = directory / "meter.toml"
    profile.write_text(
        'title = "Ten points"\nevidence = "made for the benchmark"\ntier = "sketch"\n' + "".join(points),
        encoding="utf-8",
    )
    head = HEAD[: HEAD.index("[telemetry]")].replace('group_commit = "1s"', 'group_commit = "10s"')
    text = f'{head}\n[page]\nenabled = {str(page).lower()}\nlisten = "PAGE"\n'
    text += "".join(_BUS.format(bus=bus) for bus in (1, 2))
    return text + "".join(
        _DEVICE.format(number=number, bus=1 + number % 2, profile=profile) for number in range(1, DEVICES + 1)
    )


def cost(directory: Path, *, page: bool) -> dict[str, float]:
    """Return processor share (% of one core), resident MiB and what was written."""
    text = station_file(directory, page=page)
    with surroundings(directory, text, page="127.0.0.1:18089") as (simulated, broker), agent(simulated) as process:
        wait_for(lambda: len(broker.sink.of("tele")) >= DEVICES, "all devices told", within=60)
        rest(_WARM_UP, process)
        cpu, written, began = processor_time(process.pid), bytes_written(process.pid), time.monotonic()
        known = len(broker.sink.records)
        rest(SECONDS, process)
        took = time.monotonic() - began
        records = max(1, len(broker.sink.records) - known)
        written = bytes_written(process.pid) - written
        return {
            "processor %": round(100 * (processor_time(process.pid) - cpu) / took, 2),
            "resident MiB": round(memory(process.pid) / 2**20, 1),
            "MB written an hour": round(written / 1e6 * 3600 / took, 1),
            "records an hour": round(records * 3600 / took),
            "bytes written a record": round(written / records),
        }


def run(directory: Path) -> dict[str, Any]:
    """Measure with and without the page."""
    off, on = cost(directory / "off", page=False), cost(directory / "on", page=True)
    return {
        f"{name}, page {word}": value for word, found in (("off", off), ("on", on)) for name, value in found.items()
    }
