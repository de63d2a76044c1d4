"""What passes through the broker: application messages, and the retained ones among them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from edge_agent.demo.mqtt_packets import Publish, Will
from edge_agent.demo.mqtt_properties import Properties
from edge_agent.demo.topics import topic_matches


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted publish; `received` is monotonic seconds, `expiry` seconds from then or None."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry: int | None
    properties: Properties
    client_id: str
    received: float

    @classmethod
    def of(cls, source: Publish | Will, client_id: str, received: float) -> "Message":
        """The message that a publish or a will carries."""
        properties = source.properties
        if properties.will_delay_interval is not None:
            # why: the delay is for the broker alone (3.1.3.2.2). It waits for the session's end at most, and here the
            # session ends with its connection: the will is due at once.
            properties = replace(properties, will_delay_interval=None)
        expiry = properties.message_expiry_interval
        return cls(source.topic, source.payload, source.qos, source.retain, expiry, properties, client_id, received)

    def expired(self, now: float) -> bool:
        """Whether its expiry interval has passed."""
        return self.expiry is not None and now - self.received >= self.expiry

    def properties_at(self, now: float) -> Properties:
        """The properties to send on, with the time waited taken off the expiry interval (MQTT-3.3.2-6)."""
        waited = int(now - self.received)
        if self.expiry is None or not waited:
            return self.properties
        return replace(self.properties, message_expiry_interval=max(self.expiry - waited, 0))


class RetainedStore:
    """The newest retained message of each topic, without the expired ones."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._messages: dict[str, Message] = {}

    def store(self, message: Message) -> None:
        """Replace the topic's message; an empty payload removes it (3.3.1.3)."""
        if message.payload:
            self._messages[message.topic] = message
        else:
            self._messages.pop(message.topic, None)

    def matching(self, topic_filter: str) -> Iterator[Message]:
        """The messages a new subscription is to receive."""
        return (message for topic, message in self.view().items() if topic_matches(topic_filter, topic))

    def view(self) -> Mapping[str, Message]:
        """Read-only view by topic."""
        now = self._clock()
        for topic in [topic for topic, message in self._messages.items() if message.expired(now)]:
            del self._messages[topic]
        return MappingProxyType(self._messages)

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
