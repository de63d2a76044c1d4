"""MQTT 5 control packets as frozen records.

Each has `to_bytes()` for the whole packet and `read(flags, body)` for the way back, where `flags` is the low half of
the first byte and `read` raises only ProtocolError. QoS 2 acknowledgements and AUTH are absent: the broker offers
neither.

Source: OASIS "MQTT Version 5.0" (2019), chapters 2 (format) and 3 (packets); the section is named at each class.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from edge_agent.demo.mqtt_properties import NO_PROPERTIES, Properties, Where
from edge_agent.demo.mqtt_wire import (
    Cursor,
    ProtocolError,
    ReasonCode,
    binary,
    malformed,
    text,
    varint,
    violation,
)

PROTOCOL_NAME, PROTOCOL_VERSION = "MQTT", 5


def frame(first_byte: int, *parts: bytes) -> bytes:
    """A packet from its first byte (type and flags) and the parts of its body (2.1)."""
    body = b"".join(parts)
    return bytes((first_byte,)) + varint(len(body)) + body


def check_topic_name(topic: str) -> str:
    """`topic` if a message may be published to it, else ProtocolError 0x90 (4.7.1, 4.7.3)."""
    if not topic or "+" in topic or "#" in topic:
        raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, f"not a topic name: {topic!r}")
    return topic


def _no_flags(flags: int) -> None:
    if flags:
        raise malformed(f"reserved flags 0x{flags:X}")


def _request(flags: int, body: Cursor, where: Where) -> tuple[int, Properties]:
    """Packet identifier and properties of a SUBSCRIBE or UNSUBSCRIBE, whose flags are fixed at 2 (2.1.3)."""
    if flags != 2:
        raise malformed(f"flags of {where.name} are 0x{flags:X}")
    packet_id, properties = body.packet_id(), Properties.read(body, where)
    if body.at_end:
        raise violation(f"{where.name} without a topic filter")
    return packet_id, properties


def _outcome(body: Cursor, where: Where) -> tuple[ReasonCode, Properties]:
    """Reason code and properties of a PUBACK or DISCONNECT; both may be left out at the end (3.4.2.1, 3.14.2.1)."""
    if body.at_end:
        return ReasonCode.SUCCESS, NO_PROPERTIES
    reason = body.reason()
    return reason, NO_PROPERTIES if body.at_end else Properties.read(body, where)


@dataclass(frozen=True, slots=True)
class Will:
    """The message a client leaves with the broker for the case that its connection breaks (3.1.2.5, 3.1.3.2)."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT (3.1); `keep_alive` in seconds, 0 = off."""

    TYPE: ClassVar = 0x10

    client_id: str
    clean_start: bool = True
    keep_alive: int = 60
    user_name: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet."""
        flags = self.clean_start << 1 | (self.password is not None) << 6 | (self.user_name is not None) << 7
        tail = [text(self.client_id)]
        if self.will is not None:
            flags |= 0x04 | self.will.qos << 3 | self.will.retain << 5
            tail += [self.will.properties.to_bytes(), text(self.will.topic), binary(self.will.payload)]
        if self.user_name is not None:
            tail.append(text(self.user_name))
        if self.password is not None:
            tail.append(binary(self.password))
        head = text(PROTOCOL_NAME) + bytes((PROTOCOL_VERSION, flags)) + self.keep_alive.to_bytes(2)
        return frame(self.TYPE, head, self.properties.to_bytes(), *tail)

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body; another protocol name or version is ProtocolError 0x84 (MQTT-3.1.2-1 and -2)."""
        _no_flags(flags)
        name, version = body.text(), body.u8()
        if (name, version) != (PROTOCOL_NAME, PROTOCOL_VERSION):
            raise ProtocolError(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, f"protocol {name!r} version {version}")
        bits = body.u8()
        will_qos = bits >> 3 & 3
        if bits & 0x01 or will_qos == 3 or (not bits & 0x04 and bits & 0x38):
            raise malformed(f"connect flags 0x{bits:02X}")
        keep_alive = body.u16()
        properties = Properties.read(body, Where.CONNECT)
        client_id = body.text()
        will = None
        if bits & 0x04:
            will_properties = Properties.read(body, Where.WILL)
            topic, payload = check_topic_name(body.text()), body.binary()
            will = Will(topic, payload, will_qos, bool(bits & 0x20), will_properties)
        user_name = body.text() if bits & 0x80 else None
        password = body.binary() if bits & 0x40 else None
        return cls(client_id, bool(bits & 0x02), keep_alive, user_name, password, will, properties)


@dataclass(frozen=True, slots=True)
class Connack:
    """CONNACK (3.2)."""

    TYPE: ClassVar = 0x20

    reason: ReasonCode = ReasonCode.SUCCESS
    session_present: bool = False
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet."""
        return frame(self.TYPE, bytes((self.session_present, self.reason)), self.properties.to_bytes())

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        _no_flags(flags)
        session_present = body.flag()
        return cls(body.reason(), session_present, Properties.read(body, Where.CONNACK))


@dataclass(frozen=True, slots=True)
class Publish:
    """PUBLISH (3.3); `packet_id` is None exactly with QoS 0, `topic` is empty only beside a topic alias."""

    TYPE: ClassVar = 0x30

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    packet_id: int | None = None
    dup: bool = False
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet."""
        first_byte = self.TYPE | self.dup << 3 | self.qos << 1 | self.retain
        packet_id = b"" if self.packet_id is None else self.packet_id.to_bytes(2)
        return frame(first_byte, text(self.topic), packet_id, self.properties.to_bytes(), self.payload)

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        qos, dup = flags >> 1 & 3, bool(flags & 8)
        if qos == 3 or (dup and not qos):
            raise malformed(f"publish flags 0x{flags:X}")
        topic = body.text()
        packet_id = body.packet_id() if qos else None
        properties = Properties.read(body, Where.PUBLISH)
        if topic or properties.topic_alias is None:
            check_topic_name(topic)
        return cls(topic, body.rest(), qos, bool(flags & 1), packet_id, dup, properties)


@dataclass(frozen=True, slots=True)
class Puback:
    """PUBACK (3.4)."""

    TYPE: ClassVar = 0x40

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet, in the short form where that says the same (3.4.2.1)."""
        packet_id = self.packet_id.to_bytes(2)
        if self.properties is not NO_PROPERTIES:
            return frame(self.TYPE, packet_id, bytes((self.reason,)), self.properties.to_bytes())
        return frame(self.TYPE, packet_id, bytes((self.reason,)) if self.reason else b"")

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        _no_flags(flags)
        return cls(body.packet_id(), *_outcome(body, Where.PUBACK))


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic filter of a SUBSCRIBE with its options (3.8.3.1).

    `retain_handling`: 0 send retained messages, 1 only if the subscription is new, 2 never.
    """

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0

    def to_bytes(self) -> bytes:
        """Filter and options byte."""
        options = self.qos | self.no_local << 2 | self.retain_as_published << 3 | self.retain_handling << 4
        return text(self.topic_filter) + bytes((options,))

    @classmethod
    def read(cls, body: Cursor) -> Self:
        """Parse filter and options byte."""
        topic_filter, options = body.text(), body.u8()
        if options & 0xC0 or options & 3 == 3 or options >> 4 == 3:
            raise malformed(f"subscription options 0x{options:02X}")
        return cls(topic_filter, options & 3, bool(options & 4), bool(options & 8), options >> 4)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE (3.8)."""

    TYPE: ClassVar = 0x82

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet."""
        listed = (subscription.to_bytes() for subscription in self.subscriptions)
        return frame(self.TYPE, self.packet_id.to_bytes(2), self.properties.to_bytes(), *listed)

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        packet_id, properties = _request(flags, body, Where.SUBSCRIBE)
        subscriptions = [Subscription.read(body)]
        while not body.at_end:
            subscriptions.append(Subscription.read(body))
        return cls(packet_id, tuple(subscriptions), properties)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE (3.10)."""

    TYPE: ClassVar = 0xA2

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet."""
        return frame(self.TYPE, self.packet_id.to_bytes(2), self.properties.to_bytes(), *map(text, self.topic_filters))

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        packet_id, properties = _request(flags, body, Where.UNSUBSCRIBE)
        filters = [body.text()]
        while not body.at_end:
            filters.append(body.text())
        return cls(packet_id, tuple(filters), properties)


@dataclass(frozen=True, slots=True)
class Suback:
    """SUBACK (3.9): one reason code for each filter, in order."""

    TYPE: ClassVar = 0x90
    WHERE: ClassVar = Where.SUBACK

    packet_id: int
    reasons: tuple[ReasonCode, ...]
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet."""
        return frame(self.TYPE, self.packet_id.to_bytes(2), self.properties.to_bytes(), bytes(self.reasons))

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        _no_flags(flags)
        packet_id, properties = body.packet_id(), Properties.read(body, cls.WHERE)
        reasons = [body.reason()]
        while not body.at_end:
            reasons.append(body.reason())
        return cls(packet_id, tuple(reasons), properties)


@dataclass(frozen=True, slots=True)
class Unsuback(Suback):
    """UNSUBACK (3.11): one reason code for each filter, in order."""

    TYPE: ClassVar = 0xB0
    WHERE: ClassVar = Where.UNSUBACK


@dataclass(frozen=True, slots=True)
class Pingreq:
    """PINGREQ (3.12)."""

    TYPE: ClassVar = 0xC0

    def to_bytes(self) -> bytes:
        """The whole packet."""
        return frame(self.TYPE)

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body, which is empty."""
        _no_flags(flags)
        body.end()
        return cls()


@dataclass(frozen=True, slots=True)
class Pingresp(Pingreq):
    """PINGRESP (3.13)."""

    TYPE: ClassVar = 0xD0


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT (3.14)."""

    TYPE: ClassVar = 0xE0

    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def to_bytes(self) -> bytes:
        """The whole packet, in the short form where that says the same (3.14.2.1)."""
        if self.properties is not NO_PROPERTIES:
            return frame(self.TYPE, bytes((self.reason,)), self.properties.to_bytes())
        return frame(self.TYPE, bytes((self.reason,)) if self.reason else b"")

    @classmethod
    def read(cls, flags: int, body: Cursor) -> Self:
        """Parse the body."""
        _no_flags(flags)
        return cls(*_outcome(body, Where.DISCONNECT))


Packet = (
    Connect | Connack | Publish | Puback | Subscribe | Suback | Unsubscribe | Unsuback | Pingreq | Pingresp | Disconnect
)
