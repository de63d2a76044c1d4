"""Abilities in the station file: presets by naming devices, conditions of one's own, mistakes with their line."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from edge_agent.config.abilities import Ability, Comfort
from tests.station_files import GOOD, problems, read


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(text: str) -> list[str]:
    """Return the problems of `text` behind a good station file, without the file's name."""
    before = GOOD.count("\n")
    found = [line.removeprefix("station.toml:").partition(":") for line in problems(GOOD + text)]
    return [f"{int(line) - before}{colon}{rest}" for line, colon, rest in found]


@pytest.mark.parametrize(
    ("keys", "conditions"),
    [
        ({"name": "rest", "room": "climate"}, ["climate.temperature_c >= 10 and climate.temperature_c <= 32"]),
        (
            {"name": "rest", "power": "lights", "blocked": "contacts.closed"},
            ["lights.voltage_v > 180 and not contacts.closed"],
        ),
        (
            {"name": "hot_food", "power": "microwave", "used": "microwave"},
            ["microwave.voltage_v > 180 and microwave.running within 7d", "microwave.voltage_v > 180"],
        ),
        ({"name": "water", "power": "boiler.on"}, ["boiler.on"]),
        ({"name": "toilet", "blocked": "contacts.toilet"}, ["not contacts.toilet"]),
        (
            {"name": "coolness", "room": "climate", "aircon": "aircon", "outside": "roof"},
            [
                'climate.temperature_c <= 26 or aircon.state == "cooling"',
                "climate.temperature_c <= 29",
                "roof.temperature_c > 26",
            ],
        ),
        (
            {"name": "warmth", "room": "climate.inner_c", "limit": 18, "aircon": "aircon"},
            ['climate.inner_c >= 18 or aircon.state == "heating"', "climate.inner_c >= 15"],
        ),
        (
            {"name": "coolness", "room": "climate", "available": "aircon.on", "needed": "roof.hot"},
            ["aircon.on", "roof.hot"],
        ),
        ({"name": "charging", "available": "sockets.power_w > 1"}, ["sockets.power_w > 1"]),
    ],
)
def test_a_preset_needs_only_devices(keys: dict[str, object], conditions: list[str]) -> None:
    """Naming devices is enough for the six; what is written takes the preset's place."""
    rule = Ability.model_validate(keys).rule
    assert [condition.text for condition in rule.conditions.values()] == conditions


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"name": "hot_food"}, "nothing tells whether it is available – add power = … or used = … or blocked = …"),
        ({"name": "coolness", "outside": "roof"}, "add room = … or aircon = …"),
        ({"name": "charging"}, "add available = …"),
        ({"name": "rest", "aircon": "aircon"}, "aircon has no effect here: rest is judged by room, power, blocked"),
        ({"name": "charging", "room": "climate", "available": "a1.b"}, "charging has no preset"),
        ({"name": "rest", "room": "climate", "limit": 20}, "limit has no effect on rest"),
        ({"name": "toilet", "blocked": "contacts"}, "blocked is a point – write it as DEVICE.POINT"),
        ({"name": "charging", "available": "sockets.power_w >"}, "at its end – expected a number"),
        ({"name": "Rest", "room": "climate"}, "string_pattern_mismatch"),
    ],
)
def test_an_ability_that_cannot_be_judged(keys: dict[str, object], complaint: str) -> None:
    """It is told what to add or take out."""
    with pytest.raises(ValidationError) as caught:
        Ability.model_validate(keys)
    assert complaint in str(caught.value)


def test_unknown_devices_and_points_have_their_line() -> None:
    """Of presets at the key that names the device, of conditions at their own; what only a device knows passes."""
    text = """\
[[ability]]
name = "coolness"
room = "climat"
aircon = "inputs"
[[ability]]
name = "charging"
available = "climate.anything and inputs.door"
needed = "inputs.exit or station.people_inside > 0"
[[ability]]
name = "charging"
available = "climate.on"
[outages]
mains = "inputs.door or ups.mains"
[comfort]
room = "roof"
"""
    assert said(text) == [
        "3: ability \"coolness\": room: there is no device 'climat' – did you mean 'climate'?",
        "4: ability \"coolness\": aircon: 'inputs' has no point 'state' – there are door, sos",
        "8: ability \"charging\": needed: 'inputs' has no point 'exit' – there are door, sos",
        '10: ability "charging": name is taken already by the ability at station.toml:39 – take another one',
        "13: [outages]: mains: there is no device 'ups' – there are climate, inputs",
        "15: [comfort]: room: there is no device 'roof' – there are climate, inputs",
    ]


def test_a_condition_is_explained_as_written() -> None:
    """`check --explain` shows the text, and the file means the same to the hash."""
    text = GOOD + '[[ability]]\nname = "charging"\navailable = "climate.on and  not climate.off"\n'
    assert '"climate.on and  not climate.off"' in read(text).explain()
    assert len(read(text).config.hash) == 64


@pytest.mark.parametrize(
    ("season", "complaint"),
    [
        ([{"months": [1, 2], "low": 16, "high": 24}], "each month from 1 to 12"),
        ([{"months": list(range(1, 13)), "low": 25, "high": 24}], "low is not below high"),
        ([{"months": [*range(1, 13), 1], "low": 16, "high": 24}], "each month from 1 to 12"),
    ],
)
def test_the_band_covers_the_year(season: object, complaint: str) -> None:
    """Each month has one band."""
    with pytest.raises(ValidationError, match=complaint):
        Comfort.model_validate({"season": season})
    assert Comfort().point is None
    assert Comfort(room="climate").point == ("climate", "temperature_c")
