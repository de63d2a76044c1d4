"""Batteries that speak Modbus, behind a server in the network that is not ours."""

from collections.abc import Iterator

import pytest
from pydantic import TypeAdapter
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.bms import map_daly
from drivers.bms import map_seplos_v3 as seplos
from drivers.bms.driver import Bms
from drivers.bms.options import BmsOptions
from drivers.bms.simulator import SimulatedBattery
from edge_agent.clock import SystemClock
from edge_agent.config.links import Link
from edge_agent.driver import Reading, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.make import make_link
from tests.drivers.modbus_server import FRAMERS, Server

SN = "SP05B2312190075"
BATTERY = SimulatedBattery(SN, 80.0, current_a=-4.2).pack()
EXPECTED = {"cells_v": BATTERY.cells_v, "current_a": -4.2, "soc_pct": 80.0, "charge_mos": True}
OPTIONS = {
    "daly": {"family": "daly", "framing": "modbus", "address": 2},
    "seplos_v3": {"family": "seplos_v3", "address": 1},
}


def words(block: tuple[int, int], values: tuple[int, ...]) -> SimData:
    """Registers of the server."""
    return SimData(block[0], values=list(values), datatype=DataType.REGISTERS)


def boards(name: str) -> SimDevice:
    """The registers of a board, held by the server."""
    none = SimData(0, values=[0], datatype=DataType.REGISTERS)
    bits = SimData(0, values=[False] * 16, datatype=DataType.BITS)
    if name == "daly":
        whole = (*map_daly.encode_values(BATTERY), 0, *map_daly.encode_counters(BATTERY))
        return SimDevice(map_daly.ASK_BASE + 2, ([bits], [bits], [words((0, 0), whole)], [none]))
    coils = [bool(coil) for coil in seplos.encode_events(BATTERY)]
    registers = [
        words(seplos.PACK, seplos.encode_pack(BATTERY)),
        words(seplos.CELLS, seplos.encode_cells(BATTERY)),
        words(seplos.BOARD_TEXT, seplos.text_words(SN, seplos.BOARD_TEXT)),
    ]
    events = SimData(seplos.EVENTS[0], values=coils, datatype=DataType.BITS)
    return SimDevice(1, ([events], [bits], [none], registers))


@pytest.fixture(params=FRAMERS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of link."""
    return str(request.param)


@pytest.fixture(params=OPTIONS)
def board(request: pytest.FixtureRequest) -> str:
    """The make."""
    return str(request.param)


@pytest.fixture
def link(kind: str, board: str) -> Iterator[ByteLink]:
    """The agent's link to a server with that board's registers."""
    server = Server(FRAMERS[kind], boards(board))
    table = {"name": "net", "kind": kind, "host": "127.0.0.1", "port": server.port, "max_reply_delay": "50ms"}
    made = make_link(TypeAdapter(Link).validate_python(table), SystemClock())
    assert isinstance(made, ByteLink)
    made.open()
    yield made
    made.close()
    server.end()


def test_a_battery_that_speaks_modbus_is_read_over_the_network(link: ByteLink, board: str) -> None:
    """Daly and Seplos boards are read through a serial server and through a gateway, which answers as it was asked."""
    driver = Bms(BmsOptions.model_validate(OPTIONS[board]), Site())
    read = {record.point: record.value for record in driver.poll(link) if isinstance(record, Reading)}
    assert {point: read[point] for point in EXPECTED} == EXPECTED
    assert read["sn"] == (SN if board == "seplos_v3" else None)
