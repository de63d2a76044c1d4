"""A set of sequence numbers kept as closed intervals: what the centre has acknowledged of one stream."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Sorted, disjoint, never touching intervals [first, last] of positive integers."""

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in intervals:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Put `first`..`last` (inclusive; default one number) in, joining what it touches."""
        last = first if last is None else last
        if self._lasts and self._firsts[-1] <= first <= self._lasts[-1] + 1:
            # The common case: the next number after the newest interval.
            self._lasts[-1] = max(last, self._lasts[-1])
            return
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __len__(self) -> int:
        """Count the intervals."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Ranges({list(self)!r})"

    def total(self) -> int:
        """Count the numbers inside."""
        return sum(last - first + 1 for first, last in self)

    def first_missing(self, start: int) -> int:
        """Return the smallest number >= `start` that is not inside."""
        at = bisect_right(self._firsts, start) - 1
        if at >= 0 and start <= self._lasts[at]:
            return self._lasts[at] + 1
        return start
