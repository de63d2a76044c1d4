"""How fast: when to connect again, and how many messages of a backlog may go a second.

Reconnecting is jittered, also before the first attempt. Without that a broker's restart brings the whole fleet back in
the same second: of 160,000 stations the last would be connected after two and a half hours.
"""

import random
from dataclasses import dataclass

_YOUNG = 120.0
"""Seconds of uptime below which a start is taken for a power cut that hit the neighbours too."""
_CRITICAL_EVERY = 60.0
TAKEN_OVER = 0x8E
_TAKEN_OVER_PAUSE = 60.0
"""Two clients of one identity throw each other out; not more often than once a minute."""
_UNKNOWN = frozenset({0x86, 0x87, 0x8A, 0x8C})
"""The broker does not know us: wrong password, no rights, banned, wrong method."""
_UNKNOWN_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds: the longest pause before the first reconnect, and the longest at all."""

    first: float = 60.0
    ceiling: float = 300.0


class Backoff:
    """Full jitter: uniform between nothing and a bound that doubles."""

    def __init__(self, pauses: Pauses, rng: random.Random) -> None:
        self._pauses = pauses
        self._rng = rng
        self._bound = pauses.first
        self._critical_at = float("-inf")

    def at_start(self, uptime: float, *, backlog: bool) -> float:
        """Return the pause before the very first attempt: none, unless the power has just come back to many."""
        return self.after_failure() if uptime < _YOUNG and backlog else 0.0

    def after_failure(self, code: int = 0) -> float:
        """Return the pause before the next attempt; `code` is the broker's reason (MQTT 5, 2.4), 0 without one."""
        pause = self._rng.uniform(0.0, self._bound)
        self._bound = min(self._bound * 2, self._pauses.ceiling)
        if code == TAKEN_OVER:
            return max(pause, _TAKEN_OVER_PAUSE)
        return max(pause, min(_UNKNOWN_PAUSE, self._pauses.ceiling)) if code in _UNKNOWN else pause

    def success(self) -> None:
        """Begin anew after a connection that worked."""
        self._bound = self._pauses.first

    def may_jump(self, now: float) -> bool:
        """Return True, at most once a minute, if a waiting critical alarm may try at once."""
        if now - self._critical_at < _CRITICAL_EVERY:
            return False
        self._critical_at = now
        return True


@dataclass(slots=True)
class Pace:
    """A token bucket: `rate` messages a second, 0 = no limit; times are monotonic seconds."""

    rate: float
    tokens: float = 1.0
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until one more may go."""
        if self.rate <= 0:
            return 0.0
        self.tokens = min(self.tokens + (now - self.at) * self.rate, max(1.0, self.rate))
        self.at = now
        return max(0.0, (1.0 - self.tokens) / self.rate)

    def spend(self) -> None:
        """One has gone."""
        self.tokens -= 1.0
