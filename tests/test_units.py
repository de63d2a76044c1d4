"""Durations and sizes are read strictly and written back as a person would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("250ms", 0.25), ("5m", 300.0), ("1.5h", 5400.0), ("7d", 604800.0), ("10 s", 10.0), ("0s", 0.0)],
)
def test_durations(text: str, seconds: float) -> None:
    """A number and a unit are seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("512 MB", 512_000_000), ("64kB", 64_000), ("1.5 GB", 1_500_000_000), ("7 b", 7)]
)
def test_sizes(text: str, size: int) -> None:
    """A number and a unit, in any case, are bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "wrong", [10, 1.5, True, "10", "s", "ten s", "-1s", "1m30s", "1e3s", "１０s", "10 x", None, [], "512 MiB"]
)
def test_anything_else_is_refused_with_an_example(wrong: object) -> None:
    """A bare number above all: five of what?"""
    with pytest.raises(ValueError, match='like "10s"'):
        parse_duration(wrong)
    with pytest.raises(ValueError, match='like "512 MB"'):
        parse_size(wrong)


@given(st.integers(0, 10**10))
def test_what_is_written_is_read_back(number: int) -> None:
    """Writing and reading again gives the same seconds (to the millisecond) and bytes."""
    assert parse_duration(format_duration(number / 1000)) == pytest.approx(number / 1000)
    assert parse_size(format_size(number)) == number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.25, "250ms"), (90.0, "90s"), (300.0, "5m"), (86400.0, "1d"), (0.0005, "0.5ms")],
)
def test_durations_are_written_in_their_largest_whole_unit(seconds: float, text: str) -> None:
    """300 seconds are five minutes, 90 are not a minute and a half."""
    assert format_duration(seconds) == text
