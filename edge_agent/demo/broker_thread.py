"""The broker in a thread of its own, for callers without an event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar

from edge_agent.demo.broker import Broker

DEADLINE_S = 10.0
"""How long any call here may wait for the broker's thread; then TimeoutError."""

T = TypeVar("T")


class BrokerThread:
    """Runs a Broker's loop in the daemon thread "demo-broker"; `start` and `stop` any number of times.

    The broker keeps its port between, so clients find it again. Its `on_publish` is called in this thread.
    """

    def __init__(self, broker: Broker | None = None) -> None:
        self._broker = broker or Broker()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on, or will again; 0 before the first start if a free one is to be taken."""
        return self._broker.port

    def start(self) -> None:
        """Listen; returns when clients can connect. Raises OSError if the port is taken."""
        if self._thread is not None:
            return
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="demo-broker", daemon=True
        )
        self._thread.start()
        try:
            started.result(DEADLINE_S)
        except OSError:
            self._join()
            raise

    def stop(self, *, keep_state: bool = False, abrupt: bool = False) -> None:
        """Stop as Broker.stop does; safe to call again."""
        if self._thread is None or self._loop is None or self._stopped is None:
            return
        stopping = self._broker.stop(keep_state=keep_state, abrupt=abrupt)
        asyncio.run_coroutine_threadsafe(stopping, self._loop).result(DEADLINE_S)
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._join()

    def call(self, function: Callable[[Broker], T]) -> T:
        """Run `function(broker)` in the broker's thread and return its result or raise its exception."""
        if self._loop is None:
            return function(self._broker)  # nobody else touches a stopped broker

        async def run() -> T:
            return function(self._broker)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(DEADLINE_S)

    async def _serve(self, started: Future[None]) -> None:
        stopped = asyncio.Event()
        try:
            await self._broker.start()
        except OSError as error:
            started.set_exception(error)
            return
        self._loop, self._stopped = asyncio.get_running_loop(), stopped
        started.set_result(None)
        await stopped.wait()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join(DEADLINE_S)
        self._thread = self._loop = self._stopped = None
