"""docs/configuration.md says what the models say."""

from pathlib import Path

from edge_agent.config.device import InstalledDrivers
from edge_agent.config.model import Config
from edge_agent.config.reference import render

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_reference_is_fresh() -> None:
    """The page is what the models make of it today."""
    stale = "docs/configuration.md is stale: python -m edge_agent.config.reference > docs/configuration.md"
    assert render() == PAGE.read_text(encoding="utf-8"), stale


def test_every_key_is_described() -> None:
    """No row of the reference lacks its meaning."""
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_table_and_driver_is_there() -> None:
    """Each table of a station file and each installed driver has its section."""
    headings = "\n".join(line for line in render().splitlines() if line.startswith("#"))
    for name in (*Config.model_fields, *InstalledDrivers()):
        assert name in headings
