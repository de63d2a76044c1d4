"""The station file's links into the network, and devices that speak at a baud rate of their own."""

import os
import termios
import tty
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from edge_agent.clock import FakeClock, SystemClock
from edge_agent.config.device import Device
from edge_agent.config.file import load
from edge_agent.config.links import Link, SerialLink
from edge_agent.driver import LinkError, ReplyShape
from edge_agent.errors import ConfigError
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.line import Line
from edge_agent.links.make import line_of, make_link, tuned_link
from edge_agent.links.serial import SerialSettings, open_serial

STATION = """\
[station]
id = "365-001"
name = { zh = "站", en = "Station" }
region = "chaoyang"
district = "jianwai"

[uplink]
broker = "mqtt://127.0.0.1:1883"

[[link]]
name = "wire"
%s

[[device]]
name = "climate"
link = "wire"
driver = "%s"
%s
"""
SERIAL = 'kind = "serial"\nport = "/dev/serial/by-path/x"'
TCP = 'kind = "tcp"\nhost = "192.168.1.20"\nport = 4001'
MODBUS_TCP = 'kind = "modbus-tcp"\nhost = "192.168.1.30"'
MODBUS = 'profile = "xy-md02"'


def complaints(folder: Path, link: str, driver: str, keys: str) -> list[str]:
    """What is wrong with a station of one link and one device."""
    file = folder / "station.toml"
    file.write_text(STATION % (link, driver, keys), encoding="utf-8")
    try:
        load(file)
    except ConfigError as error:
        return [problem.text for problem in error.problems]
    return []


@pytest.mark.parametrize("link", [SERIAL, TCP, MODBUS_TCP], ids=["serial", "tcp", "modbus-tcp"])
def test_a_modbus_device_may_be_on_any_of_three_links(tmp_path: Path, link: str) -> None:
    """The same profile works on a pair, behind a serial server and over Modbus TCP."""
    assert complaints(tmp_path, link, "modbus", MODBUS) == []


@pytest.mark.parametrize("link", [SERIAL, TCP, MODBUS_TCP], ids=["serial", "tcp", "modbus-tcp"])
@pytest.mark.parametrize(
    "keys", ['family = "daly"\nframing = "modbus"', 'family = "seplos_v3"'], ids=["daly", "seplos"]
)
def test_so_may_a_battery_that_speaks_modbus(tmp_path: Path, link: str, keys: str) -> None:
    """What a link must carry follows from the make of the board."""
    assert complaints(tmp_path, link, "bms", f"{keys}\naddress = 1") == []


@pytest.mark.parametrize(
    ("link", "driver", "keys", "complaint"),
    [
        (MODBUS_TCP, "bms", 'framing = "up"\naddress = 1', "needs a link of kind 'serial' or 'tcp'"),
        (MODBUS_TCP, "lockboard", "", "needs a link of kind 'serial' or 'tcp', 'wire' is 'modbus-tcp'"),
        (TCP, "modbus", MODBUS + "\nbaud = 2400", "baud can be changed on a link of kind 'serial' only"),
        (TCP.replace("192.168.1.20", "gateway"), "modbus", MODBUS, "is not an IP address"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, link: str, driver: str, keys: str, complaint: str) -> None:
    """A driver whose frames the link cannot carry, a baud rate nobody can set, a name instead of an address."""
    assert any(complaint in text for text in complaints(tmp_path, link, driver, keys))


def test_two_links_to_one_serial_server_are_refused(tmp_path: Path) -> None:
    """One connection serves all devices behind it."""
    second = TCP.replace('kind = "tcp"', 'kind = "tcp"\n').replace("\n\n", "\n")
    (text,) = complaints(tmp_path, f'{TCP}\n\n[[link]]\nname = "again"\n{second}', "modbus", MODBUS)
    assert "192.168.1.20 port 4001 is that of link 'wire' too" in text


@pytest.mark.parametrize("keys", [TCP, MODBUS_TCP], ids=["tcp", "modbus-tcp"])
def test_a_link_into_the_network_is_built_without_opening(keys: str) -> None:
    """`make_link` touches nothing; opening an address that nobody has fails as a lost link."""
    kind = keys.partition("\n")[0].removeprefix("kind = ").strip('"')
    table = {"name": "wire", "kind": kind, "host": "127.0.0.1", "port": 1}
    link = make_link(TypeAdapter(Link).validate_python(table), SystemClock())
    assert isinstance(link, ByteLink)
    assert not link.is_open
    with pytest.raises(LinkError, match="refuses the connection") as caught:
        link.open()
    assert caught.value.gone


# ---- several baud rates on one pair


@dataclass
class Party:
    """A port that notes when its line was set and when it was asked; answers what it was sent."""

    clock: FakeClock
    log: list[tuple[float, object]] = field(default_factory=list)
    waiting: bytes = b""

    def tune(self, line: Line | None) -> None:
        """Note it."""
        self.log.append((self.clock.monotonic(), line))

    def write(self, data: bytes) -> None:
        """Note it and prepare the answer."""
        self.log.append((self.clock.monotonic(), data))
        self.waiting = b"A" + data

    def read(self, within: float) -> bytes:
        """Answer, or be silent for all of `within`."""
        data, self.waiting = self.waiting, b""
        if not data:
            self.clock.advance(within)
        return data

    def wake(self) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """Nothing is held."""


def answer_to(data: bytes) -> ReplyShape:
    """The answer of a Party."""
    return ReplyShape(data, lambda got: got if got == b"A" + data else None)


METER = Line(2400, "E")


def test_the_line_is_set_for_each_device_and_set_back() -> None:
    """Each question goes out at its device's own setting; nothing is set where nothing changes."""
    clock = FakeClock()
    port = Party(clock)
    link = ByteLink("pair", lambda: port, clock, Timing(guard=0.004, echo="no"))
    link.open()
    meter = link.tuned(METER)
    for asking, data in ((link, b"1"), (meter, b"2"), (meter, b"3"), (link, b"4"), (link, b"5")):
        assert asking.ask(data, reply=answer_to(data), within=0.5) == b"A" + data
    assert [entry for _, entry in port.log] == [b"1", METER, b"2", b"3", None, b"4", b"5"]


def test_others_get_a_character_and_the_guard_to_notice() -> None:
    """Between setting the line and the question, one character and the longer guard of both settings pass."""
    clock = FakeClock()
    port = Party(clock)
    link = ByteLink("pair", lambda: port, clock, Timing(guard=0.004, echo="no"))
    link.open()
    link.tuned(METER).ask(b"1", reply=answer_to(b"1"), within=0.5)
    link.ask(b"2", reply=answer_to(b"2"), within=0.5)
    (set_at, _), (asked_at, _), (back_at, _), (again_at, _) = port.log
    slow = 11 / 2400
    assert asked_at - set_at == pytest.approx(slow + 3.5 * slow)
    assert back_at - asked_at >= 3.5 * slow * 0.999
    assert again_at - back_at == pytest.approx(slow + 3.5 * slow)


def test_a_lost_port_forgets_the_line() -> None:
    """A port opened again has the link's own setting, so a device of another one sets it anew."""
    clock = FakeClock()
    port = Party(clock)
    link = ByteLink("pair", lambda: port, clock, Timing(echo="no"))
    for _ in range(2):
        link.open()
        link.tuned(METER).ask(b"1", reply=answer_to(b"1"), within=0.5)
        link.close()
    assert [entry for _, entry in port.log] == [METER, b"1", METER, b"1"]


def test_a_port_that_cannot_be_set_refuses() -> None:
    """Only serial ports change their line; any other says so and stays open."""

    class Fixed:
        def read(self, within: float) -> bytes:
            return b""

        def write(self, data: bytes) -> None:
            raise AssertionError

        def wake(self) -> None:
            """Nobody waits."""

        def close(self) -> None:
            """Nothing is held."""

    link = ByteLink("net", Fixed, FakeClock())
    link.open()
    with pytest.raises(LinkError, match="cannot change its baud rate") as caught:
        link.tuned(METER).ask(b"1", reply=answer_to(b"1"), within=0.5)
    assert not caught.value.gone


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({}, None),
        ({"baud": 9600}, None),
        ({"baud": 2400, "parity": "E"}, METER),
        ({"stop_bits": 2}, Line(9600, "N", 2)),
    ],
)
def test_a_device_says_only_what_differs(keys: dict[str, Any], line: Line | None) -> None:
    """What the device does not say is that of its link; the same setting is none of its own."""
    link = SerialLink.model_validate({"name": "pair", "kind": "serial", "port": "/dev/ttyX"})
    device = Device.model_validate({"name": "m1", "link": "pair", "driver": "modbus", "profile": "xy-md02", **keys})
    assert line_of(device, link) == line
    wire = make_link(link, SystemClock())
    assert (tuned_link(wire, line_of(device, link)) is None) == (line is None)


def test_a_real_port_changes_its_speed(tmp_path: Path) -> None:
    """On a pseudo-terminal the kernel's own speed follows, and goes back; what the port cannot do is refused."""
    master, slave = os.openpty()
    tty.setraw(slave)
    name = tmp_path / "port"
    name.symlink_to(os.ttyname(slave))
    port = open_serial(SerialSettings(str(name)))
    speeds = []
    for line in (None, Line(2400), Line(19200, "N", 2), None):
        port.tune(line)
        speeds.append(termios.tcgetattr(slave)[5])
    assert speeds == [termios.B9600, termios.B2400, termios.B19200, termios.B9600]
    # A pseudo-terminal has no parity bit, like the mini UART of a Pi.
    with pytest.raises(LinkError, match="cannot speak 2400 8E1") as caught:
        port.tune(METER)
    assert not caught.value.gone
    assert termios.tcgetattr(slave)[5] == termios.B9600
    port.close()
    for fd in (master, slave):
        os.close(fd)
