"""The Modbus driver against its simulator: polls, commands, refusals, damage."""

import random
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.codec import (
    Function,
    Refused,
    Reply,
    Request,
    decode_reply,
    encode_reply,
    encode_request,
    seal,
)
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from drivers.modbus.profile import Profile, load_profile, shipped
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.clock import FakeClock
from edge_agent.driver import Command, DeviceError, LinkTimeout, Quality, Reading, Record, Simulator, Site
from edge_agent.links import hostile
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort

SITE = Site()


class Bus:
    """A simulated bus with every question noted."""

    def __init__(self, *simulators: Simulator) -> None:
        self.clock = FakeClock()
        self.clean = SimulatedPort(simulators, self.clock)
        self.wire = hostile.Wire(self.clean)
        self.link = ByteLink("bus", lambda: self.wire, self.clock)
        self.link.open()
        self.asked: list[bytes] = []
        self.link.tap = lambda direction, data: self.asked.append(data) if direction == ">" else None


class Silent:
    """A device that answers reads from a simulator and keeps quiet about writes."""

    def __init__(self, device: ModbusSimulator) -> None:
        self._device = device

    def answer(self, request: bytes) -> bytes:
        """Act, but do not confirm."""
        answer = self._device.answer(request)
        return b"" if request[1] == Function.WRITE_REGISTER else answer

    def play(self) -> tuple[()]:
        """Nothing."""
        return ()


def options(profile: str, **keys: Any) -> ModbusOptions:
    """Options for unit 3."""
    return ModbusOptions.model_validate({"profile": profile, "address": 3, **keys})


def device(profile: str, now: float = 0.0, **keys: Any) -> tuple[ModbusDriver, ModbusSimulator]:
    """A driver and its simulator, standing at one moment."""
    given = options(profile, **keys)
    return ModbusDriver(given, SITE), ModbusSimulator(given, SITE, lambda: now)


def values(records: list[Record]) -> dict[str, object]:
    """Point -> value of readings."""
    return {record.point: record.value for record in records if isinstance(record, Reading)}


def test_a_sensor_is_read_in_one_question() -> None:
    """The XY-MD02 profile asks function 04 once for both registers."""
    driver, simulator = device("xy-md02")
    simulator.hold("temperature_c", -10.1)
    simulator.hold("humidity_pct", 65.8)
    bus = Bus(simulator)
    assert values(list(driver.poll(bus.link))) == {"temperature_c": -10.1, "humidity_pct": 65.8}
    assert bus.asked == [seal(bytes.fromhex("03 04 0001 0002"))]


def test_the_air_conditioner_tells_what_it_observes() -> None:
    """The RS-KTC-N01 profile reads climate, current and state; `commanded` is absent until something was ordered."""
    driver, simulator = device("rs-ktc-n01")
    assert values(list(driver.poll(Bus(simulator).link))) == {
        "humidity_pct": 52.0,
        "temperature_c": 26.5,
        "current_a": 4.6,
        "state": "cooling",
    }


@pytest.mark.parametrize("name", shipped())
def test_each_point_reads_its_own_address(name: str) -> None:
    """With every register filled with its own address, a point at a wrong address would show a wrong value."""
    driver, simulator = device(name)
    expected: set[Reading] = set()
    for point in load_profile(name).points:
        own = (0,) if point.flag else tuple(range(point.at.address, point.at.address + point.width))
        simulator.store(point.at, own)
        expected.add(point.read(own))
    assert {record for record in driver.poll(Bus(simulator).link) if isinstance(record, Reading)} == expected


@pytest.mark.parametrize("name", [name for name in shipped() if any(one.flag for one in load_profile(name).points)])
def test_each_bit_is_its_own(name: str) -> None:
    """With one bit of the device set at a time, exactly its point is true."""
    driver, simulator = device(name)
    bus = Bus(simulator)
    flags = [point for point in load_profile(name).points if point.flag]
    for point in flags:
        for other in flags:
            simulator.store(other.at, (int(other is point) << (point.bit.base if point.bit else 0),))
        polled = values(list(driver.poll(bus.link)))
        assert [one.name for one in flags if polled[one.name]] == [point.name]


@pytest.mark.parametrize("name", shipped())
def test_what_a_profile_simulates_is_believed(name: str) -> None:
    """The simulator of each profile holds values that its own plausibility checks accept, all day long."""
    for hour in range(24):
        driver, simulator = device(name, now=hour * 3600.0)
        readings = [record for record in driver.poll(Bus(simulator).link) if isinstance(record, Reading)]
        assert all(reading.quality is Quality.GOOD for reading in readings)
        assert [reading.point for reading in readings] == [
            point.name for block in load_profile(name).blocks for point in block.points
        ]


def test_an_implausible_value_is_reported_as_bad() -> None:
    """A value outside its range is a bad reading without a value; its neighbour is unharmed."""
    driver, simulator = device("xy-md02")
    simulator.store(load_profile("xy-md02").point[0].at, (3050,))
    first, second = driver.poll(Bus(simulator).link)
    assert isinstance(first, Reading)
    assert (first.value, first.quality) == (None, Quality.BAD)
    assert "305 °C is outside" in first.why
    assert isinstance(second, Reading)
    assert second.quality is Quality.GOOD


def test_neighbours_on_the_pair_do_not_disturb_each_other() -> None:
    """Two devices on one pair answer only to their own unit."""
    climate, climate_simulator = device("xy-md02", address=1)
    aircon, aircon_simulator = device("rs-ktc-n01")
    climate_simulator.hold("temperature_c", 19.0)
    bus = Bus(climate_simulator, aircon_simulator)
    assert values(list(climate.poll(bus.link)))["temperature_c"] == 19.0
    assert values(list(aircon.poll(bus.link)))["temperature_c"] == 26.5


def test_a_damaged_answer_is_asked_for_again_at_most_twice() -> None:
    """Damaged answers to a read cost at most three questions; then the driver reports what it asked and received."""
    driver, simulator = device("xy-md02")
    bus = Bus(simulator)
    bus.wire.port = hostile.Flips(bus.clean, one_in=1)
    with pytest.raises(DeviceError, match="function 04 address 1 count 2 of unit 3"):
        list(driver.poll(bus.link))
    assert len(bus.asked) == 3


def test_silence_is_never_asked_again() -> None:
    """A dead device costs one timeout a poll."""
    driver, _ = device("xy-md02", timeout="500ms")
    bus = Bus()
    start = bus.clock.monotonic()
    with pytest.raises(LinkTimeout):
        list(driver.poll(bus.link))
    assert len(bus.asked) == 1
    assert bus.clock.monotonic() - start == pytest.approx(0.5, abs=0.05)


def test_a_refusal_is_final_and_has_a_name() -> None:
    """Where every point is refused, none is asked twice, and that is a DeviceError by name and number."""
    driver, _ = device("rs-ktc-n01")
    _, other = device("xy-md02")
    bus = Bus(other)
    with pytest.raises(Refused, match=r"ILLEGAL DATA ADDRESS \(2\)") as caught:
        list(driver.poll(bus.link))
    assert caught.value.code == 2
    assert len(bus.asked) == len(set(bus.asked))


@pytest.mark.parametrize(
    ("command", "frame", "commanded"),
    [
        ("cool", "03 06 00b9 0001 980d", "cooling"),
        ("heat", "03 06 00ba 0001 680d", "heating"),
        ("off", "03 06 00bb 0001 39cd", "stopped"),
    ],
)
@pytest.mark.parametrize("echo", [False, True], ids=["no echo", "echo"])
def test_a_command_is_one_write_and_reported_apart(command: str, frame: str, commanded: str, *, echo: bool) -> None:
    """A command writes once, as in the published frames; `commanded` is told, and again with every poll."""
    driver, simulator = device("rs-ktc-n01")
    bus = Bus(simulator)
    bus.wire.port = hostile.Echo(bus.clean) if echo else bus.clean
    assert list(driver.act(bus.link, Command(command))) == [Reading("commanded", commanded, prompt=True)]
    assert [asked for asked in bus.asked if asked[1] == Function.WRITE_REGISTER] == [bytes.fromhex(frame)]
    polled = values(list(driver.poll(bus.link)))
    assert polled["commanded"] == commanded
    assert polled["state"] == commanded


def test_what_is_commanded_is_not_taken_for_what_is_observed() -> None:
    """If the unit does not obey, `state` goes on saying so."""
    driver, simulator = device("rs-ktc-n01")
    bus = Bus(simulator)
    list(driver.act(bus.link, Command("off")))
    simulator.hold("state", "cooling")
    polled = values(list(driver.poll(bus.link)))
    assert (polled["commanded"], polled["state"]) == ("stopped", "cooling")


@pytest.mark.parametrize("echo", [False, True], ids=["no echo", "echo"])
def test_an_unconfirmed_command_is_not_repeated_and_its_fate_is_open(*, echo: bool) -> None:
    """Without an answer to a write, an echo being none, the driver writes no second time; `commanded` turns bad."""
    driver, simulator = device("rs-ktc-n01")
    bus = Bus(Silent(simulator))
    bus.wire.port = hostile.Echo(bus.clean) if echo else bus.clean
    with pytest.raises(LinkTimeout):
        list(driver.act(bus.link, Command("cool")))
    assert sum(asked[1] == Function.WRITE_REGISTER for asked in bus.asked) == 1
    last = list(driver.poll(bus.link))[-1]
    assert isinstance(last, Reading)
    assert (last.point, last.value, last.quality) == ("commanded", None, Quality.BAD)
    assert "may or may not" in last.why


def test_nothing_is_ordered_from_a_device_that_does_not_listen() -> None:
    """A command to a dead device fails before anything is written."""
    driver, _ = device("rs-ktc-n01")
    bus = Bus()
    with pytest.raises(LinkTimeout):
        list(driver.act(bus.link, Command("cool")))
    assert all(asked[1] == Function.READ_HOLDING_REGISTERS for asked in bus.asked)


def test_a_refused_command_changes_nothing() -> None:
    """If the device refuses the write, the command fails and what was commanded before still holds."""
    driver, simulator = device("rs-ktc-n01")
    bus = Bus(simulator)
    list(driver.act(bus.link, Command("cool")))

    class Refusing(Silent):
        def answer(self, request: bytes) -> bytes:
            if request[1] == Function.WRITE_REGISTER:
                return encode_reply(Reply(3, Function.WRITE_REGISTER, exception=4))
            return super().answer(request)

    bus.wire.port = SimulatedPort([Refusing(simulator)], bus.clock)
    with pytest.raises(Refused, match="SERVER DEVICE FAILURE"):
        list(driver.act(bus.link, Command("off")))
    assert values(list(driver.poll(bus.link)))["commanded"] == "cooling"


@pytest.mark.parametrize(
    ("profile", "command", "complaint"),
    [
        ("rs-ktc-n01", Command("defrost"), "knows cool, heat, off"),
        ("rs-ktc-n01", Command("cool", {"to": 20}), "to: Extra inputs are not permitted"),
        ("xy-md02", Command("cool"), "knows no commands"),
    ],
)
def test_an_unknown_command_is_refused_before_the_wire(profile: str, command: Command, complaint: str) -> None:
    """What the profile does not list is refused, with what it does list, and nothing is sent."""
    driver, simulator = device(profile)
    bus = Bus(simulator)
    with pytest.raises(DeviceError, match=complaint):
        list(driver.act(bus.link, command))
    assert bus.asked == []


def test_no_value_survives_heavy_damage() -> None:
    """Of 400 polls with one byte in four disturbed, those that succeed are right."""
    driver, simulator = device("rs-ktc-n01")
    bus = Bus(simulator)
    truth = list(driver.poll(bus.link))
    bus.wire.port = hostile.Flips(bus.clean, one_in=4, seed=5)
    seen = 0
    for _ in range(400):
        records: list[Record] = []
        try:
            records.extend(driver.poll(bus.link))
        except DeviceError:
            continue
        finally:
            assert set(records) <= set(truth)
            seen += len(records)
    assert seen


@pytest.mark.parametrize("noise", [b"", b"\x03\x03\x02" * 4], ids=["clean", "noisy"])
def test_late_answers_never_cross_between_addresses(noise: bytes) -> None:
    """With each register holding its own address, 300 polls over a wire of late answers report no wrong address."""
    driver, simulator = device("rs-ktc-n01")
    for point in load_profile("rs-ktc-n01").point:
        simulator.store(point.at, (point.at.address,))
    bus = Bus(simulator)
    truth = set(driver.poll(bus.link))
    lateness = random.Random(7)
    holds = [lateness.choice([0, 0, 1, 2, 3]) for _ in range(3000)]
    bus.wire.port = hostile.Noise(hostile.Held(bus.clean, bus.clock, holds), noise)
    complete = 0
    for _ in range(300):
        records: list[Record] = []
        try:
            records.extend(driver.poll(bus.link))
            complete += 1
        except (LinkTimeout, DeviceError):
            continue
        finally:
            assert set(records) <= truth
    assert complete


ASK = Request(3, Function.READ_HOLDING_REGISTERS, 0, 2)


@pytest.mark.parametrize(
    ("request_", "exception"),
    [
        (encode_request(Request(3, Function.READ_HOLDING_REGISTERS, 2, 1)), 2),
        (encode_request(Request(3, Function.READ_HOLDING_REGISTERS, 1, 2)), 2),
        (encode_request(Request(3, Function.READ_INPUT_REGISTERS, 0, 1)), 2),
        (encode_request(Request(3, Function.WRITE_REGISTERS, 0xB9, 1, (1,))), 1),
        (seal(bytes.fromhex("03 03 0000 0000")), 3),
    ],
    ids=["beyond the map", "across its end", "other area", "function", "count"],
)
def test_the_simulator_refuses_as_a_device_does(request_: bytes, exception: int) -> None:
    """Illegal function, address and count get the exceptions 1, 2 and 3."""
    _, simulator = device("rs-ktc-n01")
    assert decode_reply(simulator.answer(request_)).exception == exception


def test_the_simulator_keeps_quiet_for_others() -> None:
    """Another unit's question, broken or not, noise and broadcasts get no answer; it never speaks unasked."""
    _, simulator = device("rs-ktc-n01")
    other = Request(4, Function.READ_HOLDING_REGISTERS, 0, 2)
    broken = seal(bytes.fromhex("04 03 0000 0000"))
    for heard in (encode_request(other), broken, b"noise", encode_request(ASK)[:-1]):
        assert simulator.answer(heard) == b""
    assert list(simulator.play()) == []


def test_the_simulator_finds_its_question_in_noise() -> None:
    """Noise around a question does not keep the simulator from answering it."""
    _, simulator = device("rs-ktc-n01")
    asked = encode_request(ASK)
    assert simulator.answer(b"\xff" + asked + b"\x00") == simulator.answer(asked) != b""


def test_the_simulator_keeps_what_is_written(tmp_path: Path) -> None:
    """A coil or register written reads back; a coil takes FF00 and 0000 and refuses anything else."""
    file = tmp_path / "relay.toml"
    file.write_text(
        'title = "relay"\nevidence = "none"\ntier = "sketch"\n'
        '[[point]]\nname = "relay"\nat = "coil:0"\n'
        '[command.on]\nwrite = "coil:0"\nvalue = 1\ncommanded = "on"\n'
        '[command.off]\nwrite = "coil:0"\nvalue = 0\ncommanded = "off"\n',
        encoding="utf-8",
    )
    driver, simulator = device(str(file))
    bus = Bus(simulator)
    for command, state in (("on", True), ("off", False)):
        list(driver.act(bus.link, Command(command)))
        assert values(list(driver.poll(bus.link))) == {"relay": state, "commanded": command}
    strange = encode_request(Request(3, Function.WRITE_COIL, 0, 1, (0xF100,)))
    assert decode_reply(simulator.answer(strange)).exception == 3


def test_a_device_answering_under_another_unit_is_read_by_its_quirk(tmp_path: Path) -> None:
    """With `reply_unit` in its profile, a device asked as 0x03 and answering as 0x51 is read."""
    file = tmp_path / "odd.toml"
    file.write_text(
        'title = "odd"\nevidence = "none"\ntier = "sketch"\nquirks = { reply_unit = 0x51 }\n'
        '[[point]]\nname = "p"\nat = "holding:0"\nsim = { value = 7 }\n',
        encoding="utf-8",
    )
    driver, simulator = device(str(file))

    class Renamed(Silent):
        def answer(self, request: bytes) -> bytes:
            answer = super().answer(request)
            return seal(b"\x51" + answer[1:-2])

    assert values(list(driver.poll(Bus(Renamed(simulator)).link))) == {"p": 7}
    assert load_profile(str(file)).reply_unit == 0x51
    alone = Profile.model_validate(load_profile("xy-md02").model_dump() | {"quirks": {"reply_unit_any": True}})
    assert alone.reply_unit == "any"
