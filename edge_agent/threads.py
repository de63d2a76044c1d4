"""Named daemon threads, each with an owner, a way to stop it, and its word to the supervisor."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edge_agent.clock import Clock
from edge_agent.supervisor import Promise, Supervisor

log = logging.getLogger(__name__)

_JOIN_S = 10.0

Run = Callable[[Callable[[float], None]], None]
"""The work of a thread; it is given `promise(deadline)`, to be told by when (monotonic s) it will be back."""


@dataclass(slots=True)
class _Held:
    stop: Callable[[], None]
    thread: threading.Thread = field(default_factory=threading.Thread)


class Threads:
    """Starts, replaces and ends threads; a thread that has been replaced can not speak for its successor any more."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._promises: dict[str, Promise] = {}

    def start(
        self,
        name: str,
        run: Run,
        stop: Callable[[], None],
        *,
        critical: bool = False,
        restart: Callable[[], None] | None = None,
    ) -> None:
        """Run `run` in thread `name`; one that runs under that name already is told to stop and left behind."""
        if name not in self._promises:
            self._promises[name] = self._supervisor.register(name, restart, critical=critical)
        promise = self._promises[name]
        old = self._held.get(name)
        held = self._held[name] = _Held(stop)

        def by(deadline: float) -> None:
            if self._held.get(name) is held:
                promise.by(deadline)

        def work() -> None:
            try:
                run(by)
            except Exception:
                log.exception("thread failed name=%s", name)
                # A promise broken at once: the supervisor need not wait for the last one to run out.
                by(self._clock.monotonic())

        held.thread = threading.Thread(target=work, name=name, daemon=True)
        if old is not None:
            old.stop()
        held.thread.start()

    def end(self, names: Iterable[str]) -> None:
        """Stop the threads in this order and wait for each; one that hangs is left behind and named in the log."""
        for name in names:
            held = self._held.pop(name, None)
            if held is None:
                continue
            held.stop()
            held.thread.join(_JOIN_S)
            self._promises[name].done()
            if held.thread.is_alive():
                log.error("thread does not end name=%s", name)
