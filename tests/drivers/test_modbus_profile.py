"""Profiles: what a point makes of its registers, which files are refused, how reads are grouped."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.modbus.codec import decode_reply
from drivers.modbus.options import ModbusOptions
from drivers.modbus.place import Area
from drivers.modbus.point import Point
from drivers.modbus.profile import Profile, load_profile, shipped
from drivers.modbus.sim import Sim
from edge_agent.driver import Quality
from tests.drivers import vectors
from tests.drivers.vectors import Vector


def point(**keys: Any) -> Point:
    """A point at holding register 0."""
    return Point.model_validate({"name": "p", "at": "holding:0", **keys})


@pytest.mark.parametrize(
    ("keys", "registers", "value"),
    [
        ({}, (7,), 7),
        ({"type": "s16"}, (0xFFFF,), -1),
        ({"type": "s16", "scale": 0.1}, (305,), 30.5),
        ({"type": "s16", "scale": 0.1}, (0xFF9B,), -10.1),
        ({"scale": 0.1, "offset": -273.1}, (2981,), 25.0),
        ({"offset": -40}, (65,), 25),
        ({"type": "u32"}, (1, 2), 65538),
        ({"type": "u32", "word_order": "CDAB"}, (2, 1), 65538),
        ({"type": "s32"}, (0xFFFF, 0xFFFE), -2),
        ({"type": "f32"}, (17254, 13108), 230.2),
        ({"type": "f32", "word_order": "CDAB"}, (13108, 17254), 230.2),
        ({"states": {"0": "off", "2": "heat"}}, (2,), "heat"),
        ({"bits": {"0": "fan", "3": "heater"}}, (0b11001,), ("fan", "heater", "bit_4")),
        ({"at": "coil:4"}, (1,), True),
        ({"at": "discrete:0x10"}, (0,), False),
    ],
)
def test_registers_become_a_value(keys: dict[str, Any], registers: tuple[int, ...], value: object) -> None:
    """Type, sign, word order, scale, offset, states and bits are applied, and 0.1 steps stay 0.1 steps."""
    reading = point(**keys).read(registers)
    assert reading.value == value
    assert type(reading.value) is type(value)
    assert reading.quality is Quality.GOOD


@pytest.mark.parametrize(
    ("keys", "registers", "why"),
    [
        ({"type": "s16", "scale": 0.1, "valid": [-40, 80], "unit": "°C"}, (3050,), "305 °C is outside -40 to 80"),
        ({"type": "s16", "valid": [-40, 80]}, (0x8000,), "outside"),
        ({"error_values": [0x7FFF, 0xFFFF]}, (0xFFFF,), "error value 65535"),
        ({"states": {"0": "off"}}, (7,), "state 7 is not in the profile"),
        ({"type": "f32"}, (0x7FC0, 0), "not a number"),
        ({"type": "f32"}, (0x7F80, 0), "not a number"),
    ],
)
def test_what_cannot_be_believed_has_no_value(keys: dict[str, Any], registers: tuple[int, ...], why: str) -> None:
    """An implausible number, an error value, an unknown state or a NaN is a bad reading that says why."""
    reading = point(**keys).read(registers)
    assert reading.value is None
    assert reading.quality is Quality.BAD
    assert why in reading.why


def test_the_dead_band_travels_with_the_reading() -> None:
    """`change` of the profile is the reading's."""
    assert point(change=0.5).read((1,)).change == 0.5


@given(
    kind=st.sampled_from(["u16", "s16", "u32", "s32"]),
    order=st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    registers=st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    scale=st.sampled_from([1.0, 0.1, 0.01, 10.0]),
)
def test_writing_a_value_gives_the_registers_it_was_read_from(
    kind: str, order: str, registers: tuple[int, int], scale: float
) -> None:
    """`words` is the inverse of `read`, so the simulator holds exactly what the driver should report."""
    one = point(type=kind, word_order=order, scale=scale)
    given_words = registers[: one.width]
    value = one.read(given_words).value
    assert isinstance(value, int | float)
    assert one.words(value) == given_words


def test_a_float_survives_its_registers() -> None:
    """A float of 32 or 64 bits reads back as it was written, in every order."""
    for kind, order in product(("f32", "f64"), ("ABCD", "CDAB", "BADC", "DCBA")):
        one = point(type=kind, word_order=order)
        assert one.read(one.words(-12.375)).value == -12.375


TEMPERATURES = [
    vector
    for vector in vectors.of_driver("modbus")
    if vector.valid and vector.decoded.get("model") == "XY-MD02/SHT20" and vector.direction == "response"
]
NAMES = {"temperature_c": "temperature_c", "humidity_rh": "humidity_pct"}


@pytest.mark.parametrize("vector", TEMPERATURES, ids=str)
def test_frames_of_the_sensor_give_the_published_values(vector: Vector) -> None:
    """The profile makes of the published frames the temperature and humidity that their publisher read."""
    points = {one.name: one for one in load_profile("xy-md02").point}
    expected = [(NAMES[key], value) for key, value in vector.decoded.items() if key in NAMES]
    for (name, value), word in zip(expected, decode_reply(vector.frame).values, strict=True):
        assert points[name].read((word,)).value == pytest.approx(value)


STATES = [vector for vector in vectors.of_driver("modbus") if "state" in vector.decoded]


@pytest.mark.parametrize("vector", STATES, ids=str)
def test_frames_of_the_controller_give_its_state(vector: Vector) -> None:
    """The profile names the running state as the source of the frame does."""
    state = next(one for one in load_profile("rs-ktc-n01").point if one.name == "state")
    assert state.at.address == vector.decoded["answers_register"]
    assert state.read(decode_reply(vector.frame).values).value == vector.decoded["state"]


ENERGY: dict[str, list[dict[str, Any]]] = {
    "SDM": [{"name": "voltage_v", "at": "input:0", "type": "f32"}],
    "PZEM": [
        {"name": "voltage_v", "at": "input:0", "scale": 0.1},
        {"name": "current_a", "at": "input:1", "type": "u32", "word_order": "CDAB", "scale": 0.001},
        {"name": "power_w", "at": "input:3", "type": "u32", "word_order": "CDAB", "scale": 0.1},
        {"name": "energy_wh", "at": "input:5", "type": "u32", "word_order": "CDAB"},
        {"name": "frequency_hz", "at": "input:7", "scale": 0.1},
        {"name": "power_factor", "at": "input:8", "scale": 0.01},
    ],
}
METERS = [vector for vector in vectors.of_driver("modbus") if vector.decoded.get("voltage_v")]


@pytest.mark.parametrize("vector", METERS, ids=str)
def test_both_word_orders_are_those_of_real_meters(vector: Vector) -> None:
    """Captured frames of a high-word-first and a low-word-first meter give the values printed with them."""
    registers = decode_reply(vector.frame).values
    for one in map(Point.model_validate, ENERGY[vector.decoded["model"]]):
        value = one.read(registers[one.at.address : one.at.address + one.width]).value
        assert value == pytest.approx(vector.decoded[one.name], abs=vector.tolerance)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"at": "register:3"}, "is not a place like"),
        ({"at": "holding:70000"}, "less than or equal to 65535"),
        ({"name": "Temperature"}, "should match pattern"),
        ({"states": {"0": "a"}, "bits": {"0": "b"}}, "states or bits, not both"),
        ({"type": "f32", "error_values": [1]}, "integer type"),
        ({"at": "coil:1", "type": "s16"}, "true or false"),
        ({"sim": {"value": "on"}}, "no states"),
        ({"sim": {"value": 1, "wave": "sine"}}, "exactly one"),
        ({"sim": {"steps": [1, 2], "period": "soon"}}, "is not a duration"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_slip_in_a_point_is_refused(keys: dict[str, Any], complaint: str) -> None:
    """What cannot be meant is refused with what is wrong."""
    with pytest.raises(ValidationError, match=complaint):
        point(**keys)


HEAD = 'title="t"\nevidence="e"\ntier="sketch"\n'
POINT = '[[point]]\nname="a"\nat="coil:1"\n'
COMMAND = '[command.go]\nwrite="input:1"\nvalue=1\ncommanded="on"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = ", "Invalid value"),
        (HEAD + "point = []\n", "point: "),
        (HEAD.replace("sketch", "certain") + POINT, "tier: "),
        (HEAD + POINT + POINT, "'a' is taken"),
        (HEAD + POINT.replace('"a"', '"commanded"'), "'commanded' is taken"),
        (HEAD + POINT + COMMAND, "only coils and holding registers"),
    ],
)
def test_a_slip_in_a_profile_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """A bad profile file is refused at configuration time, with the place of the slip."""
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationError, match=complaint):
        ModbusOptions.model_validate({"profile": str(file)})


def test_an_unknown_profile_names_those_shipped() -> None:
    """A mistyped profile is answered with the list of those that exist."""
    with pytest.raises(ValidationError, match="rs-ktc-n01, rs-ws-n01, xy-md02"):
        ModbusOptions.model_validate({"profile": "xy-md20"})


def test_a_profile_of_the_station_is_loaded_by_its_path(tmp_path: Path) -> None:
    """A name with a slash is the path of a profile file, all keys of the README's example included."""
    readme = (vectors.DRIVERS / "modbus" / "README.md").read_text(encoding="utf-8")
    file = tmp_path / "dryer.toml"
    file.write_text(next(block for block in readme.split("```toml\n") if block.startswith("title")).split("```")[0])
    profile = load_profile(str(ModbusOptions.model_validate({"profile": str(file), "timeout": "250ms"}).profile))
    assert [one.name for one in profile.point] == [
        "outlet_c",
        "mode",
        "faults",
        "lid_open",
        "winding_c",
        "serial_number",
    ]


@pytest.mark.parametrize("name", shipped())
def test_shipped_profiles_stand_in_the_readme_with_their_tier(name: str) -> None:
    """Each shipped profile has its row in the README with the tier it claims."""
    readme = (vectors.DRIVERS / "modbus" / "README.md").read_text(encoding="utf-8")
    device, points = (line for line in readme.splitlines() if line.startswith(f"| `{name}` "))
    assert device.endswith(f"| {load_profile(name).tier} |")
    assert {f"`{one.name}`" for one in load_profile(name).points} <= set(re.findall(r"`\w+`", points))
    assert {f"`{verb}`" for verb in load_profile(name).command} <= set(re.findall(r"`\w+`", device))


def profile(*places: str, **keys: Any) -> Profile:
    """A profile with one point at each place."""
    points = [{"name": f"p{i}", "at": place} for i, place in enumerate(places)]
    return Profile.model_validate({"title": "t", "evidence": "e", "tier": "sketch", "point": points, **keys})


@pytest.mark.parametrize(
    ("made", "reads"),
    [
        (profile("holding:0", "holding:1"), [(0, 2)]),
        (profile("holding:5", "holding:0"), [(0, 6)]),
        (profile("holding:0", "holding:6"), [(0, 1), (6, 1)]),
        (profile("holding:0", "input:1"), [(0, 1), (1, 1)]),
        (profile("holding:0", "holding:2", max_reg_hole=0), [(0, 1), (2, 1)]),
        (profile("holding:0", "holding:1", "holding:2", max_read_registers=2), [(0, 2), (2, 1)]),
        (profile("holding:3", "holding:3"), [(3, 1)]),
    ],
)
def test_neighbours_are_read_together(made: Profile, reads: list[tuple[int, int]]) -> None:
    """Points at most four unused registers apart share a read, within one area and `max_read_registers`."""
    assert [(block.start.address, block.count) for block in made.blocks] == reads


def test_the_simulated_value_follows_time() -> None:
    """A wave swings between its ends, steps follow each other, a value stays."""
    wave = Sim.model_validate({"wave": "sine", "low": 20, "high": 30, "period": "24h"})
    assert [round(float(wave.at(hour * 3600)), 3) for hour in (0, 6, 12, 18, 24)] == [25, 30, 25, 20, 25]
    steps = Sim.model_validate({"steps": ["a", "b"], "period": "10s"})
    assert [steps.at(now) for now in (0, 4.9, 5, 9.9, 10)] == ["a", "a", "b", "b", "a"]
    assert Sim(value=3.0).at(1e9) == 3.0


def test_areas_know_their_nature() -> None:
    """Coils and discrete inputs hold bits, the other two registers."""
    assert [area.bits for area in (Area.COIL, Area.DISCRETE, Area.HOLDING, Area.INPUT)] == [True, True, False, False]
