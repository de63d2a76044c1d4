"""What the broker would not take, and when to try again. A refusal deletes nothing: the rows stay in the journal.

A PUBACK's reason code (MQTT 5, 3.4.2.1) says whom it concerns:
* 0x87 not authorised: this *topic*. It is held, others flow; tried again after a reconnect and every hour.
* 0x90 topic name invalid, 0x95 packet too large, 0x99 payload format invalid: this *message* can never pass
  (`set_aside.py` keeps its rows apart).
* all others, like 0x80, 0x93, 0x97 quota exceeded: the *broker* is in trouble. Everything rests, longer each time.
"""

from dataclasses import dataclass
from enum import Enum, auto

REFUSED = 0x80
"""Reason codes from here on are refusals."""
TOO_LARGE = 0x95
_NOT_AUTHORISED = 0x87
_NEVER = frozenset({0x90, TOO_LARGE, 0x99})
_RETRY_TOPIC_S = 3600.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0
_QUIET_S = 60.0
"""So long without a refusal, and the trouble is over: a broker that refuses now and then raises one alarm."""


class Concerns(Enum):
    """What a reason code speaks of."""

    TOPIC = auto()
    MESSAGE = auto()
    BROKER = auto()


def concerns(code: int) -> Concerns:
    """Classify a reason code of 0x80 or more."""
    if code == _NOT_AUTHORISED:
        return Concerns.TOPIC
    return Concerns.MESSAGE if code in _NEVER else Concerns.BROKER


@dataclass(slots=True)
class _Hold:
    until: float
    """Monotonic seconds; in the past: it is being tried."""
    sticky: bool
    """True if another attempt would cost the connection: not tried again just because there is a new one."""


class Refusals:
    """Held topics, and how long the whole window rests; times are monotonic seconds."""

    def __init__(self) -> None:
        self.pause_until = 0.0
        self._pause = _FIRST_PAUSE_S
        self._holds: dict[str, _Hold] = {}
        self._held: set[str] = set()
        self._last = float("-inf")

    def holds(self, topic: str) -> bool:
        """Return True if nothing must go to `topic` now."""
        return topic in self._held

    def any_held(self) -> bool:
        """Return True if `holds` is worth asking."""
        return bool(self._held)

    def refused(self, now: float) -> None:
        """Note that something was refused."""
        self._last = now

    def hold(self, topic: str, now: float, *, sticky: bool = False) -> None:
        """Leave `topic` alone for an hour."""
        self._holds[topic] = _Hold(now + _RETRY_TOPIC_S, sticky)
        self._held.add(topic)

    def rest(self, now: float) -> None:
        """Send nothing at all for a while, longer each time in a row."""
        if now < self.pause_until:
            return  # the rest of the same window
        self.pause_until = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)

    def accepted(self, topic: str) -> None:
        """The broker has taken a message."""
        self._pause = _FIRST_PAUSE_S
        if topic in self._holds:
            del self._holds[topic]
            self._held.discard(topic)

    def reconnected(self) -> None:
        """Begin with a new connection: whoever was refused may be allowed now."""
        self.pause_until = 0.0
        self._held = {topic for topic, hold in self._holds.items() if hold.sticky}

    def due(self, now: float) -> bool:
        """Let go the topics whose hour has passed; return True if there were any."""
        ready = {topic for topic in self._held if self._holds[topic].until <= now}
        self._held -= ready
        return bool(ready)

    def forget_tried(self) -> None:
        """Everything has been sent: a topic that is not held any more had nothing left to be refused."""
        self._holds = {topic: hold for topic, hold in self._holds.items() if topic in self._held}

    def over(self, now: float) -> bool:
        """Return True if nothing is held and nothing was refused for a while."""
        return not self._holds and now - self._last >= _QUIET_S
