"""Messages on their way to one client: in order, within its window, and not more than a bounded number."""

from collections import deque
from collections.abc import Callable

from edge_agent.demo.messages import Message
from edge_agent.demo.mqtt_packets import Publish
from edge_agent.demo.mqtt_wire import MAX_LENGTH

IN_FLIGHT_LIMIT = 1000
"""QoS 1 messages unacknowledged by one client at the same time, whatever larger number it allows."""


class Outbox:
    """Queue between the broker and one client; `count` is told "delivered" or "dropped" for each message.

    There is no redelivery: a session ends with its connection, and its unacknowledged messages with it (4.4).
    """

    def __init__(self, limit: int, count: Callable[[str], None]) -> None:
        self._limit = limit
        self._count = count
        self._waiting: deque[tuple[Message, int, bool]] = deque()
        self._in_flight: set[int] = set()
        self._last_packet_id = 0
        self._window = IN_FLIGHT_LIMIT
        self._maximum_packet_size: int | None = None

    def set_limits(self, receive_maximum: int | None, maximum_packet_size: int | None) -> None:
        """What the client said in CONNECT: unacknowledged messages (3.1.2.11.3) and bytes a packet (3.1.2.11.4)."""
        self._window = min(receive_maximum or MAX_LENGTH, IN_FLIGHT_LIMIT)
        self._maximum_packet_size = maximum_packet_size

    def put(self, message: Message, qos: int, *, retain: bool) -> None:
        """Queue a message; the newest is dropped when the queue is full."""
        if len(self._waiting) >= self._limit:
            self._count("dropped")
        else:
            self._waiting.append((message, qos, retain))

    def acknowledged(self, packet_id: int) -> None:
        """The client sent PUBACK; one that was not asked for changes nothing."""
        self._in_flight.discard(packet_id)

    def next_packet(self, now: float) -> bytes | None:
        """The next PUBLISH that may be sent, None while the queue is empty or the window full."""
        while self._waiting:
            message, qos, retain = self._waiting[0]
            if qos and len(self._in_flight) >= self._window:
                return None
            self._waiting.popleft()
            packet_id = self._free_packet_id() if qos else None
            properties = message.properties_at(now)
            packet = Publish(message.topic, message.payload, qos, retain, packet_id, properties=properties).to_bytes()
            # why: a client's limit is not the publisher's fault; the message counts as delivered to it (MQTT-3.1.2-25).
            too_large = self._maximum_packet_size is not None and len(packet) > self._maximum_packet_size
            if too_large or message.expired(now):
                self._count("dropped")
                continue
            if packet_id is not None:
                self._in_flight.add(packet_id)
            self._count("delivered")
            return packet
        return None

    def _free_packet_id(self) -> int:
        while True:
            self._last_packet_id = self._last_packet_id % MAX_LENGTH + 1
            if self._last_packet_id not in self._in_flight:
                return self._last_packet_id
