"""The centre of a rehearsal: a broker in the same process that can be out of reach, and what arrived there."""

import json
from collections.abc import Mapping
from typing import Any

from edge_agent.demo.sink import Sink
from edge_agent.errors import UplinkError
from edge_agent.uplink.connection import Acknowledged, Happening, Lost, Message, Opened, Received

_WINDOW = 65_535
_PACKET = 268_435_455


class Centre:
    """Keeps what arrives, and what is retained of it; `reachable` False ends every connection."""

    def __init__(self) -> None:
        self.sink = Sink()
        self.reachable = True
        self.retained: dict[str, bytes] = {}
        self.replies: dict[str, dict[str, Any]] = {}
        """Command id -> answer."""
        self._asked: list[Received] = []

    def connect(self, will: Message) -> "Wire":
        """Open a connection; raises UplinkError while the way is gone."""
        del will
        if not self.reachable:
            raise UplinkError("network is unreachable")
        return Wire(self)

    def ask(self, topic: str, body: Mapping[str, Any]) -> None:
        """Publish a command; it is lost if the station cannot be reached."""
        if self.reachable:
            payload = json.dumps(body).encode()
            self._asked.append(Received(topic, payload, retain=False, expiry=60, response_topic=None, correlation=None))

    def asked(self) -> list[Received]:
        """Take what has been asked since the last call."""
        asked, self._asked = self._asked, []
        return asked

    def take(self, message: Message) -> None:
        """Keep one message."""
        if "/reply/" in message.topic:
            body = json.loads(message.payload)
            self.replies[body["id"]] = body
            return
        self.sink.take(message.topic, message.payload)
        if message.retain:
            self.retained[message.topic] = message.payload


class Wire:
    """A `Connection` to the centre that answers at once."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._happened: list[Happening] = [Opened(_WINDOW, _PACKET)]
        self._sent = 0

    def send(self, message: Message) -> int:
        """Carry a message; its acknowledgement comes with the next `pump`."""
        self._use()
        self._sent = self._sent % _WINDOW + 1
        self._centre.take(message)
        self._happened.append(Acknowledged(self._sent, 0))
        return self._sent

    def subscribe(self, topic_filter: str, *, retain_as_published: bool = True) -> None:
        """Hand over what is retained there; nobody else publishes."""
        del retain_as_published
        self._use()
        payload = self._centre.retained.get(topic_filter)
        if payload:
            self._happened.append(
                Received(topic_filter, payload, retain=True, expiry=None, response_topic=None, correlation=None)
            )

    def unsubscribe(self, topic_filter: str) -> None:
        """Nothing more would come anyway."""
        del topic_filter

    def pump(self, seconds: float) -> list[Happening]:
        """Return what has happened; never waits."""
        del seconds
        if not self._centre.reachable:
            return [Lost("network is unreachable")]
        happened, self._happened = self._happened, []
        return [*happened, *self._centre.asked()]

    def wake(self) -> None:
        """Nobody waits."""

    def close(self, *, in_peace: bool) -> None:
        """There is nothing to let go of."""
        del in_peace

    def _use(self) -> None:
        if not self._centre.reachable:
            raise UplinkError("network is unreachable")
