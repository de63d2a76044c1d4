"""Alarms and reflexes of a station file that could never work are found before they are needed."""

from pathlib import Path

import pytest

from edge_agent.alarms import LIFE_SAFETY
from edge_agent.config.file import load
from edge_agent.errors import ConfigError
from tests.station_files import GOOD, problems

RULE = """
[[alarm]]
name = "hot"
point = "climate.temperature_c"
above = 35.0
text = { zh = "热", en = "Hot" }
"""
REFLEX = """
[station]
id = "test-001"
name = { zh = "站", en = "Station" }
region = "north"
district = "d1"

[uplink]
broker = "mqtts://broker"

[[link]]
name = "header"
kind = "gpio"

[[device]]
name = "outputs"
link = "header"
driver = "relay_gpio"
outputs = [{ name = "siren", line = 5, on = "high" }]

[[reflex]]
name = "siren"
device = "outputs"
on = "on_siren"
off = "off_siren"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(text: str) -> list[str]:
    """Return the problems without file and line."""
    return [line.split(": ", 1)[1] for line in problems(text)]


def test_a_good_rule() -> None:
    """Nothing to say."""
    assert said(GOOD + RULE) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("climate.temp", "climat.temp", "there is no device 'climat' – did you mean 'climate'?"),
        ("above = 35.0", "", "has none – give exactly one of"),
        ("above = 35.0", "above = 35.0\nbelow = 5.0", "has above and below – give exactly one of"),
        ("above = 35.0", "above = 35.0\nwhen = 'climate.x > 1'", "has above and when – give exactly one of"),
        ('point = "climate.temperature_c"', "", "point belongs to every kind but when"),
        ("text = {", "label = {", "label"),
        ('text = { zh = "热", en = "Hot" }', "", "hot is no built-in alarm – add text"),
        ("above = 35.0", "above = 35.0\nonly_while = 'climate.x within 5m'", "within has no meaning in an alarm"),
    ],
)
def test_a_rule_that_cannot_work(old: str, new: str, problem: str) -> None:
    """Is named with what to do about it."""
    assert any(problem in line for line in said(GOOD + RULE.replace(old, new)))


def test_an_alarm_is_said_in_one_way() -> None:
    """Two rules may raise one alarm of a device, but not with two texts."""
    second = RULE.replace('"hot"', '"hot-too"').replace("above", 'code = "hot"\nabove')
    assert said(GOOD + RULE + second) == []
    (line,) = said(GOOD + RULE + second.replace('"Hot"', '"Very hot"'))
    assert "hot of 'climate' is said differently by 'hot'" in line


def test_what_is_about_life_cannot_be_switched_off() -> None:
    """Nor what does not exist."""
    assert any("cannot be switched off" in line for line in said(GOOD + '[alarms]\noff = ["smoke"]\n'))
    assert any("not a built-in alarm" in line for line in said(GOOD + '[alarms]\noff = ["nonsense"]\n'))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('device = "outputs"', 'device = "output"', "there is no device 'output' – did you mean 'outputs'?"),
        ('on = "on_siren"', 'on = "on_horn"', "on: outputs cannot: 'on_horn' is not a command of this device"),
        ('off = "off_siren"', 'off = "off_siren"\nargs = { loud = true }', "outputs cannot: loud"),
        ('off = "off_siren"', 'off = "on_siren"', "it must end what on begins"),
        ('off = "off_siren"', 'off = "off_siren"\nalarms = ["smok"]', "there is no alarm 'smok'"),
        ('off = "off_siren"', 'off = "off_siren"\npoint = "outputs.horn"', "'outputs' has no point 'horn'"),
    ],
)
def test_a_reflex_that_cannot_work(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """A siren that would stay silent is found by the check, not by the fire."""
    file = tmp_path / "station.toml"
    file.write_text(REFLEX, encoding="utf-8")
    assert load(file).config.reflex[0].causes == LIFE_SAFETY
    file.write_text(REFLEX.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert any(problem in str(found) for found in caught.value.problems), caught.value.problems
