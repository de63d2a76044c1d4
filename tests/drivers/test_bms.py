"""Batteries of every family: values that cannot be true, serial numbers, alarms, and twelve on a pair."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from drivers.bms import DRIVER
from drivers.bms import codec_dd as dd
from drivers.bms import codec_up as up
from drivers.bms.driver import Bms
from drivers.bms.options import BmsOptions
from drivers.bms.pack import Pack
from drivers.bms.simulator import BmsSimulator, SimulatedBattery
from edge_agent.clock import FakeClock
from edge_agent.driver import Alarm, DeviceError, Driver, LinkTimeout, Quality, Reading, Record, Site
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.simulated import SimulatedPort
from tests.drivers import vectors

FOLDER = Path(dd.__file__).parent / "vectors"
DD = list(vectors.load(FOLDER / "bms_jbd.jsonl"))
PROTOCOLS: dict[str, dict[str, object]] = {
    "dd": {},
    "up": {"framing": "up", "address": 7},
    "a5": {"family": "daly"},
    "modbus": {"family": "daly", "framing": "modbus", "address": 2},
    "pylontech": {"family": "ydt1363", "dialect": "pylontech", "address": 2},
    "pace": {"family": "ydt1363", "dialect": "pace", "address": 1},
    "eg4": {"family": "ydt1363", "dialect": "eg4", "address": 1},
    "seplos": {"family": "ydt1363", "dialect": "seplos", "address": 0},
    "auto": {"family": "ydt1363", "dialect": "auto", "address": 3},
    "seplos_v3": {"family": "seplos_v3", "address": 0},
    "jk": {"family": "jk"},
}
PROTECTION = {"pylontech": "pack_over_voltage", "jk": "cell_over_voltage"}
"""A protection that a protocol can tell, where it cannot tell a short circuit."""
HARMLESS = {"dd": "mosfet_software_lock", "up": "full_charge", "pace": "full_charge", "jk": "low_capacity"}
"""What looks like a protection and is none, where a protocol has such."""


class Bench:
    """One battery slot on a wire; `spoil` changes what comes back."""

    def __init__(self, options: dict[str, object], name: str = "") -> None:
        self.name = name
        self.options = BmsOptions.model_validate(options)
        self.slot = BmsSimulator(self.options, Site())
        self.driver = Bms(self.options, Site())
        self.clock = FakeClock()
        self.spoil: Callable[[bytes], bytes] = bytes
        self.requests: list[bytes] = []
        self.link = ByteLink("wire", lambda: SimulatedPort([self], self.clock), self.clock)
        self.link.open()

    def answer(self, request: bytes) -> bytes:
        """Stand between the wire and the slot."""
        self.requests.append(request)
        return self.spoil(self.slot.answer(request))

    def play(self) -> tuple[()]:
        """Nothing comes unasked."""
        return ()

    def poll(self) -> list[Record]:
        """Poll once."""
        return list(self.driver.poll(self.link))

    def readings(self) -> dict[str, Reading]:
        """Poll once; the readings by point."""
        return {record.point: record for record in self.poll() if isinstance(record, Reading)}

    def alarms(self) -> dict[str, bool]:
        """Poll once; the alarms."""
        return {record.code: record.active for record in self.poll() if isinstance(record, Alarm)}


@pytest.fixture(name="bench", params=PROTOCOLS)
def bench_of_each_framing(request: pytest.FixtureRequest) -> Bench:
    """A bench for each protocol."""
    return Bench(dict(PROTOCOLS[request.param]), request.param)


def test_is_a_driver(bench: Bench) -> None:
    """The package offers a polled device."""
    assert DRIVER is Bms
    assert isinstance(bench.driver, Driver)


def test_points(bench: Bench) -> None:
    """A battery gives the normalised points; + is charging."""
    bench.slot.insert("SN1", 40.0, temp_c=31.0, current_a=5.5)
    readings = bench.readings()
    expected = {"current_a": 5.5, "soc_pct": 40.0, "remaining_ah": 8.0, "full_ah": 20.0, "cycles": 12}
    assert {point: readings[point].value for point in expected if point in readings} == {
        point: value for point, value in expected.items() if point in readings
    }
    assert readings.keys() >= {"soc_pct", "cycles", "charge_mos", "temps_c", "sn", "over_temp"}
    temps = readings["temps_c"].value
    assert isinstance(temps, tuple)
    assert temps[:2] in {(31.0, 30.5), (31.0, 30.0)}
    assert readings["cells_v"].value == tuple(round(3.22 + 0.001 * (n % 3), 3) for n in range(16))
    assert readings["voltage_v"].value == pytest.approx(51.54, abs=0.05)
    assert readings["charge_mos"].value is True
    if bench.name != "modbus":
        assert readings["protections"].value == ()
    assert all(reading.quality is Quality.GOOD for reading in readings.values())
    bench.slot.measure(soc_pct=39.0, temp_c=-12.0, current_a=-3.2)
    readings = bench.readings()
    assert readings["current_a"].value == -3.2
    assert isinstance(readings["temps_c"].value, tuple)
    assert readings["temps_c"].value[0] == -12.0


def test_absent_battery_costs_one_timeout(bench: Bench) -> None:
    """An empty slot is one question and no retry."""
    bench.slot.remove()
    with pytest.raises(LinkTimeout):
        bench.poll()
    assert len(bench.requests) == (3 if bench.name == "auto" else 1)


def test_garbled_answers_are_asked_again_twice(bench: Bench) -> None:
    """Two garbled answers are survived, a third gives up; the next clean poll recovers."""
    garbled = iter([True, True])
    bench.spoil = lambda answer: answer[:-3] + b"\x00\x01\x02" if next(garbled, False) else answer
    assert bench.readings()["soc_pct"].value == 80.0
    bench.spoil = lambda answer: answer[:-3] + b"\x00\x01\x02"
    before = len(bench.requests)
    with pytest.raises(DeviceError):
        bench.poll()
    assert len(bench.requests) == before + 3
    bench.spoil = bytes
    assert bench.readings()["soc_pct"].value == 80.0


def test_nothing_false_from_a_noisy_wire(bench: Bench) -> None:
    """With answers damaged again and again, every value told is a true one."""
    chance = random.Random(5)
    truth = {point: reading.value for point, reading in bench.readings().items()}

    def spoil(answer: bytes) -> bytes:
        return bytes(byte ^ chance.randrange(1, 256) if chance.random() < 1 / 150 else byte for byte in answer)

    bench.spoil = spoil
    good = 0
    for _ in range(150):
        try:
            told = bench.readings()
        except (DeviceError, LinkTimeout):
            continue
        good += 1
        assert {point: value for point, value in truth.items() if point != "sn"} == {
            point: reading.value for point, reading in told.items() if point != "sn"
        }
        assert told["sn"].value in {truth["sn"], None}
    assert good > 20


def test_twelve_batteries_on_one_pair() -> None:
    """UP boards with different addresses share a pair and are told apart; one taken leaves the others."""
    clock = FakeClock()
    all_options = [BmsOptions(framing="up", address=address) for address in range(1, 13)]
    slots = [BmsSimulator(options, Site()) for options in all_options]
    for number, slot in enumerate(slots, start=1):
        slot.insert(f"SN{number}", 50.0 + number)
    link = ByteLink("pair", lambda: SimulatedPort(slots, clock), clock)
    link.open()
    drivers = [Bms(options, Site()) for options in all_options]
    slots[4].remove()
    started = clock.monotonic()
    for number, driver in enumerate(drivers, start=1):
        if number == 5:
            with pytest.raises(LinkTimeout):
                list(driver.poll(link))
            continue
        told = {record.point: record.value for record in driver.poll(link) if isinstance(record, Reading)}
        assert (told["sn"], told["soc_pct"]) == (f"SN{number}", 50.0 + number)
    assert clock.monotonic() - started < 10


def test_serial_is_asked_for_once() -> None:
    """The serial number is read when a battery appears and then only now and then."""
    bench = Bench(dict(PROTOCOLS["up"]))
    assert bench.readings()["sn"].value == "SIM00007"
    before = len(bench.requests)
    for _ in range(5):
        assert bench.readings()["sn"].value == "SIM00007"
    assert len(bench.requests) == before + 5


def test_serial_of_the_next_battery() -> None:
    """Nothing of the battery before is said of the next one, whether its absence was noticed or not."""
    bench = Bench(dict(PROTOCOLS["up"]))
    bench.poll()
    bench.slot.remove()
    with pytest.raises(LinkTimeout):
        bench.poll()
    bench.slot.insert("NEXT", 80.0)
    assert bench.readings()["sn"].value == "NEXT"
    bench.slot.insert("QUICK", 15.0)
    assert bench.readings()["sn"].value == "QUICK"
    bench.slot.insert("TWIN", 15.0)
    told = [bench.readings()["sn"].value for _ in range(11)]
    assert told[-1] == "TWIN"


def test_board_that_keeps_its_serial() -> None:
    """A board that answers for its status only is no dead board; it is asked for its serial three times."""
    bench = Bench(dict(PROTOCOLS["up"]))
    status = up.request(7, up.STATUS)
    bench.spoil = lambda answer: answer if bench.requests[-1] == status else b""
    for _ in range(6):
        readings = bench.readings()
        assert readings["sn"].value is None
        assert readings["soc_pct"].value == 80.0
    assert len([request for request in bench.requests if request != status]) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"serial_from": "label"}, "SIM00001"),
        ({}, None),
        ({"framing": "up", "address": 1, "serial_from": "label"}, "JBD48100000"),
        ({"framing": "up", "address": 1, "serial_from": "none"}, None),
        ({"framing": "up", "address": 1}, "SIM00001"),
        ({"family": "daly"}, None),
        ({"family": "daly", "framing": "modbus", "address": 1}, None),
        ({"family": "ydt1363", "dialect": "pylontech", "address": 2}, "SIM00002"),
        ({"family": "ydt1363", "dialect": "pace", "address": 3}, "SIM00003"),
        ({"family": "ydt1363", "dialect": "pace", "address": 3, "serial_from": "none"}, None),
        ({"family": "ydt1363", "dialect": "seplos", "address": 3}, None),
        ({"family": "ydt1363", "dialect": "auto", "address": 3}, None),
        ({"family": "seplos_v3", "address": 4}, "SIM00004"),
        ({"family": "seplos_v3", "address": 4, "serial_from": "label"}, "PACK"),
        ({"family": "jk"}, None),
        ({"family": "jk", "serial_from": "label"}, "SIM00001"),
    ],
)
def test_where_the_serial_comes_from(options: dict[str, object], expected: str | None) -> None:
    """The serial is read where the operator says that it stands."""
    assert Bench(options).readings()["sn"].value == expected


@pytest.mark.parametrize(
    "options",
    [
        {"framing": "up"},
        {"address": 3},
        {"serial_from": "board"},
        {"framing": "up", "address": 0},
        {"bogus": 1},
        {"framing": "a5"},
        {"family": "jk", "framing": "dd"},
        {"family": "jk", "address": 1},
        {"family": "jk", "serial_from": "board"},
        {"family": "ydt1363", "address": 1},
        {"family": "ydt1363", "dialect": "pace"},
        {"family": "ydt1363", "dialect": "pace", "address": 255},
        {"dialect": "pace"},
        {"family": "seplos_v3", "address": 16},
        {"family": "daly", "framing": "modbus", "address": 0},
        {"current_sign": "mode"},
        {"current_unit": "0.1"},
        {"family": "jk", "host": "8"},
    ],
)
def test_impossible_options(options: dict[str, object]) -> None:
    """A configuration that cannot work is refused with what to do."""
    with pytest.raises(ValidationError):
        BmsOptions.model_validate(options)


def test_over_temperature_has_hysteresis(bench: Bench) -> None:
    """The alarm is raised at the limit and cleared 5 °C below."""
    told = []
    for temp in (50.0, 60.0, 57.0, 56.0, 54.0, 57.0):
        bench.slot.measure(soc_pct=80.0, temp_c=temp)
        told.append(bench.alarms()["battery_over_temp"])
    assert told == [False, True, True, True, False, False]


def test_protections(bench: Bench) -> None:
    """An active protection is named and is an alarm; a full battery or switched-off MOSFETs are none."""
    name = PROTECTION.get(bench.name, "short_circuit")
    bench.slot.measure(soc_pct=80.0, temp_c=25.0, protections=(name,))
    if bench.name == "modbus":
        assert "battery_protection" not in bench.alarms()
        return
    assert bench.alarms()["battery_protection"] is True
    assert bench.readings()["protections"].value == (name,)
    harmless = (HARMLESS[bench.name],) if bench.name in HARMLESS else ()
    bench.slot.measure(soc_pct=80.0, temp_c=25.0, protections=harmless)
    assert bench.alarms()["battery_protection"] is False
    assert bench.readings()["protections"].value == ()


PACK = SimulatedBattery("A", 50.0).pack()


@pytest.mark.parametrize(
    ("pack", "point"),
    [
        (replace(PACK, voltage_v=40.0), "voltage_v"),
        (replace(PACK, cells_v=(*PACK.cells_v[:-1], 0.0)), "cells_v"),
        (replace(PACK, soc_pct=101.0), "soc_pct"),
        (replace(PACK, temps_c=(25.0, -273.1)), "temps_c"),
        (replace(PACK, temp_mos_c=-50.0), "temp_mos_c"),
        (replace(PACK, soh_pct=4000), "soh_pct"),
    ],
)
def test_what_cannot_be_true_is_not_told(pack: Pack, point: str) -> None:
    """An implausible value is bad, without a value and with the reason."""
    reading = {reading.point: reading for reading in pack.readings()}[point]
    assert reading.value is None
    assert reading.quality is Quality.BAD
    assert reading.why


def test_broken_sensor_does_not_hide_heat() -> None:
    """The hottest believable sensor decides, even beside a broken one."""
    assert replace(PACK, temps_c=(71.0, -273.1), temp_mos_c=None).hottest_c() == 71.0
    assert replace(PACK, temps_c=(), temp_mos_c=None).hottest_c() is None


def test_board_without_sensors_and_cells() -> None:
    """The captured board with nothing wired is told without inventing temperatures."""
    bench = Bench({})
    frame = next(v.frame for v in DD if v.decoded.get("cell_count") == 16)
    bench.spoil = lambda answer: frame if answer[1] == dd.BASIC else answer
    readings = bench.readings()
    assert readings["temps_c"].value is None
    assert readings["voltage_v"].quality is Quality.BAD
    assert readings["production_date"].value == "2022-02-16"


def test_refusal_and_contradiction() -> None:
    """A refused register and a cell list of another length are errors of the device."""
    bench = Bench({})
    bench.spoil = lambda answer: dd.reply(answer[1], b"", status=0x80)
    with pytest.raises(DeviceError, match="refused"):
        bench.poll()
    bench.spoil = lambda answer: dd.reply(dd.CELLS, bytes(4)) if answer[1] == dd.CELLS else answer
    with pytest.raises(DeviceError, match="2 cells listed"):
        bench.poll()


def test_simulator_keeps_to_its_own() -> None:
    """A board answers neither other addresses nor other registers."""
    for options in PROTOCOLS.values():
        slot = BmsSimulator(BmsOptions.model_validate(options), Site())
        assert slot.answer(up.request(9, up.STATUS)) == b""
        assert slot.answer(dd.request(0x0A)) == b""
        assert list(slot.play()) == []
        slot.remove()
        slot.measure(soc_pct=1.0, temp_c=1.0)
        assert slot.battery is None
