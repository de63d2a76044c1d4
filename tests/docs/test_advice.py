"""Whoever reads an alarm is told what to do, and docs/alarms.md says what the code says."""

from pathlib import Path

from edge_agent.advice import ADVICE
from edge_agent.alarms import CATALOGUE
from edge_agent.config.alarm_table import render

PAGE = Path(__file__).parents[2] / "docs" / "alarms.md"


def test_every_alarm_has_its_advice() -> None:
    """In both languages; a new alarm is not complete without."""
    assert set(ADVICE) == set(CATALOGUE)
    assert all(advice.zh and advice.en for advice in ADVICE.values())


def test_the_table_is_fresh() -> None:
    """The page is what the catalogue makes of it today."""
    stale = "docs/alarms.md is stale: python -m edge_agent.config.alarm_table > docs/alarms.md"
    assert render() == PAGE.read_text(encoding="utf-8"), stale
    assert all(f"| `{code}` |" in render() for code in CATALOGUE)
