"""The field tools: `sniff` records a wire, `scan` finds who answers on it; neither shows a card or writes a value."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.cli.scan import look, scans
from edge_agent.clock import FakeClock
from edge_agent.demo.station import SimulatedStation
from edge_agent.demo.wire import PtyWire
from edge_agent.driver import LinkError, Reading, Site, load_driver
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.capture import Replay, load
from edge_agent.links.serial import SerialSettings, open_serial
from edge_agent.links.simulated import SimulatedPort

FILE = """
[station]
id = "cn-test-001"
name = { zh = "测试", en = "Test" }
region = "cn"
district = "test"
timezone = "Asia/Shanghai"

[uplink]
broker = "mqtt://BROKER"

[cards]
key_file = "DIRECTORY/card-key"
key_id = "k1"

[journal]
dir = "DIRECTORY/journal"

[[link]]
name = "rs485"
kind = "serial"
port = "PORTS/rs485"

[[link]]
name = "reader-port"
kind = "serial"
port = "PORTS/reader-port"

[[link]]
name = "header"
kind = "gpio"

[[device]]
name = "meter"
link = "rs485"
driver = "dlt645"
address = "161"

[[device]]
name = "reader"
link = "reader-port"
driver = "card_uart"

[[device]]
name = "door"
link = "header"
driver = "contacts"
inputs = [{ line = 5, role = "door", active = "open" }]
"""


@pytest.fixture(name="ends")
def _ends(tmp_path: Path) -> Iterator[SimulatedStation]:
    """A station file with simulators behind its ports, which lie below /dev as the verbs want them."""
    ports = Path(tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm"))
    text = FILE.replace("PORTS", str(ports))
    simulated = SimulatedStation(tmp_path, broker="127.0.0.1:1883", page="127.0.0.1:8080", text=text, ports=ports)
    simulated.start()
    yield simulated
    simulated.stop()
    shutil.rmtree(ports)


def poll(simulator: Any) -> dict[str, object]:
    """One poll of a simulated DL/T 645 meter."""
    driver_class = load_driver("dlt645")
    clock = FakeClock()
    link = ByteLink("bench", lambda: SimulatedPort([simulator], clock), clock)
    link.open()
    driver = driver_class(driver_class.Options.model_validate({"address": "161"}), Site())
    return {record.point: record.value for record in driver.poll(link) if isinstance(record, Reading)}


def test_sniff_records_a_conversation_that_replays(
    ends: SimulatedStation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The capture decodes line by line, and as a simulator it answers a driver as the device did."""
    file = tmp_path / "capture.jsonl"
    arguments = ["sniff", "rs485", str(ends.path), "--output", str(file), "--protocol", "dlt645", "--max-bytes", "700"]
    assert main(arguments) == 0
    assert "bytes received" in capsys.readouterr().err
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert {entry["dir"] for entry in entries} == {">", "<"}
    assert main(["decode", "--vectors", str(file), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("energy_kwh" in line["decoded"] for line in told)
    assert poll(Replay(load(file))) == poll(ends.simulators["meter"])


def test_sniff_can_only_listen(ends: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """Then a bus without a master is silent, which is exit code 1."""
    assert main(["sniff", "rs485", str(ends.path), "--listen", "--for", "50ms"]) == 1
    assert "0 bytes received" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("link", "told"),
    [("reader-port", "personal"), ("header", "carries edges"), ("bus", "there are rs485, reader-port, header")],
)
def test_sniff_refuses(link: str, told: str, ends: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """Cards are never recorded, edges have no bytes, and a wrong name is answered with the right ones."""
    assert main(["sniff", link, str(ends.path)]) == 1
    assert told in capsys.readouterr().err


def test_sniff_of_a_lost_port_tells_why(ends: SimulatedStation, capsys: pytest.CaptureFixture[str]) -> None:
    """What was recorded so far is printed, and the reason said."""
    ends.wires["rs485"].unplug()
    assert main(["sniff", "rs485", str(ends.path)]) == 1
    assert "rs485" in capsys.readouterr().err


@pytest.fixture(name="bus")
def _bus(tmp_path: Path) -> Iterator[PtyWire]:
    """A bus with a meter, a Modbus sensor at 3 and a YD/T unit at 2."""
    modbus, meter, unit = load_driver("modbus"), load_driver("dlt645"), load_driver("ydt1363")
    point = {"name": "t", "command": "42", "at": 0, "type": "u8"}
    wire = PtyWire(
        tmp_path / "bus",
        [
            modbus.Simulator(modbus.Options.model_validate({"profile": "xy-md02", "address": 3}), Site()),
            meter.Simulator(meter.Options.model_validate({"address": "161"}), Site()),
            unit.Simulator(unit.Options.model_validate({"address": 2, "points": [point]}), Site()),
        ],
    )
    wire.start()
    yield wire
    wire.stop()


def test_scan_finds_who_answers(bus: PtyWire, capsys: pytest.CaptureFixture[str]) -> None:
    """Each protocol's devices are found with their address."""
    arguments = ["--baud", "9600", "--parity", "N", "--addresses", "1-4", "--timeout", "100ms"]
    assert main(["scan", str(bus.path), *arguments]) == 0
    found = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert found == ["9600 8N1 dlt645", "9600 8N1 modbus_rtu address 3", "9600 8N1 ydt1363 address 2"]


def test_scan_of_a_silent_bus_finds_nothing(bus: PtyWire, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and what to check."""
    bus.hang(hangs=True)
    arguments = ["--protocol", "dlt645", "--baud", "9600", "--timeout", "20ms"]
    assert main(["scan", str(bus.path), *arguments]) == 1
    assert "nobody answered" in capsys.readouterr().err


def test_scan_leaves_a_port_in_use_alone(bus: PtyWire, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever holds it is named, and no byte goes out."""
    held = open_serial(SerialSettings(str(bus.path)))
    try:
        assert main(["scan", str(bus.path), "--baud", "9600"]) == 1
    finally:
        held.close()
    assert "in use" in capsys.readouterr().err


def test_scan_without_a_port_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a port, or a word that there is none."""
    code = main(["scan"])
    seen = capsys.readouterr()
    assert (code == 0) == bool(seen.out)
    assert seen.out or "no serial port" in seen.err


@pytest.mark.parametrize("arguments", [["--addresses", "x"], ["--timeout", "3"]])
def test_wrong_arguments_are_exit_code_2(arguments: list[str]) -> None:
    """As everywhere on the command line."""
    with pytest.raises(SystemExit) as end:
        main(["scan", "/dev/null", *arguments])
    assert end.value.code == 2


def test_an_unknown_protocol_is_answered_with_those_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Kindly."""
    assert main(["scan", "/dev/null", "--protocol", "nonsense"]) == 1
    assert "dlt645" in capsys.readouterr().err


class Recorder:
    """A far end that remembers the questions and is lost when told to."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.lost = False

    def write(self, data: bytes) -> None:
        if self.lost:
            raise LinkError("unplugged", gone=True)
        self.asked.append(data)

    def read(self, within: float) -> bytes:
        return b""

    def wake(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


def test_every_question_of_a_scan_only_reads() -> None:
    """No Modbus write function, no DL/T 645 control code but reads, no YD/T control command."""
    port = Recorder()
    assert list(look("x", scans(), bauds=[9600], parities=["N"], timeout=0.0, opener=lambda _: port)) == []
    modbus = {question[1] for question in port.asked if len(question) == 8}
    meters = {question[12] for question in port.asked if question.startswith(b"\xfe")}
    units = {question[7:9] for question in port.asked if len(question) > 8 and question.startswith(b"~")}
    assert (modbus, meters, units) == ({4}, {0x13}, {b"4F"})


def test_a_port_lost_during_a_scan_is_told() -> None:
    """It is not taken for silence."""
    port = Recorder()
    port.lost = True
    with pytest.raises(LinkError, match="unplugged"):
        list(look("x", scans(), bauds=[9600], parities=["N"], timeout=0.0, opener=lambda _: port))
