"""The thread that carries commands out, so that none of them delays what the uplink publishes."""

import threading
from collections.abc import Callable

from edge_agent.clock import Clock
from edge_agent.uplink.inbox import Inbox

_LONGEST_STEP = 30.0
"""Seconds: one command waits for the journal and then for its device, five each."""
_IDLE = 1.0


class Clerk:
    """Works through an inbox."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._stopping = threading.Event()

    def run(self, promise: Callable[[float], None]) -> None:
        """Work until `stop`; `promise(deadline)` is told by when the next command will be done."""
        while not self._stopping.is_set():
            promise(self._clock.monotonic() + _LONGEST_STEP)
            if not self._inbox.step():
                self._inbox.wait(_IDLE)

    def stop(self) -> None:
        """Make `run` return when the command in hand is done; what waits is neither carried out nor answered."""
        self._stopping.set()
        self._inbox.wake()
