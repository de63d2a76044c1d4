"""Which questions must wait because a late answer to an earlier one could be taken for theirs."""

from collections.abc import Hashable
from dataclasses import dataclass

from edge_agent.clock import Clock
from edge_agent.driver import ReplyShape


@dataclass(frozen=True, slots=True)
class _Block:
    """Until `until` (monotonic s) answers of one shape may still come.

    All of them to `request`, if it is given, and then formed like `answer`, if one to it is known.
    """

    until: float
    request: bytes = b""
    answer: bytes = b""

    def allows(self, request: bytes, reply: ReplyShape) -> bool:
        """Return whether nothing that may come could pass for the answer to another question than its own."""
        return self.request == request or (bool(self.answer) and reply.find(self.answer) is None)


class LateAnswers:
    """Answers that may still come, by the key of their shape."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._blocked: dict[Hashable, tuple[_Block, ...]] = {}

    def __bool__(self) -> bool:
        """True while any may come."""
        return bool(self._blocked)

    def expect(self, key: Hashable, until: float, request: bytes = b"", answer: bytes = b"") -> None:
        """Note that answers of the shape `key` may come until then, later than any noted before.

        All of them to `request`, if it is given; `answer` is a good one to it, if there was one.
        """
        others = self._blocked.get(key, ()) if request else ()
        self._blocked[key] = (*others, _Block(until, request, answer))

    def settle(self, request: bytes, reply: ReplyShape) -> float | None:
        """Return when `request` may be asked, None if at once because what may come would answer it as well.

        What was expected of this shape is forgotten as far as it concerns this question, and everything that can no
        longer come.
        """
        now = self._clock.monotonic()
        for key, blocks in tuple(self._blocked.items()):
            self._keep(key, tuple(block for block in blocks if block.until > now))
        blocks = self._blocked.get(reply.key, ())
        until = max((block.until for block in blocks if not block.allows(request, reply)), default=0.0)
        repeats = not until and any(block.request == request for block in blocks)
        self._keep(reply.key, tuple(block for block in blocks if block.until > until and block.request != request))
        return None if repeats else until

    def _keep(self, key: Hashable, blocks: tuple[_Block, ...]) -> None:
        if blocks:
            self._blocked[key] = blocks
        else:
            self._blocked.pop(key, None)
