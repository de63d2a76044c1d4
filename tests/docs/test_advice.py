"""Whoever reads an alarm is told what to do."""

from edge_agent.advice import ADVICE
from edge_agent.alarms import CATALOGUE


def test_every_alarm_has_its_advice() -> None:
    """In both languages; a new alarm is not complete without."""
    assert set(ADVICE) == set(CATALOGUE)
    assert all(advice.zh and advice.en for advice in ADVICE.values())
