"""Which questions must wait because a late answer to an earlier one could be taken for theirs."""

from collections.abc import Hashable
from dataclasses import dataclass

from edge_agent.clock import Clock


@dataclass(frozen=True, slots=True)
class _Block:
    """Until `until` (monotonic s) answers of one shape may still come; all of them to `request`, if it is given."""

    until: float
    request: bytes = b""


class LateAnswers:
    """Answers that may still come, by the key of their shape."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._blocked: dict[Hashable, _Block] = {}

    def __bool__(self) -> bool:
        """True while any may come."""
        return bool(self._blocked)

    def expect(self, key: Hashable, until: float, request: bytes = b"") -> None:
        """Note that answers of the shape `key` may come until then; all of them to `request`, if it is given."""
        self._blocked[key] = _Block(until, request)

    def until(self, key: Hashable) -> float:
        """Return the monotonic time (s) from which nothing of this shape can come any more."""
        block = self._blocked.get(key)
        return block.until if block else 0.0

    def settle(self, key: Hashable, request: bytes) -> float | None:
        """Return when `request` may be asked, None if at once because all that may come would answer it as well.

        What was expected of this shape is forgotten with that, and everything that can no longer come.
        """
        now = self._clock.monotonic()
        self._blocked = {other: block for other, block in self._blocked.items() if block.until > now}
        block = self._blocked.pop(key, None)
        if block is None:
            return 0.0
        return None if block.request == request else block.until
