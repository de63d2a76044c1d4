"""The Modbus driver over the real serial link against slaves that are not ours: libmodbus and pymodbus."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus.codec import Refused
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from edge_agent.clock import SystemClock
from edge_agent.driver import Command, LinkTimeout, Reading, Record, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.serial import SerialSettings, open_serial, timing_for
from tests.peers import PATIENCE, compile_slave, modbus_slave, pty_pair

UNIT = 3
CLIMATE = {"temperature_c": 30.5, "humidity_pct": 54.6}
AIRCON = {"humidity_pct": 65.8, "temperature_c": -10.1, "current_a": 4.6, "state": "heating"}

pytestmark = pytest.mark.needs("socat")
needs_libmodbus = pytest.mark.needs("cc", "libmodbus")
each_peer = pytest.mark.parametrize("peer", [pytest.param("libmodbus", marks=needs_libmodbus), "pymodbus_server"])


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Both ends of a pair of pseudo-terminals."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with pty_pair(ours, theirs):
        yield ours, theirs


@pytest.fixture(scope="session")
def slave_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libmodbus slave, compiled once."""
    return compile_slave(tmp_path_factory.mktemp("libmodbus"))


@pytest.fixture
def libmodbus(wire: tuple[Path, Path], slave_program: Path) -> Iterator[IO[str]]:
    """A libmodbus slave at the far end; yields what it says it was asked: "function address" lines."""
    with modbus_slave(slave_program, wire[1], UNIT) as asked:
        yield asked


@pytest.fixture
def pymodbus_server(wire: tuple[Path, Path]) -> Iterator[None]:
    """A pymodbus RTU server with the same registers at the far end, in its own thread and loop."""
    holding = [0] * 0xE0
    holding[0x00], holding[0x01], holding[0x71], holding[0xD7] = 658, 0xFF9B, 46, 2
    device = SimDevice(
        UNIT,
        (
            [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
            [SimData(0, values=list(holding), datatype=DataType.REGISTERS)],
            [SimData(0, values=[0, 305, 546, 0], datatype=DataType.REGISTERS)],
        ),
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pymodbus", daemon=True)
    thread.start()

    async def start() -> ModbusSerialServer:
        server = ModbusSerialServer(device, port=str(wire[1]), baudrate=9600)
        await server.serve_forever(background=True)
        return server

    async def shutdown(server: ModbusSerialServer) -> None:
        await server.shutdown()  # type: ignore[no-untyped-call]

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
    yield
    asyncio.run_coroutine_threadsafe(shutdown(server), loop).result(PATIENCE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


@pytest.fixture
def link(wire: tuple[Path, Path]) -> Iterator[ByteLink]:
    """The agent's serial link on the near end."""
    settings = SerialSettings(str(wire[0]))
    link = ByteLink("pair", lambda: open_serial(settings), SystemClock(), timing_for(settings, max_reply_delay=0.2))
    link.open()
    yield link
    link.close()


def driver(profile: str, **keys: Any) -> ModbusDriver:
    """A driver for the slave's unit."""
    return ModbusDriver(ModbusOptions.model_validate({"profile": profile, "address": UNIT} | keys), Site())


def values(records: list[Record]) -> dict[str, object]:
    """Point -> value."""
    return {record.point: record.value for record in records if isinstance(record, Reading)}


@each_peer
@pytest.mark.parametrize(("profile", "expected"), [("xy-md02", CLIMATE), ("rs-ktc-n01", AIRCON)])
def test_a_foreign_slave_is_read(
    request: pytest.FixtureRequest, link: ByteLink, peer: str, profile: str, expected: dict[str, object]
) -> None:
    """Both profiles read their values from slaves that share no code with the driver."""
    request.getfixturevalue(peer)
    assert values(list(driver(profile).poll(link))) == expected


@each_peer
def test_a_foreign_slave_refuses_by_name(
    request: pytest.FixtureRequest, link: ByteLink, peer: str, tmp_path: Path
) -> None:
    """An illegal address is refused by both slaves with exception 2, and the next poll is well."""
    request.getfixturevalue(peer)
    file = tmp_path / "beyond.toml"
    text = 'title="t"\nevidence="e"\ntier="sketch"\n[[point]]\nname="p"\nat="input:100"\n'
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=r"ILLEGAL DATA ADDRESS \(2\)"):
        list(driver(str(file)).poll(link))
    assert values(list(driver("xy-md02").poll(link))) == CLIMATE


@each_peer
def test_a_foreign_slave_takes_a_command(request: pytest.FixtureRequest, link: ByteLink, peer: str) -> None:
    """A command is confirmed by both slaves; what they observe stays what it was."""
    request.getfixturevalue(peer)
    aircon = driver("rs-ktc-n01")
    assert values(list(aircon.act(link, Command("cool")))) == {"commanded": "cooling"}
    assert values(list(aircon.poll(link))) == AIRCON | {"commanded": "cooling"}


@needs_libmodbus
def test_a_command_reaches_the_slave_once(libmodbus: IO[str], link: ByteLink) -> None:
    """The slave sees the read that proves it listens, then exactly one write of register B9."""
    list(driver("rs-ktc-n01").act(link, Command("cool")))
    list(driver("xy-md02").poll(link))
    seen: list[str] = []
    for line in libmodbus:
        seen.append(line.strip())
        if line.startswith("4 "):
            break
    assert seen == ["3 0", "6 185", "4 1"]


@needs_libmodbus
@pytest.mark.usefixtures("libmodbus")
def test_an_absent_unit_costs_its_neighbour_at_most_one_question(link: ByteLink) -> None:
    """An absent unit is a timeout; libmodbus takes the next question for its answer, and the one after is answered."""
    for address in (9, UNIT):
        with pytest.raises(LinkTimeout):
            list(driver("xy-md02", address=address, timeout="100ms").poll(link))
    assert values(list(driver("xy-md02").poll(link))) == CLIMATE
