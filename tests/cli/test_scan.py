"""`scan` finds who answers on a wire, writes nothing to it, and proposes what to paste into the station file."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.bms import codec_a5, codec_dd, codec_jk, codec_up
from edge_agent.cli import main
from edge_agent.cli.proposal import proposal, summary
from edge_agent.cli.search import Found, Step, plan, scans, search
from edge_agent.clock import FakeClock
from edge_agent.config.file import load
from edge_agent.config.links import SerialLink
from edge_agent.demo.wire import PtyWire
from edge_agent.driver import LinkError, Simulator, Site, load_driver
from edge_agent.links.bytelink import Port
from edge_agent.links.line import Line
from edge_agent.links.serial import SerialSettings, open_serial

STATION = """
[station]
id = "cn-test-001"
name = { zh = "测试", en = "Test" }
region = "cn"
district = "test"

[uplink]
broker = "mqtts://broker.example.org"

"""
POINT = {"name": "t", "command": "42", "at": 0, "type": "u8"}
DEVICES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "modbus_rtu": ("modbus", {"profile": "xy-md02", "address": 3}),
    "dlt645": ("dlt645", {"address": "000000000161"}),
    "ydt1363": ("ydt1363", {"address": 2, "points": [POINT]}),
    "bms_jbd": ("bms", {"family": "jbd", "framing": "dd"}),
    "bms_jbd_up": ("bms", {"family": "jbd", "framing": "up", "address": 4}),
    "bms_daly": ("bms", {"family": "daly", "framing": "a5", "host": "4"}),
    "bms_daly_uart": ("bms", {"family": "daly", "framing": "a5", "host": "8"}),
    "bms_daly_modbus": ("bms", {"family": "daly", "framing": "modbus", "address": 2}),
    "bms_seplos_v3": ("bms", {"family": "seplos_v3", "address": 1}),
    "bms_ydt1363": ("bms", {"family": "ydt1363", "dialect": "pylontech", "address": 2}),
    "bms_jk": ("bms", {"family": "jk"}),
    "lockboard_8a80": ("lockboard", {"family": "8a80", "address": 1, "locks": 16}),
    "lockboard_wkly": ("lockboard", {"family": "wkly", "address": 1, "locks": 12}),
    "lockboard_kerong_cu16": ("lockboard", {"family": "kerong_cu16", "address": 1, "locks": 16}),
    "lockboard_kerong_cu48": ("lockboard", {"family": "kerong_cu48", "address": 1, "locks": 48}),
}
"""A device that each protocol can find."""
DIALECTS = ("pylontech", "pace", "eg4", "seplos")


def simulator(driver: str, keys: dict[str, Any]) -> Simulator:
    """The far end."""
    kind = load_driver(driver)
    made: Simulator = kind.Simulator(kind.Options.model_validate(keys), Site())
    return made


@dataclass
class Bus:
    """Simulators that answer in no time, on their own baud rate only; notes every question and its line."""

    simulators: Mapping[Line, list[Simulator]]
    clock: FakeClock = field(default_factory=FakeClock)
    asked: list[tuple[Line, bytes]] = field(default_factory=list)

    def open(self, settings: SerialSettings) -> Port:
        """See Opener."""
        return End(self, settings.line)

    def found(self, steps: list[Step]) -> list[Found]:
        """Everybody who is found."""
        return list(search("/dev/ttyUSB0", steps, lambda _: None, opener=self.open, clock=self.clock))


@dataclass
class End:
    """A bus opened at one speed."""

    bus: Bus
    line: Line
    waiting: bytes = b""

    def write(self, data: bytes) -> None:
        """Ask everybody who understands this line."""
        self.bus.asked.append((self.line, data))
        for one in self.bus.simulators.get(self.line, ()):
            self.waiting += one.answer(data)

    def read(self, within: float) -> bytes:
        """Return what was answered; silence takes its time on the fake clock."""
        if not self.waiting:
            self.bus.clock.advance(within)
        waiting, self.waiting = self.waiting, b""
        return waiting

    def wake(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


def usual_line(protocol: str) -> Line:
    """The first line the protocol is looked for on."""
    return Line(*scans()[protocol][1].lines[0])


def test_every_protocol_that_can_be_found_is_tried_here() -> None:
    """The tests below leave none out."""
    assert set(scans()) == set(DEVICES)


@pytest.mark.parametrize("protocol", DEVICES)
def test_scan_finds_each_device_with_its_keys(protocol: str, tmp_path: Path) -> None:
    """Among all protocols at their usual speeds a device is found once, and the proposal is what it is."""
    driver, keys = DEVICES[protocol]
    line = usual_line(protocol)
    bus = Bus({line: [simulator(driver, keys)]})
    steps = [step for step in plan(scans()) if step.line == line]
    (found,) = bus.found(steps)
    assert (found.line, found.protocol, found.driver) == (line, protocol, driver)
    text = "\n".join(proposal("/dev/ttyUSB0", [found]))
    if protocol == "ydt1363":
        assert "# points = []" in text
        assert "document" in text
        return
    file = tmp_path / "station.toml"
    file.write_text(STATION + text, encoding="utf-8")
    config = load(file).config
    (link,) = config.link
    assert isinstance(link, SerialLink)
    assert (link.port, link.baud, link.parity) == ("/dev/ttyUSB0", line.baud, line.parity)
    (device,) = config.device
    assert device.options.model_dump(exclude_unset=True) == keys


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_dialect_of_a_battery_is_found_out(dialect: str) -> None:
    """Pylontech, PACE, EG4 and Seplos are told apart by their scales."""
    bus = Bus({Line(): [simulator("bms", {"family": "ydt1363", "dialect": dialect, "address": 1})]})
    (found,) = bus.found([step for step in plan(scans()) if step.line == Line()])
    assert found.guesses[0].options["dialect"] == dialect


def test_every_profile_finds_its_own_device() -> None:
    """Whatever shipped profile a device has, it is among the guesses, with the values to judge by."""
    wanted = {"modbus_rtu": scans()["modbus_rtu"]}
    for profile in sorted(file.stem for file in Path("drivers/modbus/profiles").glob("*.toml")):
        bus = Bus({Line(): [simulator("modbus", {"profile": profile, "address": 65})]})
        steps = plan(wanted, bauds=[9600], parities=["N"], chosen=range(60, 70))
        (found,) = bus.found(steps)
        assert profile in {guess.options["profile"] for guess in found.guesses}
        assert all(guess.told for guess in found.guesses)


def test_a_device_without_a_profile_is_proposed_to_be_completed(tmp_path: Path) -> None:
    """It answers, so it is told; its table is a comment, and the file loads."""
    gadget = tmp_path / "gadget.toml"
    gadget.write_text(
        'title = "x"\nevidence = "x"\ntier = "sketch"\n'
        '[[point]]\nname = "p"\nat = "holding:900"\nsim = { value = 7 }\n',
        encoding="utf-8",
    )
    bus = Bus({Line(): [simulator("modbus", {"profile": str(gadget), "address": 9})]})
    (found,) = bus.found(plan({"modbus_rtu": scans()["modbus_rtu"]}, bauds=[9600], parities=["N"]))
    assert "still to be found out: profile" in summary(found)
    text = "\n".join(proposal("/dev/ttyUSB0", [found]))
    assert '# profile = ""' in text
    assert "device" not in tomllib.loads(text)


def test_devices_of_several_speeds_share_a_link(tmp_path: Path) -> None:
    """The link has the line of most, the others carry their own; two of one address cannot both be taken."""
    slow, fast = Line(4800), Line()
    climate = {"profile": "xy-md02", "address": 3}
    bus = Bus(
        {
            fast: [simulator("modbus", climate), simulator("lockboard", DEVICES["lockboard_8a80"][1])],
            slow: [simulator("modbus", climate), simulator("modbus", {"profile": "xy-md02", "address": 4})],
            Line(9600, "E"): [simulator("dlt645", {"address": "161"})],
        }
    )
    everybody = bus.found(plan(scans(), chosen=range(1, 6)))
    assert len(everybody) == 5
    text = "\n".join(proposal("/dev/ttyUSB0", everybody))
    assert "# Once more, so give one of them another address: 4800 8N1 modbus_rtu address 3" in text
    file = tmp_path / "station.toml"
    file.write_text(STATION + text, encoding="utf-8")
    lines = {device.name: (device.baud, device.parity) for device in load(file).config.device}
    assert lines == {
        "modbus-rtu-3": (None, None),
        "modbus-rtu-4": (4800, None),
        "lockboard-8a80-1": (None, None),
        "dlt645": (None, "E"),
    }


ALLOWED: Mapping[str, Callable[[bytes], bool]] = {
    "modbus functions that read": lambda data: len(data) == 8 and data[1] in {1, 2, 3, 4},
    "dlt645 read address, read data": lambda data: data.startswith(b"\xfe") and data[12] in {0x11, 0x13},
    "ydt1363 values, alarms, version, serial number": lambda data: (
        data[:1] == b"~" and data[7:9] in {b"42", b"44", b"4F", b"93", b"C2"}
    ),
    "jbd": lambda data: data in {codec_dd.request(codec_dd.BASIC), codec_dd.request(codec_dd.CELLS)},
    "jbd up": lambda data: len(data) == 10 and data[1] == codec_up.READ,
    "daly": lambda data: data[:1] == b"\xa5" and codec_a5.decode(data)[1] in range(0x90, 0x99),
    "jk": lambda data: data == codec_jk.request(),
    "8a80": lambda data: len(data) == 5 and data[0] == 0x80 and data[3] == 0x33,
    "wkly": lambda data: data.startswith(b"WKLY") and data[6] == 0x84,
    "kerong": lambda data: data[:1] == b"\x02" and data[-3:-1] in {b"\x30\x03", b"\x60\x03"},
}
"""Frames that change nothing in whatever device takes them for its own."""


@pytest.mark.parametrize("answered", [False, True])
def test_every_question_of_a_scan_only_reads(answered: bool) -> None:
    """Neither on a silent wire nor on one with everybody on it does any other frame go out."""
    everybody = [simulator(driver, keys) for driver, keys in DEVICES.values()] if answered else []
    bus = Bus(dict.fromkeys({step.line for step in plan(scans())}, everybody))
    bus.found(plan(scans()))
    strange = {data for _, data in bus.asked if not any(allowed(data) for allowed in ALLOWED.values())}
    assert strange == set()


def test_an_adapter_that_hears_itself_is_no_device() -> None:
    """The echo of a question answers none of them."""

    class Mirror:
        def answer(self, request: bytes) -> bytes:
            return request

        def play(self) -> Iterator[Any]:
            return iter(())

    bus = Bus({line: [Mirror()] for line in {step.line for step in plan(scans())}})
    assert bus.found(plan(scans())) == []


def test_what_is_tried_follows_what_is_asked_for() -> None:
    """Speeds, parities and addresses given hold for every protocol; without them each has its usual ones."""
    steps = plan(scans(), bauds=[1200, 2400], parities=["O"], chosen=range(200, 203))
    assert {step.line for step in steps} == {Line(1200, "O"), Line(2400, "O")}
    tried = {step.protocol: step.addresses for step in steps}
    assert tried["modbus_rtu"] == (200, 201, 202)
    assert tried["bms_seplos_v3"] == ()
    assert tried["dlt645"] == (0,)
    usual = plan(scans())
    assert usual[0].line == Line()
    assert [step.protocol for step in usual if step.line == Line()][-1] == "modbus_rtu"
    assert sum(step.seconds for step in usual) < 15 * 60


def test_progress_and_the_time_left_are_told() -> None:
    """One line a speed, with how long it may take still."""
    told: list[str] = []
    steps = plan({"modbus_rtu": scans()["modbus_rtu"]}, bauds=[9600, 4800], parities=["N"], timeout=0.2)
    bus = Bus({})
    assert list(search("x", steps, told.append, opener=bus.open, clock=bus.clock)) == []
    assert [re.sub(r"\d+ (s|min) left", "T left", text) for text in told] == [
        "1 of 2: 9600 8N1, about T left",
        "2 of 2: 4800 8N1, about T left",
    ]


@dataclass
class Lost(End):
    """A far end that is lost when written to."""

    def write(self, data: bytes) -> None:
        """Fail."""
        raise LinkError("unplugged", gone=True)


@pytest.mark.parametrize("protocol", ["modbus_rtu", "bms_jk"])
def test_a_port_lost_during_a_scan_is_told(protocol: str) -> None:
    """It is not taken for silence."""
    with pytest.raises(LinkError, match="unplugged"):
        list(search("x", plan({protocol: scans()[protocol]}), lambda _: None, opener=lambda _: Lost(Bus({}), Line())))


def test_a_speed_the_port_does_not_have_is_passed_over() -> None:
    """The others are tried; only a port that takes none is an error."""
    bus = Bus({Line(4800): [simulator("modbus", DEVICES["modbus_rtu"][1])]})

    def opener(settings: SerialSettings) -> Port:
        if settings.baud != 4800:
            raise LinkError("no such speed")
        return bus.open(settings)

    wanted = {"modbus_rtu": scans()["modbus_rtu"]}
    steps = plan(wanted, parities=["N"], chosen=range(1, 5))
    assert len(list(search("x", steps, lambda _: None, opener=opener, clock=bus.clock))) == 1
    with pytest.raises(LinkError, match="no such speed"):
        list(search("x", plan(wanted, bauds=[9600]), lambda _: None, opener=opener, clock=bus.clock))


# ---- as a command, on a real port


@pytest.fixture(name="bus")
def _bus(tmp_path: Path) -> Iterator[PtyWire]:
    """A bus with a Modbus sensor at 3 and a lock board at 1."""
    chosen = ("modbus_rtu", "lockboard_8a80")
    wire = PtyWire(tmp_path / "bus", [simulator(*DEVICES[name]) for name in chosen])
    wire.start()
    yield wire
    wire.stop()


def test_the_output_is_toml(bus: PtyWire, capsys: pytest.CaptureFixture[str]) -> None:
    """Who answers is a comment with its values, the tables follow; progress goes elsewhere."""
    arguments = ["--baud", "9600", "--parity", "N", "--addresses", "1-4", "--timeout", "50ms"]
    protocols = ["--protocol", "modbus_rtu", "--protocol", "lockboard_8a80"]
    assert main(["scan", str(bus.path), *arguments, *protocols]) == 0
    seen = capsys.readouterr()
    tables = tomllib.loads(seen.out)
    assert sorted(device["address"] for device in tables["device"]) == [1, 3]
    assert tables["link"][0]["kind"] == "serial"
    assert re.search(r"^# 9600 8N1 modbus_rtu address 3: temperature_c \d", seen.out, re.MULTILINE)
    assert "1 of 1: 9600 8N1" in seen.err


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
