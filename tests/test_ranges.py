"""Ranges behave like a set of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.ranges import Ranges

intervals = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1])))


@given(intervals)
def test_equals_a_plain_set(given_intervals: list[tuple[int, int]]) -> None:
    """Whatever is added in whatever order, the same numbers are inside, in few intervals."""
    ranges = Ranges(given_intervals)
    numbers = {n for first, last in given_intervals for n in range(first, last + 1)}
    assert {n for n in range(1, 80) if n in ranges} == numbers
    assert ranges.total() == len(numbers)
    listed = list(ranges)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(listed))
    assert len(ranges) == len(listed)
    assert ranges == Ranges(reversed(given_intervals))
    for start in (1, 5, 30):
        assert ranges.first_missing(start) == next(n for n in range(start, 100) if n not in numbers)


def test_shows_its_intervals() -> None:
    """A failing test prints what is inside."""
    assert repr(Ranges([(1, 3), (5, 5)])) == "Ranges([(1, 3), (5, 5)])"
    assert Ranges() != [(1, 1)]
