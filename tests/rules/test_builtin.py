"""The built-in conditions: there wherever a device has the points, true to what happens, and silent otherwise."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.file import load
from edge_agent.records import Alarm, Quality, Reading, Value
from edge_agent.rules.builtin import built_in
from edge_agent.rules.conditions import Conditions
from tests.rules.moments import Desk

STATION = """
[station]
id = "test-001"
name = { zh = "站", en = "Station" }
region = "north"
district = "d1"

[uplink]
broker = "mqtts://broker"

[[link]]
name = "bus"
kind = "serial"
port = "/dev/serial/by-id/bus"

[[link]]
name = "header"
kind = "gpio"

[[device]]
name = "aircon"
link = "bus"
driver = "modbus"
profile = "rs-ktc-n01"
address = 1

[[device]]
name = "room"
link = "bus"
driver = "modbus"
profile = "xy-md02"
address = 2

[[device]]
name = "meter"
link = "bus"
driver = "modbus"
profile = "eastron-sdm120"
address = 3

[[device]]
name = "bat-{n:02}"
repeat = 2
link = "bus"
driver = "bms"
framing = "up"
address = "{n+10}"
may_be_absent = true

[[device]]
name = "hall"
link = "header"
driver = "contacts"
inputs = [
  { role = "door", line = 17, active = "open" },
  { role = "door", name = "door_01", line = 18, active = "open" },
  { role = "door", name = "back_door", line = 19, active = "open" },
]

[[cabinet]]
name = "cabinet"
slots = 2
doors = "hall.door_{slot:02}"
batteries = "bat-{slot:02}"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return the conditions of that station."""
    return make(tmp_path, "")


def make(directory: Path, more: str) -> Desk:
    """Return the conditions of the station with a little more in its file."""
    file = directory / "station.toml"

    file.write_text(STATION + more, encoding="utf-8")
    return Desk(Conditions(built_in(load(file).config), {}))


def say(it: Desk, at: float, device: str, **points: Value) -> list[tuple[str, str, bool]]:
    """Let a device say values; return the alarms that came of it and of the time before."""
    return alarms(it.say(at, device, *(Reading(point, value) for point, value in points.items())))


def alarms(said: Any) -> list[tuple[str, str, bool]]:
    """Return (device, code, active) of each alarm."""
    return [(device, record.code, record.active) for device, record in said if isinstance(record, Alarm)]


def test_a_door_that_is_held(desk: Desk) -> None:
    """Any door of the station, after five minutes; the doors of a cabinet's slots are none."""
    say(desk, 0, "hall", door="open", back_door="open", door_01="open")
    assert alarms(desk.until(299)) == []
    assert set(alarms(desk.until(301))) == {("hall", "door_held", True)}
    assert say(desk, 310, "hall", door="closed") == []
    assert say(desk, 320, "hall", back_door="closed") == [("hall", "door_held", False)]


def test_mains_that_are_gone(desk: Desk) -> None:
    """At a meter that has shown them before; the voltage of a battery proves nothing."""
    say(desk, 0, "bat-01", voltage_v=52.0)
    say(desk, 1, "meter", voltage_v=0.0)
    assert alarms(desk.until(100)) == []
    say(desk, 100, "meter", voltage_v=229.8)
    say(desk, 110, "meter", voltage_v=12.0)
    assert alarms(desk.until(116)) == [("meter", "mains_lost", True)]
    say(desk, 120, "meter", voltage_v=230.1)
    assert alarms(desk.until(126)) == [("meter", "mains_lost", False)]


def test_a_cabinet_that_is_hot_or_burns(desk: Desk) -> None:
    """In the cabinet or one of its slots, as far as its controller tells; and what it says of its mains."""
    say(desk, 0, "cabinet-02", slot_temp_c=56.0)
    assert alarms(desk.until(11)) == [("cabinet-02", "cabinet_over_temp", True)]
    say(desk, 20, "cabinet-02", slot_temp_c=50.1)
    assert alarms(desk.until(60)) == []
    say(desk, 60, "cabinet-02", slot_temp_c=49.9)
    assert alarms(desk.until(71)) == [("cabinet-02", "cabinet_over_temp", False)]
    assert say(desk, 80, "cabinet", smoke=True) == [("cabinet", "cabinet_smoke", True)]
    say(desk, 90, "cabinet", mains_ok=False)
    assert alarms(desk.until(96)) == [("cabinet", "mains_lost", True)]


def test_a_sensor_that_stands_still(desk: Desk) -> None:
    """Both values to the last digit for twelve hours; one that moves is enough, and batteries may rest."""
    found = []
    for at in range(0, 50_000, 600):
        found += say(desk, at, "room", temperature_c=21.3, humidity_pct=99.9)
        found += say(desk, at, "aircon", temperature_c=20.0 + at % 7, humidity_pct=50.0)
        found += say(desk, at, "bat-01", temperature_c=25.0)
    assert found == [("room", "sensor_frozen", True)]
    assert say(desk, 50_000, "room", temperature_c=21.3, humidity_pct=99.8) == [("room", "sensor_frozen", False)]


def test_an_air_conditioner_that_does_not_obey(desk: Desk) -> None:
    """Told to run and standing still for five minutes; what nobody told it is its own affair."""
    say(desk, 0, "aircon", state="stopped")
    assert alarms(desk.until(1000)) == []
    say(desk, 1000, "aircon", commanded="cooling")
    assert alarms(desk.until(1299)) == []
    assert alarms(desk.until(1301)) == [("aircon", "ac_commanded_not_running", True)]
    assert say(desk, 1310, "aircon", state="cooling") == [("aircon", "ac_commanded_not_running", False)]
    say(desk, 1400, "aircon", commanded="stopped", state="stopped")
    assert alarms(desk.until(3000)) == []


def run(it: Desk, begin: int, course: Any, **more: Value) -> list[tuple[str, str, bool]]:
    """Let the air conditioner run for an hour while the room takes its course."""
    found = []
    for at in range(begin, begin + 3600, 60):
        found += say(it, at, "aircon", **({"state": "cooling"} | more))
        found += say(it, at, "room", temperature_c=course((at - begin) / 3600))
    return [one for one in found if one[1] == "room_not_following"]


def test_a_room_that_does_not_follow(desk: Desk) -> None:
    """Three quarters of an hour of cooling at 31 °C without an effect; over when the room moves, or the unit stops."""
    up, over = ("aircon", "room_not_following", True), ("aircon", "room_not_following", False)
    assert run(desk, 0, lambda t: 31.0 + 0.1 * t) == [up]
    assert run(desk, 3600, lambda t: 31.0 - 2 * t) == [over]
    assert run(desk, 7200, lambda t: 31.0) == [up]
    assert [one for one in say(desk, 10_800, "aircon", state="stopped") if one[1] == "room_not_following"] == [over]


def test_a_room_that_need_not_follow(desk: Desk) -> None:
    """One that moves, one that is cool enough already, one at its set-point, one that is heated to where it should."""
    assert run(desk, 0, lambda t: 33.0 - 2 * t) == []
    assert run(desk, 10_000, lambda _t: 25.0) == []
    assert run(desk, 20_000, lambda _t: 29.5, setpoint_c=29.0) == []
    assert run(desk, 30_000, lambda _t: 31.0, setpoint_c=29.0) == [("aircon", "room_not_following", True)]
    assert run(desk, 40_000, lambda _t: 15.0, state="heating", setpoint_c=22.0)[-1:] == [
        ("aircon", "room_not_following", True)
    ]
    assert run(desk, 50_000, lambda t: 15.0 + 3 * t, state="heating", setpoint_c=22.0)[-1:] == [
        ("aircon", "room_not_following", False)
    ]


def test_what_is_not_known_is_not_judged(desk: Desk) -> None:
    """A room without a value keeps the alarm from coming."""
    for at in range(0, 7200, 60):
        bad = Reading("temperature_c", 31.0, quality=Quality.BAD)
        assert alarms(desk.say(at, "room", bad)) == []
        assert say(desk, at, "aircon", state="cooling") == []


def test_what_is_switched_off_and_tuned(tmp_path: Path) -> None:
    """By the codes of `[alarms]`, and by the tables below them; the room may be named."""
    it = make(
        tmp_path,
        '[alarms]\noff = ["mains_lost"]\ndoor_held = { after = "10s" }\n'
        'room_not_following = { room = "aircon.temperature_c", cool_from = 20.0 }\n',
    )
    say(it, 0, "meter", voltage_v=230.0)
    say(it, 1, "meter", voltage_v=0.0)
    say(it, 2, "hall", door="open")
    assert alarms(it.until(100)) == [("hall", "door_held", True)]
    found = []
    for at in range(1000, 5000, 60):
        found += say(
            it, at, "aircon", temperature_c=22.0 + (at % 120) / 1000, humidity_pct=float(at % 7), state="cooling"
        )
    assert found == [("aircon", "room_not_following", True)]
