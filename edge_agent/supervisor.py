"""The Supervisor: collects promises of progress, restarts what is stuck, tells systemd the truth.

Everything that moves promises again and again when it will next be back ("now + my rest + my longest step"). A promise
that is not kept is the only evidence of being stuck that also catches a call which never returns. The sign of life to
systemd follows from kept promises; a bare timer would go on ticking beside a dead journal.

`critical` says whose standstill only a new process can cure: with it stuck and no restart left, the sign of life
stops and systemd ends the process after `WatchdogSec`.
"""

import logging
import math
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.clock import Clock
from edge_agent.sdnotify import Notifier

log = logging.getLogger(__name__)

_PERIOD = 10.0
"""Longest time between signs of life, s."""
_LOOK = 1.0
"""Seconds between two looks at the promises."""
_FIRST = 30.0
"""Seconds that something registered has for its first promise."""
_RESTARTS = 3
"""Restarts in a row. Each may leave a thread behind that hangs in the kernel, so they must be few."""
_PAUSE = 10.0
"""Seconds to show progress after the first restart; twice as long after each further one."""
_STEADY = 600.0
"""Seconds without a restart after which all restarts are available again."""


@dataclass(slots=True)
class _Party:
    """What the supervisor knows of one that promises; times are monotonic s."""

    name: str
    restart: Callable[[], None] | None
    critical: bool
    due: float
    given: int = 0
    """Promises since it was last found overdue; the second shows that the first was kept."""
    stuck_since: float | None = None
    restarts: int = 0
    restarted_at: float = -math.inf


class Promise:
    """One party's word; the handle may be used from any thread.

    It belongs to the party and not to one thread of it: a thread that has been replaced must not touch it any more.
    """

    def __init__(self, party: _Party) -> None:
        self._party = party

    def by(self, deadline_monotonic: float) -> None:
        """Promise to be back here by that time (monotonic s); replaces the promise before."""
        self._party.due = deadline_monotonic
        self._party.given += 1

    def done(self) -> None:
        """Promise nothing any more: an orderly end, until the next `by`."""
        self._party.due = math.inf


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who has not kept a promise, and whether the process as a whole can be called alive."""

    overdue: tuple[str, ...]
    healthy: bool


class Supervisor:
    """Runs in the main thread; `step` is its whole work.

    `status` is asked for the line that `systemctl status` shows. `on_stuck(name, since)` is called once when a party
    is found stuck (`since`: monotonic s of the promise it broke) and `on_recovered(name)` once when it moves again.
    """

    def __init__(
        self,
        clock: Clock,
        notifier: Notifier,
        *,
        status: Callable[[], str] = str,
        on_stuck: Callable[[str, float], None] = lambda _name, _since: None,
        on_recovered: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.period = min(_PERIOD, (notifier.watchdog or math.inf) / 2)
        """Seconds between signs of life: at most half of what systemd allows."""
        self._clock = clock
        self._notifier = notifier
        self._status = status
        self._on_stuck = on_stuck
        self._on_recovered = on_recovered
        self._parties: dict[str, _Party] = {}
        self._registering = threading.Lock()
        self._next_sign = -math.inf

    def register(self, name: str, restart: Callable[[], None] | None, *, critical: bool) -> Promise:
        """Take a party in; it owes its first promise within 30 s. `restart` replaces it and must return soon."""
        party = _Party(name, restart, critical, due=self._clock.monotonic() + _FIRST)
        with self._registering:
            if name in self._parties:
                raise ValueError(f"{name!r} is registered already")
            self._parties[name] = party
        return Promise(party)

    def check(self, now: float) -> Verdict:
        """Judge all promises at monotonic time `now` (s); changes nothing."""
        overdue = [party for party in self._all() if party.due < now]
        return Verdict(tuple(party.name for party in overdue), healthy=not any(party.critical for party in overdue))

    def step(self) -> float:
        """Look at every promise, restart what is overdue, tell systemd; returns the seconds to rest.

        A restart buys its party time, so a critical one silences the sign of life only when its restarts are used up.
        """
        now = self._clock.monotonic()
        for party in self._all():
            due = party.due
            if due < now:
                self._overdue(party, due, now)
            else:
                self._in_time(party, due, now)
        if now >= self._next_sign:
            self._next_sign = now + self.period
            self._sign(alive=self.check(now).healthy)
        return max(0.0, min(_LOOK, self._next_sign - self._clock.monotonic()))

    def ready(self) -> None:
        """Tell systemd that acquisition runs; called once, from any thread."""
        self._notifier.send("READY=1")

    def run(self, stop: threading.Event) -> None:
        """Supervise until `stop` is set, then tell systemd that the end has begun."""
        while not stop.is_set():
            stop.wait(self.step())
        self._notifier.send("STOPPING=1", "STATUS=stopping")

    def _all(self) -> tuple[_Party, ...]:
        with self._registering:
            return tuple(self._parties.values())

    def _overdue(self, party: _Party, due: float, now: float) -> None:
        party.given = 0
        if party.stuck_since is None:
            party.stuck_since = due
            log.error("stuck name=%s overdue=%.1fs", party.name, now - due)
            self._guarded(lambda: self._on_stuck(party.name, due))
        if party.restart is None or party.restarts >= _RESTARTS:
            return
        party.restarts += 1
        party.restarted_at = now
        party.due = now + _PAUSE * 2 ** (party.restarts - 1)
        log.warning("restart name=%s number=%d of=%d", party.name, party.restarts, _RESTARTS)
        self._guarded(party.restart)

    def _in_time(self, party: _Party, due: float, now: float) -> None:
        if party.stuck_since is not None and (party.given >= 2 or due == math.inf):
            log.info("moves again name=%s after=%.1fs restarts=%d", party.name, now - party.stuck_since, party.restarts)
            party.stuck_since = None
            self._guarded(lambda: self._on_recovered(party.name))
        if party.stuck_since is None and now - party.restarted_at >= _STEADY:
            party.restarts = 0

    def _sign(self, *, alive: bool) -> None:
        stuck = [party.name for party in self._all() if party.stuck_since is not None]
        texts = [f"stuck: {', '.join(stuck)}"] if stuck else []
        self._guarded(lambda: texts.append(self._status()))
        status = f"STATUS={'; '.join(filter(None, texts))}"
        self._notifier.send(*(["WATCHDOG=1"] if alive else []), status)

    def _guarded(self, call: Callable[[], object]) -> None:
        """Let a fault in what others gave us stay theirs: the supervisor is the last that may fall."""
        try:
            call()
        except Exception:
            log.exception("a callback of the supervisor failed")


def stop_on_signals() -> threading.Event:
    """Return an event that is set by SIGTERM or SIGINT."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        # Not `stop.set()` right here: the handler interrupts the main thread, which may hold the event's own lock.
        threading.Thread(target=stop.set, name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop
