"""`probe` has one conversation with any kind of device, over any kind of link, and shows nobody's card."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.probe import probe
from edge_agent.clock import Clock
from edge_agent.config.links import Link
from edge_agent.config.toml import toml
from edge_agent.demo.station import SimulatedStation
from edge_agent.driver import Driver, Wire
from edge_agent.links.owned import OwnedLink
from tests.drivers.test_every_driver import CASES, KEY_FILE, Case, marks
from tests.stations import wait_for

HEAD = """
[station]
id = "cn-test-001"
name = {{ zh = "测试", en = "Test" }}
region = "cn"
district = "test"
timezone = "Asia/Shanghai"

[uplink]
broker = "mqtt://BROKER"

[cards]
key_file = "DIRECTORY/card-key"

[[link]]
name = "{link}"
{keys}

"""
LINKS = {
    Wire.SERIAL: 'kind = "serial"\nport = "/dev/ttyUSB0"',
    Wire.GPIO: 'kind = "gpio"',
    Wire.EDGES: 'kind = "gpiod"\nchip = "pinctrl-rp1"',
    Wire.UDP: 'kind = "udp"\nhost = "192.168.1.60"',
    Wire.I2C: 'kind = "i2c"',
    Wire.HOST: 'kind = "host"',
}
CARD = 9357203
CASE_PARAMETERS = [pytest.param(case, marks=marks(case)) for case in CASES]


def station(case: Case, folder: Path) -> SimulatedStation:
    """A station with this device alone, and its simulator."""
    table = case.table | ({"key_file": KEY_FILE} if "key_file" in case.table else {})
    keys = "\n".join(f"{key} = {toml(value)}" for key, value in table.items())
    text = HEAD.format(link=case.table["link"], keys=LINKS[case.cls.wire]) + f"[[device]]\n{keys}\n"
    ports = folder / "ports"
    ports.mkdir()
    return SimulatedStation(folder, broker="127.0.0.1:1883", page="127.0.0.1:8080", text=text, ports=ports)


def operate(wire: list[OwnedLink], simulator: Any) -> None:
    """Swipe a card as soon as somebody listens."""
    wait_for(lambda: bool(wire) and wire[0].is_open, "the link is open")
    if hasattr(simulator, "swipe"):
        simulator.swipe(CARD)


@pytest.mark.parametrize("case", CASE_PARAMETERS, ids=str)
def test_every_kind_of_device_can_be_probed(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records are shown, and the bytes unless they are personal; of a card neither number nor reference."""
    ends = station(case, tmp_path)
    wires: list[OwnedLink] = []

    def make(link: Link, clock: Clock) -> OwnedLink:
        wires.append(ends.make(link, clock))
        return wires[0]

    ends.start()
    (device,) = ends.config.device
    listens = not isinstance(case.build(), Driver)
    hand = threading.Thread(target=operate, args=(wires, ends.simulators[device.name]))
    if listens:
        hand.start()
    try:
        assert probe(ends.config, device, 0.5 if listens else 0.0, make) == 0
    finally:
        if listens:
            hand.join()
        ends.stop()
    seen = capsys.readouterr()
    assert re.search(r"^== ", seen.out, re.MULTILINE)
    shows = re.search(r"^<< ", seen.out, re.MULTILINE) is not None
    # An output has a level, and no bytes.
    assert shows != (case.cls.sensitive or (case.cls.wire is Wire.GPIO and not listens))
    assert ("personal" in seen.err) == case.cls.sensitive
    if case.cls.sensitive and listens:
        assert "event visit" in seen.out
        assert not re.search(rf"{CARD}|{CARD:x}|[0-9a-f]{{32}}", seen.out, re.IGNORECASE)
