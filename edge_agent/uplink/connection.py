"""One MQTT 5 connection through paho, driven from the uplink's own thread.

A new client for each connection, clean start and session expiry 0: paho re-sends its own unacknowledged packets even
with a clean start, and the journal re-sends too; there must be one truth. Its thread is not used: an exception in a
callback would end that thread for ever while `is_connected()` stays true. Callbacks here only append to a list.
"""

import logging
import select
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.errors import UplinkError
from edge_agent.links.wake import Waker

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT = 10.0
_DEFAULT_RECEIVE_MAXIMUM = 65535
_READ_BURST = 64
"""Packets taken per wake-up at most, so that sending keeps its turn."""


@dataclass(frozen=True, slots=True)
class Message:
    """One PUBLISH, always QoS 1; `expiry` in seconds, None = never."""

    topic: str
    payload: bytes
    retain: bool = False
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """CONNACK accepted; `receive_maximum` messages may be unacknowledged at once."""

    receive_maximum: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK for packet `mid`: only a `code` below 0x80 means that the broker has it."""

    mid: int
    code: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is over; `code` is the MQTT reason code, 0 if the network broke without one."""

    why: str
    code: int = 0


Happening = Opened | Acknowledged | Lost


class Connection(Protocol):
    """What the uplink needs of a connection; tests may give it another."""

    def send(self, message: Message) -> int:
        """Queue one message and return its packet id; raises UplinkError if the connection is gone."""

    def pump(self, seconds: float) -> list[Happening]:
        """Move bytes both ways for at most `seconds`, returning early when something happens or `wake` is called."""

    def wake(self) -> None:
        """Make `pump` return at once (from another thread)."""

    def close(self) -> None:
        """Say DISCONNECT and let go; never raises."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and as whom to connect; seconds."""

    host: str
    port: int
    client_id: str
    keepalive: int = 60
    tls: bool = False
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    window: int = 20

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, certificate and host name verified; there is no switch to skip that."""
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None and self.key_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


class PahoConnection:
    """A `Connection` to a real broker; opening blocks for at most 10 s a step (TCP, TLS)."""

    def __init__(self, broker: Broker, will: Message) -> None:
        self._happenings: list[Happening] = []
        self._waker = Waker()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=broker.client_id, protocol=mqtt.MQTTv5)
        self._client = client
        try:
            client.connect_timeout = _CONNECT_TIMEOUT
            client.max_inflight_messages_set(max(broker.window, 1))
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
            client.on_connect = self._on_connect
            client.on_publish = self._on_publish
            client.on_disconnect = self._on_disconnect
            client.on_socket_open = self._on_socket_open
            self._identify(broker)
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
            client.connect(broker.host, broker.port, broker.keepalive, clean_start=True, properties=properties)
        except (OSError, ValueError) as error:
            self._waker.close()
            raise UplinkError(_explain(error, broker)) from error

    def _identify(self, broker: Broker) -> None:
        if broker.username is not None:
            password = broker.password_file.read_text(encoding="utf-8").strip() if broker.password_file else None
            self._client.username_pw_set(broker.username, password)
        if broker.tls:
            self._client.tls_set_context(broker.context())

    def send(self, message: Message) -> int:
        """See `Connection.send`."""
        properties: Properties | None = None
        if message.expiry is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = message.expiry
        info = self._client.publish(message.topic, message.payload, 1, message.retain, properties)
        if info.rc not in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_QUEUE_SIZE}:
            raise UplinkError(mqtt.error_string(info.rc))
        return info.mid

    def pump(self, seconds: float) -> list[Happening]:
        """See `Connection.pump`."""
        sock = self._client.socket()
        if sock is None:
            return self._taken(Lost("connection closed"))
        if not self._happenings:
            pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            writers = [sock] if self._client.want_write() else []
            readers = [sock.fileno(), self._waker.fileno()]
            readable, writable, _ = select.select(readers, writers, [], 0.0 if pending else seconds)
            if readers[1] in readable:
                self._waker.clear()
            code = MQTTErrorCode.MQTT_ERR_SUCCESS
            if pending or readers[0] in readable:
                code = self._client.loop_read(_READ_BURST)
            if writable and code == MQTTErrorCode.MQTT_ERR_SUCCESS:
                code = self._client.loop_write()
            if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
                code = self._client.loop_misc()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._taken(Lost(mqtt.error_string(code)))
        return self._taken()

    def wake(self) -> None:
        """See `Connection.wake`."""
        self._waker.set()

    def close(self) -> None:
        """See `Connection.close`."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_write()
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._waker.close()

    def _taken(self, last: Lost | None = None) -> list[Happening]:
        taken, self._happenings = self._happenings, []
        if last is not None and not any(isinstance(happening, Lost) for happening in taken):
            taken.append(last)
        return taken

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, properties: Any) -> None:
        if code.is_failure:
            self._happenings.append(Lost(f"broker refused: {code}", code.value))
            return
        maximum = getattr(properties, "ReceiveMaximum", _DEFAULT_RECEIVE_MAXIMUM)
        keepalive = getattr(properties, "ServerKeepAlive", None)
        if keepalive:
            # paho 2.1 ignores the server's wish and would be thrown out for silence.
            self._client._keepalive = keepalive  # noqa: SLF001
        self._happenings.append(Opened(maximum))

    def _on_publish(self, _client: Any, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        self._happenings.append(Acknowledged(mid, code.value))

    @staticmethod
    def _on_socket_open(_client: Any, _data: Any, sock: socket.socket) -> None:
        # Without this a small message waits up to 40 ms for the broker's delayed TCP acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        from_broker = code.value >= 0x80
        self._happenings.append(Lost(str(code), code.value if from_broker else 0))


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
