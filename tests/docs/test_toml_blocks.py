"""Every TOML block in the documents is one that works."""

import re
import tomllib
from pathlib import Path

import pytest

from edge_agent.config.file import load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "station.example.toml"
PAGES = [
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("README*.md"),
    *ROOT.glob("*/README*.md"),
    *ROOT.glob("drivers/*/README*.md"),
]
_BLOCK = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, text in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]
_STATION = 'id = "365-001"\nname = { zh = "站", en = "Station" }\nregion = "region"\ndistrict = "district"\n'


@pytest.mark.parametrize("text", BLOCKS)
def test_a_block_is_toml_and_a_station_file_loads(text: str, tmp_path: Path) -> None:
    """Whole station files are checked as the installer's would be; all others are at least TOML."""
    parsed = tomllib.loads(text)
    if "station" in parsed:
        file = tmp_path / "station.toml"
        file.write_text(text, encoding="utf-8")
        load(file)


@pytest.mark.parametrize("text", BLOCKS)
def test_a_block_with_links_and_devices_is_accepted(text: str, tmp_path: Path) -> None:
    """A driver's sample of `[[link]]` and `[[device]]` works when it is put into a station file as it stands."""
    parsed = tomllib.loads(text)
    if {"link", "device"} <= parsed.keys() and "station" not in parsed:
        file = tmp_path / "station.toml"
        file.write_text(f'[station]\n{_STATION}[uplink]\nbroker = "mqtts://broker"\n\n{text}', encoding="utf-8")
        load(file)


def test_the_example_is_usable() -> None:
    """What an installer copies has no error, and but one warning: the card key is not there yet."""
    loaded = load(EXAMPLE, environ={})
    assert [found.text.partition(" – ")[0] for found in loaded.warnings] == [
        "[cards]: key_file is missing, 'door-reader' reads cards"
    ]
    assert {device.driver for device in loaded.config.device} == {"card_uart", "contacts", "modbus", "lockboard", "bms"}
    assert [slot.battery for slot in loaded.config.cabinet[0].wiring][-1] == "battery-12"


def test_every_line_left_out_of_the_example_is_usable(tmp_path: Path) -> None:
    """The settings offered as comments (`#key = value`) work when their mark is taken away."""
    text = re.sub(r"^#(?=[a-z_]+ *=|\[)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file = tmp_path / "station.toml"
    file.write_text(text, encoding="utf-8")
    load(file)
