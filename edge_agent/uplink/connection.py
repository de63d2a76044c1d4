"""What the uplink needs of a connection to a broker, and what it hears from it; `paho_connection` is the real one."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

PACKET_HEAD = 32
"""Bytes of a PUBLISH beside topic, payload and correlation data, at most: fixed header, lengths, id, expiry."""


@dataclass(frozen=True, slots=True)
class Message:
    """One PUBLISH, always QoS 1; `expiry` in seconds, None = never; `correlation` goes back to who asked (MQTT 5)."""

    topic: str
    payload: bytes
    retain: bool = False
    expiry: int | None = None
    correlation: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the packet, at most."""
        return PACKET_HEAD + len(self.topic.encode()) + len(self.payload) + len(self.correlation or b"")


@dataclass(frozen=True, slots=True)
class Opened:
    """CONNACK accepted; `receive_maximum` messages may be unacknowledged at once, each of `maximum_packet` bytes."""

    receive_maximum: int
    maximum_packet: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK for packet `mid`: only a `code` below 0x80 means that the broker has it."""

    mid: int
    code: int


@dataclass(frozen=True, slots=True)
class Received:
    """A PUBLISH from the broker; `retain` as was asked for (`subscribe`), `expiry` is what is left of it in seconds."""

    topic: str
    payload: bytes
    retain: bool
    expiry: int | None
    response_topic: str | None
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is over; `code` is the MQTT reason code, 0 if the network broke without one."""

    why: str
    code: int = 0


Happening: TypeAlias = Opened | Acknowledged | Received | Lost


class Connection(Protocol):
    """One connection from CONNECT to its end; tests may give the uplink another than paho's."""

    def send(self, message: Message) -> int:
        """Queue one message and return its packet id; raises UplinkError if the connection is gone."""

    def subscribe(self, topic_filter: str, *, retain_as_published: bool = True) -> None:
        """Ask for messages, QoS 1; raises UplinkError if the connection is gone.

        Without `retain_as_published` only what the broker held before is marked as retained (MQTT 5, 3.8.3.1).
        """

    def unsubscribe(self, topic_filter: str) -> None:
        """Ask for no more of them; raises UplinkError if the connection is gone."""

    def pump(self, seconds: float) -> list[Happening]:
        """Move bytes both ways for at most `seconds`, returning early when something happens or `wake` is called."""

    def wake(self) -> None:
        """Make `pump` return at once (from another thread)."""

    def close(self, *, in_peace: bool) -> None:
        """Say DISCONNECT and let go; unless `in_peace` the broker is to publish the will. Never raises."""


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  (the signature of SSLSocket)
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


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

    @property
    def password(self) -> str | None:
        """Read afresh for each connection, so that it can be changed without a restart; raises OSError, ValueError."""
        return None if self.password_file is None else self.password_file.read_text(encoding="utf-8").strip()

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, certificate and host name verified; there is no switch to skip that."""
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        context.sslsocket_class = _Socket
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None and self.key_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context
