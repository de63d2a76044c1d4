"""Profiles over TCP against servers that are not ours, and our simulator asked by a master that is not ours."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.clock import SystemClock
from edge_agent.config.links import Link
from edge_agent.demo.wire import PtyWire
from edge_agent.driver import Command, LinkError, Reading, Record, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.make import make_link
from tests.drivers.modbus_server import FRAMERS, Server
from tests.peers import PATIENCE

UNIT = 3
each_kind = pytest.mark.parametrize("kind", FRAMERS)


def device() -> SimDevice:
    """A sensor, an infrared controller and a relay board in one."""
    holding = [0] * 0xE0
    holding[0x00], holding[0x01], holding[0x71], holding[0xD7] = 658, 0xFF9B, 46, 2
    return SimDevice(
        UNIT,
        (
            [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[True] + [False] * 15, datatype=DataType.BITS)],
            [SimData(0, values=list(holding), datatype=DataType.REGISTERS)],
            [SimData(0, values=[0, 305, 546, 0], datatype=DataType.REGISTERS)],
        ),
    )


@pytest.fixture
def server(kind: str) -> Iterator[Server]:
    """A server of the kind of link."""
    made = Server(FRAMERS[kind], device())
    yield made
    made.end()


@pytest.fixture
def link(kind: str, server: Server) -> Iterator[ByteLink]:
    """The agent's link to it."""
    table = {"name": "net", "kind": kind, "host": "127.0.0.1", "port": server.port, "max_reply_delay": "50ms"}
    made = make_link(TypeAdapter(Link).validate_python(table), SystemClock())
    assert isinstance(made, ByteLink)
    made.open()
    yield made
    made.close()


def driver(profile: str, **keys: Any) -> ModbusDriver:
    """A driver for the server's unit."""
    return ModbusDriver(ModbusOptions.model_validate({"profile": profile, "address": UNIT} | keys), Site())


def values(records: list[Record]) -> dict[str, object]:
    """Point -> value."""
    return {record.point: record.value for record in records if isinstance(record, Reading)}


CLIMATE = {"temperature_c": 30.5, "humidity_pct": 54.6}


@each_kind
@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("xy-md02", CLIMATE),
        ("rs-ktc-n01", {"humidity_pct": 65.8, "temperature_c": -10.1, "current_a": 4.6, "state": "heating"}),
    ],
)
def test_a_foreign_server_is_read(link: ByteLink, profile: str, expected: dict[str, object]) -> None:
    """The same profiles read their values from a server in the network, in both envelopes."""
    assert values(list(driver(profile).poll(link))) == expected


@each_kind
def test_a_foreign_server_takes_a_command(link: ByteLink) -> None:
    """A coil is switched and read back."""
    relays = driver("relay-waveshare-8")
    list(relays.act(link, Command("on_3")))
    polled = values(list(relays.poll(link)))
    assert [name for name, value in polled.items() if value is True] == ["relay_3"]
    assert polled["commanded_3"] == "on"


@each_kind
def test_a_server_that_went_away_is_read_again(server: Server, link: ByteLink) -> None:
    """A server that hangs up is a lost link, refused while it is away, and read as soon as it is back."""
    climate = driver("xy-md02", timeout="300ms")
    assert values(list(climate.poll(link))) == CLIMATE
    server.stop()
    with pytest.raises(LinkError) as caught:
        list(climate.poll(link))
    assert caught.value.gone
    link.close()
    with pytest.raises(LinkError, match="refuses the connection"):
        link.open()
    server.start()
    link.open()
    assert values(list(climate.poll(link))) == CLIMATE


# ---- mbpoll asks our simulator


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Path]:
    """A pair with the simulators of three profiles on it; yields the near end's name."""
    sensor, meter, relays = (
        ModbusSimulator(ModbusOptions.model_validate({"profile": profile, "address": unit}), Site(), lambda: 0.0)
        for profile, unit in (("xy-md02", 1), ("pzem-016", 2), ("relay-waveshare-8", 3))
    )
    sensor.hold("temperature_c", -10.1)
    relays.hold("relay_4", value=True)
    wire = PtyWire(tmp_path / "pair", [sensor, meter, relays])
    wire.start()
    yield wire.path
    wire.stop()


def mbpoll(port: Path, *options: str) -> list[str]:
    """Ask once, without any of our own code: the values printed, as text."""
    command = ["mbpoll", "-m", "rtu", "-b", "9600", "-P", "none", "-0", "-1", *options, str(port)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout
    return [found.strip() for found in re.findall(r"^\[\d+\]:\s+(.*)$", out, re.MULTILINE)]


@pytest.mark.needs("mbpoll")
@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (("-a", "1", "-t", "3", "-r", "1", "-c", "2"), ["65435 (-101)", "550"]),
        (("-a", "2", "-t", "3", "-r", "0", "-c", "2"), ["2257", "4108"]),
        (("-a", "3", "-t", "0", "-r", "0", "-c", "8"), ["0", "0", "0", "1", "0", "0", "0", "0"]),
        (("-a", "1", "-t", "3", "-r", "7", "-c", "1"), []),
        (("-a", "9", "-t", "3", "-r", "1", "-c", "1", "-o", "0.1"), []),
    ],
    ids=["sensor", "meter", "relays", "illegal address", "absent unit"],
)
def test_a_foreign_master_reads_our_simulator(simulated: Path, options: tuple[str, ...], printed: list[str]) -> None:
    """Mbpoll gets the registers that the simulators hold, and nothing where a device would refuse or is not there."""
    assert mbpoll(simulated, *options) == printed
