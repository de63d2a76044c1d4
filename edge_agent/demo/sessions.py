"""One client's session, from CONNECT to the end of its connection: no state outlives it (session expiry 0)."""

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.demo.connection import Connection
from edge_agent.demo.messages import Message
from edge_agent.demo.mqtt_packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from edge_agent.demo.mqtt_properties import Properties
from edge_agent.demo.mqtt_wire import MAX_LENGTH, ProtocolError, ReasonCode, violation
from edge_agent.demo.outbox import Outbox
from edge_agent.demo.topics import SHARED_PREFIX, is_topic_filter, topic_matches

if TYPE_CHECKING:
    from edge_agent.demo.broker import Broker

log = logging.getLogger(__name__)

CONNECT_DEADLINE_S = 10.0
"""How long a connection may stay without a CONNECT (3.1: "a reasonable amount of time")."""
KEEP_ALIVE_FACTOR = 1.5
"""Silence of this many keep alive intervals ends the connection (MQTT-3.1.2-22)."""


class HeldAcks:
    """Acknowledgements that a behaviour keeps back, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Puback]] = []

    def hold(self, puback: Puback, due: float) -> None:
        """Keep one until `due`, in monotonic seconds."""
        self._waiting.append((due, puback))

    def take(self, now: float, *, newest_first: bool) -> list[Puback]:
        """Those due; with `newest_first` all of them, backwards, as soon as the oldest is due."""
        if not self._waiting or (newest_first and self._waiting[0][0] > now):
            return []
        ready = [puback for due, puback in self._waiting if newest_first or due <= now]
        self._waiting = [] if newest_first else [held for held in self._waiting if held[0] > now]
        return ready[::-1] if newest_first else ready


class Session(Connection):
    """Speaks MQTT 5 with one client; what concerns more than this client it asks of the broker."""

    def __init__(self, broker: "Broker") -> None:
        super().__init__(broker.clock, broker.maximum_packet_size)
        self.client_id = ""
        self._broker = broker
        self._connected = False
        self._ended = False
        self._will: Will | None = None
        self._silence_limit_s = CONNECT_DEADLINE_S
        # From the client.
        self._receive_maximum = MAX_LENGTH
        self._publishes = 0
        self._unacknowledged = 0
        self._acks_not_written = 0
        self._held_acks = HeldAcks()
        # To the client.
        self._subscriptions: dict[str, Subscription] = {}
        self._outbox = Outbox(broker.queue_limit, broker.count)

    # -- what the broker asks of a session ---------------------------------------------------------------------------

    def offer(self, message: Message) -> None:
        """Queue `message` if a subscription wants it, once, at the highest QoS granted (3.3.4)."""
        wanting = [
            subscription
            for subscription in self._subscriptions.values()
            if topic_matches(subscription.topic_filter, message.topic)
            and not (subscription.no_local and message.client_id == self.client_id)
        ]
        if wanting:
            qos = min(message.qos, max(subscription.qos for subscription in wanting))
            retain = message.retain and any(subscription.retain_as_published for subscription in wanting)
            self._outbox.put(message, qos, retain=retain)
            self._pump()

    def end(self, reason: ReasonCode | None, *, publish_will: bool = True) -> None:
        """End the session: its will goes out, then DISCONNECT with `reason` (None: without a word), then it closes."""
        if self._ended:
            return
        self._ended = True
        self._broker.forget(self)
        if self._will is not None and publish_will:
            self._broker.publish(Message.of(self._will, self.client_id, self.clock()))
        if reason is not None and self._connected:
            self.close(Disconnect(reason).to_bytes())
        else:
            self.close()

    def cut(self, *, publish_will: bool = True) -> None:
        """Break the connection as a network failure would."""
        self.abort()
        self.end(None, publish_will=publish_will)

    def release(self) -> None:
        """Send the acknowledgements held back, and speak again."""
        self._send_acks(self._held_acks.take(math.inf, newest_first=self._broker.behaviour.reverse_acks))
        if self.silent:
            self.set_silent(False)

    def tick(self, now: float) -> None:
        """Send what is due and enforce the deadlines."""
        self.check_linger(now)
        if self.silent or self.closing:
            return
        if not self._broker.behaviour.hold_acks:
            self._send_acks(self._held_acks.take(now, newest_first=self._broker.behaviour.reverse_acks))
        if self._silence_limit_s and now - self.last_heard > self._silence_limit_s:
            self.end(ReasonCode.KEEP_ALIVE_TIMEOUT)

    # -- what the connection reports ---------------------------------------------------------------------------------

    def handle_made(self) -> None:
        """A client is there."""
        if not self._broker.listening:
            self.abort()
        self._broker.sessions.add(self)
        if self._broker.behaviour.black_hole:
            self.set_silent(True)

    def handle_packet(self, packet: Packet) -> None:
        """Act on one packet from the client."""
        if isinstance(packet, Connect) and not self._connected:
            self._handle_connect(packet)
        elif not self._connected:
            self.end(None)  # MQTT-3.1.0-1: anything before CONNECT closes the connection
        elif isinstance(packet, Publish):
            self._handle_publish(packet)
        elif isinstance(packet, Puback):
            self._outbox.acknowledged(packet.packet_id)
            self._pump()
        elif isinstance(packet, Subscribe):
            self._handle_subscribe(packet)
        elif isinstance(packet, Unsubscribe):
            self._handle_unsubscribe(packet)
        elif isinstance(packet, Pingreq) and not isinstance(packet, Pingresp):
            self.send(Pingresp().to_bytes())
        elif isinstance(packet, Disconnect):
            self.end(None, publish_will=packet.reason is not ReasonCode.SUCCESS)
        else:
            raise violation(f"{type(packet).__name__.upper()} is not for a client to send here")

    def handle_error(self, error: ProtocolError) -> None:
        """Tell the client what it did wrong and close (4.13)."""
        self._broker.count("protocol_errors")
        if not self._connected and not self.closing:
            self.send(Connack(error.reason).to_bytes())
        self.end(error.reason)

    def handle_lost(self) -> None:
        """The connection is gone, and with it the session."""
        self._broker.sessions.discard(self)
        self.end(None)

    def handle_writable(self) -> None:
        """Account for the acknowledgements written, and go on with the queue."""
        self._unacknowledged -= self._acks_not_written
        self._acks_not_written = 0
        self._pump()

    # -- client to broker --------------------------------------------------------------------------------------------

    def _handle_connect(self, connect: Connect) -> None:
        behaviour = self._broker.behaviour
        reason = self._broker.admission(connect)
        if reason is not ReasonCode.SUCCESS:
            self._broker.count("refused_connects")
            self.close(Connack(reason).to_bytes())
            return
        announced = connect.properties
        self._outbox.set_limits(announced.receive_maximum, announced.maximum_packet_size)
        self._receive_maximum = behaviour.receive_maximum or MAX_LENGTH
        keep_alive = connect.keep_alive if behaviour.server_keep_alive is None else behaviour.server_keep_alive
        self._silence_limit_s = keep_alive * KEEP_ALIVE_FACTOR
        self._will = connect.will
        self.client_id = connect.client_id or self._broker.new_client_id()
        self._connected = True
        self._broker.admit(self)
        answer = Properties(
            session_expiry_interval=0 if announced.session_expiry_interval else None,
            receive_maximum=behaviour.receive_maximum,
            maximum_qos=1,
            maximum_packet_size=self._broker.maximum_packet_size,
            assigned_client_identifier=None if connect.client_id else self.client_id,
            server_keep_alive=behaviour.server_keep_alive,
            subscription_identifier_available=False,
            shared_subscription_available=False,
        )
        self.send(behaviour.connack_bytes or Connack(properties=answer).to_bytes())
        if behaviour.close_after_connack:
            self.end(None)

    def _handle_publish(self, publish: Publish) -> None:
        if publish.properties.topic_alias is not None:
            raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "topic alias used, none allowed")
        if publish.qos > 1:
            raise ProtocolError(ReasonCode.QOS_NOT_SUPPORTED, "QoS 2 used, 1 is the maximum")
        if publish.qos:
            if self._unacknowledged >= self._receive_maximum:
                raise ProtocolError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, f"more than {self._receive_maximum} in flight")
            self._unacknowledged += 1
        self._publishes += 1
        reason = self._broker.accept(publish, self.client_id)
        behaviour = self._broker.behaviour
        if self._publishes == behaviour.drop_after:
            self.flush()
            self.cut()
            return
        if publish.packet_id is not None and not behaviour.never_ack:
            puback = Puback(publish.packet_id, reason)
            if behaviour.hold_acks or behaviour.reverse_acks or behaviour.ack_delay_s:
                self._held_acks.hold(puback, self.clock() + behaviour.ack_delay_s)
            else:
                self._send_acks([puback])
        if self._publishes == behaviour.silent_after:
            self.set_silent(True)

    def _send_acks(self, pubacks: list[Puback]) -> None:
        for puback in pubacks:
            self.send(self._broker.behaviour.puback_bytes or puback.to_bytes())
            self._acks_not_written += 1
            self._broker.count("acked" if puback.reason < ReasonCode.UNSPECIFIED_ERROR else "refused")

    # -- broker to client --------------------------------------------------------------------------------------------

    def _handle_subscribe(self, subscribe: Subscribe) -> None:
        if subscribe.properties.subscription_identifier:
            raise ProtocolError(ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "subscription identifier used")
        reasons = []
        for asked in subscribe.subscriptions:
            if asked.topic_filter.startswith(SHARED_PREFIX):
                reasons.append(ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
            elif not is_topic_filter(asked.topic_filter):
                reasons.append(ReasonCode.TOPIC_FILTER_INVALID)
            else:
                reasons.append(ReasonCode.GRANTED_QOS_1 if asked.qos else ReasonCode.SUCCESS)
                self._subscribe(replace(asked, qos=min(asked.qos, 1)))
        self.send(Suback(subscribe.packet_id, tuple(reasons)).to_bytes())
        self._pump()

    def _subscribe(self, subscription: Subscription) -> None:
        known = subscription.topic_filter in self._subscriptions
        self._subscriptions[subscription.topic_filter] = subscription
        if subscription.retain_handling == 0 or (subscription.retain_handling == 1 and not known):
            for message in self._broker.retained_store.matching(subscription.topic_filter):
                self._outbox.put(message, min(message.qos, subscription.qos), retain=True)

    def _handle_unsubscribe(self, unsubscribe: Unsubscribe) -> None:
        known = [self._subscriptions.pop(asked, None) is not None for asked in unsubscribe.topic_filters]
        reasons = tuple(ReasonCode.SUCCESS if each else ReasonCode.NO_SUBSCRIPTION_EXISTED for each in known)
        self.send(Unsuback(unsubscribe.packet_id, reasons).to_bytes())

    def _pump(self) -> None:
        while self.writable and (packet := self._outbox.next_packet(self.clock())) is not None:
            self.send(packet)
