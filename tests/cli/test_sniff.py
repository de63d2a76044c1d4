"""`sniff` records a wire, and never one that cards are read on."""

import json
import shutil
import tempfile
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.clock import FakeClock
from edge_agent.demo.station import SimulatedStation
from edge_agent.driver import Chunk, Reading, Site, load_driver
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


METER = ("dlt645", {"address": "161"})


def poll(simulator: Any, driver: str = METER[0], keys: Mapping[str, object] = METER[1]) -> dict[str, object]:
    """One poll of a simulated device, the meter unless told."""
    driver_class = load_driver(driver)
    clock = FakeClock()
    link = ByteLink("bench", lambda: SimulatedPort([simulator], clock), clock)
    link.open()
    built = driver_class(driver_class.Options.model_validate(keys), Site())
    return {record.point: record.value for record in built.poll(link) if isinstance(record, Reading)}


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


SENSOR = """
[[device]]
name = "room"
link = "rs485"
driver = "modbus"
profile = "xy-md02"
address = 3
baud = 4800
"""


class Noting:
    """A simulator that notes how fast it was asked."""

    def __init__(self, simulator: Any, speed: Callable[[], int]) -> None:
        self.simulator = simulator
        self.speed = speed
        self.speeds: set[int] = set()

    def answer(self, request: bytes) -> bytes:
        """Answer, and note the speed of what was for this device."""
        answer: bytes = self.simulator.answer(request)
        if answer:
            self.speeds.add(self.speed())
        return answer

    def play(self) -> Iterable[Chunk]:
        """Say nothing."""
        return ()


@pytest.fixture(name="mixed")
def _mixed(tmp_path: Path) -> Iterator[SimulatedStation]:
    """A pair whose sensor speaks at another speed than the rest."""
    ports = Path(tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm"))
    sensor = (
        '[[device]]\nname = "room"\nlink = "rs485"\ndriver = "modbus"\nprofile = "xy-md02"\naddress = 3\nbaud = 4800\n'
    )
    text = f"{FILE}\n{sensor}".replace("PORTS", str(ports))
    simulated = SimulatedStation(tmp_path, broker="127.0.0.1:1883", page="127.0.0.1:8080", text=text, ports=ports)
    simulated.start()
    yield simulated
    simulated.stop()
    shutil.rmtree(ports)


def speed(ends: SimulatedStation) -> int:
    """What the port of the pair is set to now (termios)."""
    with ends.wires["rs485"].path.open("rb", buffering=0) as port:
        return int(termios.tcgetattr(port)[5])


def test_sniff_asks_each_device_at_its_own_speed(
    mixed: SimulatedStation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Devices of several speeds on one pair are in one capture, and each can be replayed."""
    wire = mixed.wires["rs485"]
    noting = [Noting(simulator, lambda: speed(mixed)) for simulator in wire.simulators]
    wire.simulators[:] = noting
    file = tmp_path / "capture.jsonl"
    assert main(["sniff", "rs485", str(mixed.path), "--output", str(file), "--max-bytes", "700"]) == 0
    assert [one.speeds for one in noting] == [{termios.B9600}, {termios.B4800}]
    replay = Replay(load(file))
    assert poll(replay) == poll(mixed.simulators["meter"])
    assert set(poll(replay, "modbus", {"profile": "xy-md02", "address": 3})) == {"temperature_c", "humidity_pct"}
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], termios.B9600), (["--baud", "2400", "--stop-bits", "2"], termios.B2400)]
)
def test_sniff_listens_at_the_speed_asked_for(
    arguments: list[str], expected: int, ends: SimulatedStation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a wish it is the link's."""
    main(["sniff", "rs485", str(ends.path), "--listen", "--for", "20ms", *arguments])
    assert speed(ends) == expected
    capsys.readouterr()


def test_sniff_at_a_parity_the_port_does_not_have_says_so(
    ends: SimulatedStation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pseudo-terminal has none."""
    assert main(["sniff", "rs485", str(ends.path), "--parity", "E"]) == 1
    assert "no parity bit" in capsys.readouterr().err


def test_the_speed_of_the_machine_cannot_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a serial port has one."""
    file = tmp_path / "station.toml"
    head, _, _ = FILE.partition("[[link]]")
    file.write_text(
        head.replace("BROKER", "127.0.0.1:1883").replace("DIRECTORY", str(tmp_path))
        + '[[link]]\nname = "machine"\nkind = "host"\n[[device]]\nname = "pi"\nlink = "machine"\ndriver = "system"\n'
    )
    assert main(["sniff", "machine", str(file), "--baud", "2400"]) == 1
    assert "no serial port" in capsys.readouterr().err
