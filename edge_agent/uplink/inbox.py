"""Commands that came over MQTT: through the gate, and the answers back."""

from collections import deque

from edge_agent.commands import Gate, Request
from edge_agent.uplink import payloads
from edge_agent.uplink.connection import Message, Received
from edge_agent.uplink.outbox import Outbox
from edge_agent.uplink.topics import Topics

_MOST = 100
_REPLY_EXPIRY = 60


class Inbox:
    """Holds what has come until its turn; of too many the oldest are dropped, unanswered like those that came late."""

    def __init__(self, topics: Topics, gate: Gate) -> None:
        self._topics = topics
        self._gate = gate
        self._waiting: deque[Received] = deque(maxlen=_MOST)

    def put(self, received: Received) -> None:
        """Let a message wait."""
        self._waiting.append(received)

    def step(self, outbox: Outbox) -> bool:
        """Handle one command; return True if there may be more. One at a time: each may wait for the journal."""
        if not self._waiting:
            return False
        received = self._waiting.popleft()
        verb = self._topics.verb(received.topic)
        if verb is None:
            return True
        answer = self._gate.handle(Request(verb, received.payload, received.expiry, received.retain))
        payload = payloads.reply(answer.id, ok=answer.ok, reason=answer.reason, result=answer.result)
        if answer.id:
            outbox.reply(Message(self._topics.reply(answer.id), payload, expiry=_REPLY_EXPIRY))
        where = received.response_topic
        if where is not None and self._topics.may_answer_at(where):
            outbox.reply(Message(where, payload, expiry=_REPLY_EXPIRY, correlation=received.correlation))
        return True
