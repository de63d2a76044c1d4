"""One MQTT 5 connection through paho, driven from the uplink's own thread.

A new client for each connection, clean start and session expiry 0: paho re-sends its own unacknowledged packets even
with a clean start, and the journal re-sends too; there must be one truth. Its thread is not used: an exception in a
callback would end that thread for ever while `is_connected()` stays true. Callbacks here only append to a list.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.errors import UplinkError
from edge_agent.links.wake import Waker
from edge_agent.uplink.connection import Acknowledged, Broker, Happening, Lost, Message, Opened, Received
from edge_agent.uplink.paho_client import Client

_CONNECT_TIMEOUT = 10.0
_WITH_WILL = ReasonCode(PacketTypes.DISCONNECT, identifier=0x04)
_DEFAULT_RECEIVE_MAXIMUM = 65_535
_DEFAULT_MAXIMUM_PACKET = 268_435_460
_LARGEST_INBOUND = 8192
"""Bytes; the broker must not send more (CONNECT, Maximum Packet Size): commands have at most half of it."""
_MOST_INBOUND = 20
_FEW = 2
"""Messages in flight while somebody waits: an event and its totals. In a backlog PUBACKs had better come together."""
_SILENT_KEEPALIVES = 1.5
"""The broker gives us up after so many (MQTT 5, 3.1.2.10); we ping after one, so its answer has half a one."""


class PahoConnection:
    """A `Connection` to a real broker; opening blocks for at most 10 s a step (TCP, TLS)."""

    def __init__(self, broker: Broker, will: Message, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._happenings: list[Happening] = []
        self._clock = clock
        self._heard = clock()
        self._keepalive = broker.keepalive
        self._unanswered = 0
        self._client = client = Client(broker.client_id)
        try:
            client.connect_timeout = _CONNECT_TIMEOUT
            client.max_inflight_messages_set(max(broker.window, 1))
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
            client.on_connect = self._on_connect
            client.on_publish = self._on_publish
            client.on_message = self._on_message
            client.on_disconnect = self._on_disconnect
            client.on_socket_open = self._on_socket_open
            # With this callback paho leaves all writing to `pump`.
            client.on_socket_register_write = self._on_socket_register_write
            if broker.username is not None:
                client.username_pw_set(broker.username, broker.password)
            if broker.tls:
                client.tls_set_context(broker.context())
            properties = _properties(PacketTypes.CONNECT, SessionExpiryInterval=0, ReceiveMaximum=_MOST_INBOUND)
            properties.MaximumPacketSize = _LARGEST_INBOUND
            client.connect(broker.host, broker.port, broker.keepalive, clean_start=True, properties=properties)
        except (OSError, ValueError) as error:
            raise UplinkError(_explain(error, broker)) from error
        self._waker = Waker()
        self._poll = select.poll()
        self._poll.register(self._waker.fileno(), select.POLLIN)

    def send(self, message: Message) -> int:
        """See `Connection.send`."""
        properties: Properties | None = None
        if message.expiry is not None or message.correlation is not None:
            properties = _properties(
                PacketTypes.PUBLISH, MessageExpiryInterval=message.expiry, CorrelationData=message.correlation
            )
        info = self._client.publish(message.topic, message.payload, 1, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkError(mqtt.error_string(info.rc))
        self._unanswered += 1
        return info.mid

    def subscribe(self, topic_filter: str, *, retain_as_published: bool = True) -> None:
        """See `Connection.subscribe`."""
        options = SubscribeOptions(qos=1, retainAsPublished=retain_as_published)
        code, _ = self._client.subscribe(topic_filter, options=options)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkError(mqtt.error_string(code))

    def unsubscribe(self, topic_filter: str) -> None:
        """See `Connection.unsubscribe`."""
        code, _ = self._client.unsubscribe(topic_filter)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkError(mqtt.error_string(code))

    def pump(self, seconds: float) -> list[Happening]:
        """See `Connection.pump`."""
        if self._happenings:
            return self._taken()
        sock = cast("socket.socket | None", self._client.socket())
        if sock is None:
            return [Lost("connection closed")]
        decrypted = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        self._poll.register(sock, select.POLLIN | select.POLLOUT if self._client.want_write() else select.POLLIN)
        ready = dict(self._poll.poll(0 if decrypted else round(seconds * 1000)))
        self._poll.unregister(sock)
        if ready.pop(self._waker.fileno(), 0):
            self._waker.clear()
        try:
            code = self._move(sock, readable=decrypted or any(events != select.POLLOUT for events in ready.values()))
        except Exception as error:  # noqa: BLE001
            # paho 2.1 lets out whatever its decoder stumbles over in a malformed packet.
            return self._taken(Lost(f"broker sent nonsense: {error!r}"))
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return self._taken(Lost(mqtt.error_string(code)))
        silent = self._clock() - self._heard
        if self._keepalive and silent > self._keepalive * _SILENT_KEEPALIVES:
            return self._taken(Lost(f"broker is silent for {silent:.0f} s"))
        return self._taken()

    def wake(self) -> None:
        """See `Connection.wake`."""
        self._waker.set()

    def close(self, *, in_peace: bool) -> None:
        """See `Connection.close`."""
        self._client.on_disconnect = None
        self._client.disconnect(None if in_peace else _WITH_WILL)
        self._client.loop_write()
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._waker.close()

    def _move(self, sock: socket.socket, *, readable: bool) -> MQTTErrorCode:
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable:
            self._heard = self._clock()
            code = self._client.loop_read()
            if self._unanswered <= _FEW:
                # A broker that puts small packets together (Nagle; mosquitto does) holds its next PUBACK back until our
                # system has acknowledged the last, for which it takes up to 40 ms. It forgets the wish with each read.
                _set(sock, "TCP_QUICKACK", 1)
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._client.want_write():
            # All that waits leaves in as few TCP segments as will do: paho makes one of each message.
            _set(sock, "TCP_CORK", 1)
            code = self._client.loop_write()
            _set(sock, "TCP_CORK", 0)
        return self._client.loop_misc() if code == MQTTErrorCode.MQTT_ERR_SUCCESS else code

    def _taken(self, last: Lost | None = None) -> list[Happening]:
        taken, self._happenings = self._happenings, []
        if last is not None and not any(isinstance(happening, Lost) for happening in taken):
            taken.append(last)
        return taken

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, properties: Any) -> None:
        if code.is_failure:
            self._happenings.append(Lost(f"broker refused: {code}", code.value))
            return
        for name, purpose in (("MaximumQoS", "acknowledges nothing"), ("RetainAvailable", "retains nothing")):
            if getattr(properties, name, 1) == 0:
                self._happenings.append(Lost(f"broker is of no use to a station: it {purpose}"))
                return
        self._keepalive = getattr(properties, "ServerKeepAlive", self._keepalive)
        self._client.keep_alive(self._keepalive)
        receive_maximum = getattr(properties, "ReceiveMaximum", _DEFAULT_RECEIVE_MAXIMUM)
        self._happenings.append(
            Opened(receive_maximum, getattr(properties, "MaximumPacketSize", _DEFAULT_MAXIMUM_PACKET))
        )

    def _on_publish(self, _client: Any, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        self._unanswered -= 1
        self._happenings.append(Acknowledged(mid, self._client.foreign.pop(mid, code.value)))

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        properties = message.properties
        self._happenings.append(
            Received(
                message.topic,
                bytes(message.payload),
                message.retain,
                getattr(properties, "MessageExpiryInterval", None),
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
            )
        )

    @staticmethod
    def _on_socket_open(_client: Any, _data: Any, sock: Any) -> None:
        # Without this a small message waits up to 40 ms for the broker's delayed TCP acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def _on_socket_register_write(_client: Any, _data: Any, _sock: Any) -> None:
        """See above."""

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, code: ReasonCode, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            code = self._client.reason(code)
            self._happenings.append(Lost(f"broker ended the connection: {code}", code.value))
        else:
            self._happenings.append(Lost("connection lost"))


def _set(sock: socket.socket, option: str, on: int) -> None:
    """Set a TCP option of Linux's (tcp(7)) where there is one; paho may have closed the socket meanwhile."""
    if hasattr(socket, option) and sock.fileno() >= 0:
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), on)


def _properties(packet: int, **values: object) -> Properties:
    """Build MQTT 5 properties; None leaves one out."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties


def _explain(error: OSError | ValueError, broker: Broker) -> str:
    """Say which of the usual reasons it is: a wrong clock looks like an attack until it is named."""
    where = f"{broker.host}:{broker.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        if "not yet valid" in error.verify_message:
            return f"{where}: certificate is not yet valid: the station's clock is not set yet"
        return f"{where}: certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"{where}: TLS failed: {error.reason or error}"
    return f"{where}: {error}"
