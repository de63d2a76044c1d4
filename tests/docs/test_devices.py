"""docs/devices.md says what the drivers claim of themselves."""

import re
from pathlib import Path

from edge_agent.config.devices import render
from edge_agent.driver import driver_names

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "devices.md"


def test_the_table_of_devices_is_fresh() -> None:
    """The page is what the drivers make of it today."""
    stale = "docs/devices.md is stale: python -m edge_agent.config.devices > docs/devices.md"
    assert render() == PAGE.read_text(encoding="utf-8"), stale


def test_every_driver_and_profile_is_there_with_its_proof() -> None:
    """Each has a row, and each row ends with how far it is proved."""
    page = render()
    for name in driver_names():
        assert f"| [{name}](" in page
    for profile in ROOT.glob("drivers/*/profiles/*.toml"):
        assert f"| `{profile.stem}` |" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| driver")]
    assert all(re.search(r"\| (sketch|simulated|witnessed|soaked) \|$", row) for row in rows)


def test_makes_links_and_what_scan_finds_are_named() -> None:
    """Who looks for a make, a gateway or a way to find an address finds it here."""
    rows = {row.split("]")[0][3:]: row for row in render().splitlines() if row.startswith("| [")}
    for word in ("`jk`", "`pylontech`", "`seplos_v3`", "modbus-tcp", "`bms_jbd_up`"):
        assert word in rows["bms"]
    assert "`kerong_cu48`" in rows["lockboard"]
    assert "| gpio, gpiod |" in rows["contacts"]
    assert "modbus-tcp" not in rows["dlt645"]
