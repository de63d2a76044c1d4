"""`sniff` records a wire, and never one that cards are read on."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.clock import FakeClock
from edge_agent.demo.station import SimulatedStation
from edge_agent.driver import Reading, Site, load_driver
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.capture import Replay, load
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
