"""What profiles can express beyond single registers: slots, bits, lists, text, alarms, rates, writes, smaller reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.modbus.codec import Function, Refused, Reply, Request, decode_request, encode_reply
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from drivers.modbus.place import parse_linear
from drivers.modbus.point import Point
from drivers.modbus.profile import Profile
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.clock import FakeClock
from edge_agent.driver import Alarm, Command, DeviceError, Json, Quality, Reading, Record, Simulator, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort

HEAD = 'title = "t"\nevidence = "e"\ntier = "sketch"\n'
CABINET = """
max_reg_hole = 20
max_read_registers = 60

[[point]]
name   = "door"
slots  = 12
at     = "holding:5"
bit    = "slot-1"
states = { 0 = "closed", 1 = "open" }
prompt = true

[[point]]
name   = "battery_present"
slots  = 12
at     = "discrete:0 + (slot-1)*1"
alarms = { 1 = "smoke" }

[[point]]
name  = "soc_pct"
slots = 12
at    = "holding:100 + (slot-1)*20"
valid = [0, 100]

[command.open]
write     = "coil:0x10 + (slot-1)*1"
slots     = 12
value     = 1
commanded = "open"
"""


class Bench:
    """A driver and a simulator of one profile, and every question asked."""

    def __init__(self, folder: Path, text: str, device: Simulator | None = None) -> None:
        file = folder / f"{abs(hash(text))}.toml"
        file.write_text(HEAD + text, encoding="utf-8")
        self.options = ModbusOptions.model_validate({"profile": str(file), "address": 7})
        self.driver = ModbusDriver(self.options, Site())
        self.simulator = ModbusSimulator(self.options, Site(), lambda: 0.0)
        self.clock = FakeClock()
        self.port = SimulatedPort([device or self.simulator], self.clock)
        self.link = ByteLink("pair", lambda: self.port, self.clock)
        self.link.open()
        self.asked: list[Request] = []
        self.link.tap = lambda way, data: self.asked.append(decode_request(data)) if way == ">" else None

    def poll(self) -> list[Record]:
        """Poll once."""
        return list(self.driver.poll(self.link))

    def values(self) -> dict[str, object]:
        """Poll once: point -> value."""
        return {record.point: record.value for record in self.poll() if isinstance(record, Reading)}

    def act(self, name: str, **args: Json) -> list[Record]:
        """Carry out a command."""
        return list(self.driver.act(self.link, Command(name, args)))


def point(**keys: Any) -> Point:
    """A point at holding register 0."""
    return Point.model_validate({"name": "p", "at": "holding:0", **keys})


@pytest.mark.parametrize(
    ("text", "slot_1", "slot_3"),
    [
        ("100", 100, 100),
        ("0x64 + (slot-1)*20", 100, 140),
        ("100+( slot - 1 ) * 0x14", 100, 140),
        ("7 + (slot-1)", 7, 9),
        ("slot-1", 0, 2),
        ("slot", 1, 3),
    ],
)
def test_a_place_may_depend_on_the_slot(text: str, slot_1: int, slot_3: int) -> None:
    """`base + (slot-1)*stride` and its short forms give each slot its own number."""
    linear = parse_linear(text)
    assert linear is not None
    assert (linear.at(1), linear.at(3)) == (slot_1, slot_3)


@given(st.text(max_size=20))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    """Anything that is not such an expression is simply none."""
    parse_linear(text)


def test_a_whole_cabinet_is_read_by_a_profile(tmp_path: Path) -> None:
    """Points with slots become one point a slot, those of bits share their register, and the reads stay few."""
    bench = Bench(tmp_path, CABINET)
    bench.simulator.hold("slot_03_door", "open")
    bench.simulator.hold("slot_12_soc_pct", 87)
    bench.simulator.hold("slot_02_battery_present", value=True)
    values = bench.values()
    assert len(values) == 36
    assert [slot for slot in range(1, 13) if values[f"slot_{slot:02}_door"] == "open"] == [3]
    assert [slot for slot in range(1, 13) if values[f"slot_{slot:02}_soc_pct"]] == [12]
    assert values["slot_12_soc_pct"] == 87
    assert values["slot_02_battery_present"] is True
    assert len(bench.asked) == 6


def test_a_bit_beyond_the_register_lies_in_the_next(tmp_path: Path) -> None:
    """With more than 16 slots in bits, slot 17 is the lowest bit of the following register."""
    bench = Bench(tmp_path, '[[point]]\nname = "door"\nslots = 20\nat = "input:5"\nbit = "slot-1"\n')
    bench.simulator.hold("slot_17_door", value=True)
    values = bench.values()
    assert [name for name, value in values.items() if value] == ["slot_17_door"]
    assert [(asked.address, asked.count) for asked in bench.asked] == [(5, 2)]


def test_a_slot_is_commanded_by_its_number(tmp_path: Path) -> None:
    """A command with slots writes the place of the slot given, once, and tells of that slot."""
    bench = Bench(tmp_path, CABINET)
    assert bench.act("open", slot=3) == [Reading("slot_03_commanded", "open", prompt=True)]
    assert bench.asked[-1] == Request(7, Function.WRITE_COIL, 0x12, 1, (0xFF00,))


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ({}, "slot: Field required"),
        ({"slot": 0}, "slot: .* greater than or equal to 1"),
        ({"slot": 13}, "slot: .* less than or equal to 12"),
        ({"slot": "3"}, "slot: .* valid integer"),
        ({"slot": True}, "slot: .* valid integer"),
        ({"slot": 1, "force": True}, "force: Extra inputs"),
    ],
)
def test_a_slot_that_is_none_writes_nothing(tmp_path: Path, args: dict[str, Json], complaint: str) -> None:
    """Wrong arguments are refused before the wire."""
    bench = Bench(tmp_path, CABINET)
    with pytest.raises(DeviceError, match=complaint):
        bench.act("open", **args)
    assert bench.asked == []


WRITES = """
[[point]]
name = "p"
at   = "holding:20"

[command.setpoint]
write    = "holding:20"
argument = { name = "setpoint_c", min = 16, max = 30, scale = 0.5 }
point    = "commanded_setpoint_c"

[command.limit]
write     = "holding:30"
argument  = { name = "limit_w", min = 0, max = 100000, type = "u32", word_order = "CDAB" }

[command.single]
write     = "holding:20"
value     = 9
function  = 16
commanded = 9

[command.all_on]
write     = "coil:0"
values    = [1, 1, 0, 1]
commanded = "on"
"""


@pytest.mark.parametrize(
    ("command", "args", "written", "told"),
    [
        ("setpoint", {"setpoint_c": 26}, (Function.WRITE_REGISTER, 20, (52,)), ("commanded_setpoint_c", 26)),
        ("limit", {"limit_w": 70000}, (Function.WRITE_REGISTERS, 30, (4464, 1)), ("commanded", 70000)),
        ("single", {}, (Function.WRITE_REGISTERS, 20, (9,)), ("commanded", 9)),
        ("all_on", {}, (Function.WRITE_COILS, 0, (1, 1, 0, 1)), ("commanded", "on")),
    ],
)
def test_every_write_function_is_spoken(
    tmp_path: Path, command: str, args: dict[str, Json], written: tuple[Function, int, Any], told: tuple[str, Json]
) -> None:
    """Functions 05, 06, 0F and 10 are written as the profile lists them, arguments scaled into registers."""
    bench = Bench(tmp_path, WRITES)
    (record,) = bench.act(command, **args)
    assert isinstance(record, Reading)
    assert (record.point, record.value) == told
    (write,) = [asked for asked in bench.asked if asked.function is not Function.READ_HOLDING_REGISTERS]
    assert (write.function, write.address, write.values) == written


@pytest.mark.parametrize("given", [15.5, 31, "26", True, None])
def test_an_argument_out_of_range_writes_nothing(tmp_path: Path, given: Json) -> None:
    """Only a number within the range of the profile is sent."""
    bench = Bench(tmp_path, WRITES)
    with pytest.raises(DeviceError, match="setpoint_c: Input should be"):
        bench.act("setpoint", setpoint_c=given)
    assert bench.asked == []


class Picky:
    """A device that has only some registers, and refuses every read that touches another."""

    def __init__(self, has: Iterable[int], code: int = 2) -> None:
        self.has = set(has)
        self.code = code

    def answer(self, request: bytes) -> bytes:
        """Answer with the address as the value."""
        asked = decode_request(request)
        places = range(asked.address, asked.address + asked.count)
        if self.has.issuperset(places):
            return encode_reply(Reply(asked.unit, asked.function, tuple(places)))
        return encode_reply(Reply(asked.unit, asked.function, exception=self.code))

    def play(self) -> tuple[()]:
        """Nothing."""
        return ()


def registers(*addresses: int, **keys: Any) -> str:
    """A profile of plain registers."""
    head = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return head + "".join(f'[[point]]\nname = "r{address}"\nat = "holding:{address}"\n' for address in addresses)


@pytest.mark.parametrize("code", [2, 3])
def test_a_refused_read_is_taken_apart_and_stays_so(tmp_path: Path, code: int) -> None:
    """A joined read that spans a hole which the device does not have becomes two, remembered for the next poll."""
    bench = Bench(tmp_path, registers(0, 1, 4, 5), Picky([0, 1, 4, 5], code))
    assert bench.values() == {"r0": 0, "r1": 1, "r4": 4, "r5": 5}
    assert [(asked.address, asked.count) for asked in bench.asked] == [(0, 6), (0, 2), (4, 2)]
    bench.asked.clear()
    assert len(bench.values()) == 4
    assert [(asked.address, asked.count) for asked in bench.asked] == [(0, 2), (4, 2)]


def test_a_register_that_a_device_does_not_have_is_bad_alone(tmp_path: Path) -> None:
    """A point refused by itself is bad with the reason; all others keep their values."""
    bench = Bench(tmp_path, registers(0, 1, 2, 3), Picky([0, 1, 3]))
    records = {record.point: record for record in bench.poll() if isinstance(record, Reading)}
    assert {name: record.value for name, record in records.items()} == {"r0": 0, "r1": 1, "r2": None, "r3": 3}
    assert records["r2"].quality is Quality.BAD
    assert "ILLEGAL DATA ADDRESS" in records["r2"].why


def test_a_device_that_refuses_everything_is_refused_whole(tmp_path: Path) -> None:
    """A wrong profile is an error, not a device with only bad points; once it has its registers, all is well."""
    picky = Picky([])
    bench = Bench(tmp_path, registers(0, 1), picky)
    with pytest.raises(Refused):
        bench.poll()
    picky.has = {0, 1}
    bench.asked.clear()
    assert bench.values() == {"r0": 0, "r1": 1}
    assert len(bench.asked) == 1


def test_other_refusals_are_not_taken_apart(tmp_path: Path) -> None:
    """A busy device is asked again next time, not in smaller pieces."""
    bench = Bench(tmp_path, registers(0, 1), Picky([], 6))
    with pytest.raises(Refused, match="BUSY"):
        bench.poll()
    assert len(bench.asked) == 1


@given(have=st.sets(st.integers(0, 30), min_size=1), points=st.sets(st.integers(0, 30), min_size=1))
def test_whatever_a_device_lacks_the_rest_is_read(
    tmp_path_factory: pytest.TempPathFactory, have: set[int], points: set[int]
) -> None:
    """For any map and any gaps in the device, exactly the registers that it has are read, each from its address."""
    bench = Bench(tmp_path_factory.mktemp("map"), registers(*sorted(points), max_reg_hole=8), Picky(have))
    try:
        found = bench.values()
    except Refused:
        found = {}
    assert {name: value for name, value in found.items() if value is not None} == {
        f"r{address}": address for address in points & have
    }


def test_a_jump_too_fast_is_not_believed_until_it_lasts(tmp_path: Path) -> None:
    """A change beyond `max_rate` is bad with the reason; the same value later, when it may be true, is good."""
    bench = Bench(tmp_path, '[[point]]\nname = "t_c"\nat = "input:0"\nunit = "°C"\nmax_rate = 2\n')

    def polled() -> Reading:
        (record,) = bench.poll()
        assert isinstance(record, Reading)
        return record

    bench.simulator.hold("t_c", 20)
    assert polled().value == 20
    bench.clock.advance(5.0)
    bench.simulator.hold("t_c", 25)
    assert polled().value == 25
    bench.clock.advance(5.0)
    bench.simulator.hold("t_c", 65)
    record = polled()
    assert (record.value, record.quality) == (None, Quality.BAD)
    assert "25 to 65 °C in 5.0 s is faster than 2 a second" in record.why
    bench.clock.advance(16.0)
    assert polled().value == 65


def test_bits_states_and_flags_raise_alarms(tmp_path: Path) -> None:
    """An alarm is active while any of its points says so, and what cannot be believed neither raises nor clears it."""
    text = """
[[point]]
name   = "faults"
at     = "holding:0"
bits   = { 0 = "fan", 3 = "heater" }
alarms = { 3 = "device_fault" }

[[point]]
name         = "state"
at           = "holding:1"
error_values = [0xFFFF]
states       = { 0 = "well", 7 = "broken" }
alarms       = { 7 = "device_fault", 9 = "lock_fault" }

[[point]]
name   = "smoke"
at     = "discrete:0"
alarms = { 1 = "smoke" }
"""
    bench = Bench(tmp_path, text)

    def alarms() -> dict[str, bool]:
        return {record.code: record.active for record in bench.poll() if isinstance(record, Alarm)}

    assert alarms() == {"device_fault": False, "lock_fault": False, "smoke": False}
    bench.simulator.hold("faults", 0b1000)
    bench.simulator.hold("smoke", value=True)
    assert alarms() == {"device_fault": True, "lock_fault": False, "smoke": True}
    bench.simulator.hold("faults", 0)
    bench.simulator.hold("state", "broken")
    assert alarms()["device_fault"] is True
    bench.simulator.store(point(at="holding:1").at, (0xFFFF,))
    assert alarms() == {"device_fault": False, "smoke": True}


@pytest.mark.parametrize(
    ("keys", "words", "value"),
    [
        ({"type": "bcd16"}, (0x1234,), 1234),
        ({"type": "bcd32", "scale": 0.01}, (0x0012, 0x3456), 1234.56),
        ({"type": "bcd16"}, (0x12A4,), None),
        ({"type": "u64"}, (0, 1, 0, 2), 2**32 + 2),
        ({"type": "s64", "word_order": "CDAB"}, (0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF), -2),
        ({"type": "u32", "word_order": "BADC"}, (0x0100, 0x0200), 0x00010002),
        ({"type": "u32", "word_order": "DCBA"}, (0x0200, 0x0100), 0x00010002),
        ({"type": "s16", "scale": -0.1}, (123,), -12.3),
        ({"count": 3, "scale": 0.001, "valid": [2, 4.5]}, (3300, 3301, 3302), (3.3, 3.301, 3.302)),
        ({"count": 3, "error_values": [2731], "scale": 0.1, "offset": -273.1}, (2981, 2731, 2991), (25.0, 26.0)),
        ({"count": 2, "valid": [0, 10]}, (3, 11), None),
        ({"count": 2, "type": "u32"}, (0, 1, 0, 2), (1, 2)),
        ({"type": "text", "length": 3}, (0x4142, 0x2D31, 0), "AB-1"),
        ({"type": "text", "length": 2, "word_order": "BADC"}, (0x4241, 0x2020), "AB"),
        ({"type": "text", "length": 2}, (0x4101, 0x4200), None),
        ({"bit": 3}, (0b1000,), True),
        ({"bit": 3, "states": {"1": "open", "0": "closed"}}, (0b0111,), "closed"),
        ({"at": "coil:1", "states": {"1": "open", "0": "closed"}}, (1,), "open"),
        ({"states": {"0x55": "off", "170": "on"}}, (85,), "off"),
    ],
)
def test_registers_of_every_kind(keys: dict[str, Any], words: tuple[int, ...], value: object) -> None:
    """BCD, 64 bits, byte orders, lists, text, single bits and hexadecimal states become values, or bad readings."""
    reading = point(**keys).read(words)
    assert reading.value == value
    assert (reading.quality is Quality.GOOD) == (value is not None)


@given(st.data())
def test_any_registers_give_a_value_or_a_reason(data: st.DataObject) -> None:
    """Whatever stands in the registers, each kind of point gives a good value or a bad reading that says why."""
    kind = data.draw(st.sampled_from(["u16", "s32", "u64", "f32", "f64", "bcd16", "bcd32", "text"]))
    order = data.draw(st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]))
    count = data.draw(st.integers(1, 3)) if kind != "text" else 1
    one = point(type=kind, word_order=order, count=count)
    reading = one.read(tuple(data.draw(st.lists(st.integers(0, 65535), min_size=one.width, max_size=one.width))))
    assert (reading.value is None) == (reading.quality is Quality.BAD) == bool(reading.why)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"slots": 12}, "all slots would read one place"),
        ({"at": "holding:1 + (slot-1)*2"}, "add slots"),
        ({"at": "holding:65000 + (slot-1)*100", "slots": 12}, "beyond 65535"),
        ({"bit": "slots"}, "not a bit number"),
        ({"at": "coil:1", "bit": 1}, "is a bit already"),
        ({"alarms": {"1": "nonsense"}}, "not a known alarm"),
        ({"length": 4}, 'type = "text"'),
        ({"type": "u64", "count": 60}, "at most 125"),
        ({"type": "f32", "alarms": {"1": "smoke"}}, "one whole number"),
        ({"valid": [10, 0]}, "lowest value first"),
        ({"scale": 0}, "every value 0"),
        ({"type": "text", "max_rate": 1}, "needs a number"),
    ],
)
def test_a_slip_in_the_newer_keys_is_refused(keys: dict[str, Any], complaint: str) -> None:
    """What cannot be meant is refused with what is wrong."""
    with pytest.raises(ValidationError, match=complaint):
        point(**keys)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"write": "coil:0", "value": 2, "commanded": "x"}, "0 or 1"),
        ({"write": "coil:0", "commanded": "x"}, "exactly one"),
        ({"write": "coil:0", "value": 1}, "say what is ordered"),
        ({"write": "coil:0", "value": 1, "commanded": "x", "function": 6}, "function 5 or 15"),
        ({"write": "holding:0", "values": [1, 2], "commanded": "x", "function": 6}, "writes one value"),
        ({"write": "holding:0", "value": 1, "commanded": "x", "slots": 3}, "belong together"),
        ({"write": "input:0", "value": 1, "commanded": "x"}, "only coils and holding"),
        ({"write": "holding:0", "argument": {"name": "slot", "min": 0, "max": 1}}, "are taken"),
        ({"write": "holding:0", "value": 1, "commanded": "x", "back": {"max": 5}}, "only a single coil"),
        ({"write": "coil:0", "values": [1, 1], "commanded": "x", "back": {"max": 5}}, "only a single coil"),
    ],
)
def test_a_slip_in_a_command_is_refused(keys: dict[str, Any], complaint: str) -> None:
    """A command that no device could be sent is refused."""
    base = {"title": "t", "evidence": "e", "tier": "sketch", "point": [{"name": "p", "at": "coil:0"}]}
    with pytest.raises(ValidationError, match=complaint):
        Profile.model_validate(base | {"command": {"go": keys}})


@pytest.mark.parametrize(
    ("profile", "address", "complaint"),
    [
        ("relay-lctech-4", 255, "a broadcast would reach every device"),
        ("pzem-016", 0xF8, "take 1 to 247"),
        ("xy-md02", 0, "greater than or equal to 1"),
    ],
)
def test_a_broadcast_is_no_address(profile: str, address: int, complaint: str) -> None:
    """Units that reach more than one device are refused in the station file."""
    with pytest.raises(ValidationError, match=complaint):
        ModbusOptions.model_validate({"profile": profile, "address": address})


def test_a_greeting_at_power_up_costs_one_answer() -> None:
    """A board that prints text into its first answer is asked again; what follows is one write and no second."""
    options = ModbusOptions.model_validate({"profile": "relay-lctech-4", "address": 9})
    simulator = ModbusSimulator(options, Site())
    clock = FakeClock()
    link = ByteLink("pair", lambda: SimulatedPort([simulator], clock), clock)
    link.open()
    sent: list[bytes] = []
    link.tap = lambda way, data: sent.append(data) if way == ">" else None
    driver = ModbusDriver(options, Site())
    assert list(driver.act(link, Command("on_2"))) == [Reading("commanded_2", "on", prompt=True)]
    assert [decode_request(frame).function for frame in sent] == [1, 1, 5]
    values = {record.point: record.value for record in driver.poll(link) if isinstance(record, Reading)}
    assert [name for name, value in values.items() if value is True] == ["relay_2"]


def test_a_device_gets_the_silence_it_needs(tmp_path: Path) -> None:
    """With a guard in its profile, at least so long a pause precedes each of its questions."""
    bench = Bench(tmp_path, 'guard = "50ms"\nmax_reg_hole = 0\n' + registers(0, 9))
    times: list[float] = []
    bench.link.tap = lambda way, _data: times.append(bench.clock.monotonic())
    bench.poll()
    _, answered, asked, _ = times
    assert asked - answered == pytest.approx(0.05)
