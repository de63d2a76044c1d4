"""Commands that came over MQTT: through the gate, and the answers back.

A device that is stuck keeps a command waiting for seconds, and publishing must not wait with it. So the uplink's thread
only puts down what came and takes up what is answered; whoever calls `step` in between carries the commands out.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_agent.clock import Clock
from edge_agent.commands import Answer, Gate, Request
from edge_agent.uplink import payloads
from edge_agent.uplink.connection import Message, Received
from edge_agent.uplink.topics import Topics

_MOST = 100
_REPLY_EXPIRY = 60
_BUSY = "busy: too many commands wait here"


@dataclass(frozen=True, slots=True)
class _Waiting:
    received: Received
    request: Request
    since: float
    """Monotonic seconds."""


class Inbox:
    """In the order of arrival, one after the other; what finds no room is answered at once."""

    def __init__(self, topics: Topics, gate: Gate, clock: Clock) -> None:
        self.answered: Callable[[], None] = lambda: None
        """Called by whoever carries commands out when there is an answer to take up."""
        self._topics = topics
        self._gate = gate
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._answers: deque[tuple[float, Message]] = deque(maxlen=_MOST)
        self._came = threading.Event()

    # ---- the uplink's thread

    def put(self, received: Received) -> None:
        """Let a message wait, if it is a command."""
        verb = self._topics.verb(received.topic)
        if verb is None:
            return
        request = Request(verb, received.payload, received.expiry, received.retain)
        if len(self._waiting) >= _MOST:
            self._answer(received, self._gate.turn_away(request, _BUSY))
            return
        self._waiting.append(_Waiting(received, request, self._clock.monotonic()))
        self._came.set()

    def answers(self) -> list[Message]:
        """Take what is to be sent; an answer that nobody could be given in time is dropped."""
        now, found = self._clock.monotonic(), []
        while self._answers:
            since, message = self._answers.popleft()
            left = math.ceil(_REPLY_EXPIRY - (now - since))
            if left > 0:
                found.append(replace(message, expiry=left))
        return found

    # ---- the thread that carries them out

    def wait(self, seconds: float) -> None:
        """Rest until a command has come or `wake` was called, `seconds` at most."""
        self._came.wait(seconds)
        self._came.clear()

    def wake(self) -> None:
        """End `wait` (any thread)."""
        self._came.set()

    def step(self) -> bool:
        """Judge one command and carry it out; False if there was none."""
        if not self._waiting:
            return False
        command = self._waiting.popleft()
        request = command.request
        if request.expiry is not None:
            request = replace(request, expiry=request.expiry - (self._clock.monotonic() - command.since))
        self._answer(command.received, self._gate.handle(request))
        self.answered()
        return True

    def _answer(self, received: Received, answer: Answer) -> None:
        payload = payloads.reply(answer.id, ok=answer.ok, reason=answer.reason, result=answer.result)
        now = self._clock.monotonic()
        if answer.id:
            self._answers.append((now, Message(self._topics.reply(answer.id), payload)))
        where = received.response_topic
        if where is not None and self._topics.may_answer_at(where):
            self._answers.append((now, Message(where, payload, correlation=received.correlation)))
