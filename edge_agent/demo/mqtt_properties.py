"""The property list of MQTT 5 packets.

Source: OASIS "MQTT Version 5.0" (2019), chapter 2.2.2; which property goes where, and as what type: table 2-4.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import Enum, IntFlag, auto
from typing import Any

from edge_agent.demo.mqtt_wire import Cursor, binary, text, varint, violation


class Kind(Enum):
    """The field type of a property."""

    FLAG = auto()
    U16 = auto()
    U32 = auto()
    VARINT = auto()
    TEXT = auto()
    BINARY = auto()
    PAIR = auto()


_READ: dict[Kind, Callable[[Cursor], Any]] = {
    Kind.FLAG: Cursor.flag,
    Kind.U16: Cursor.u16,
    Kind.U32: Cursor.u32,
    Kind.VARINT: Cursor.varint,
    Kind.TEXT: Cursor.text,
    Kind.BINARY: Cursor.binary,
    Kind.PAIR: Cursor.pair,
}
_WRITE: dict[Kind, Callable[[Any], bytes]] = {
    Kind.FLAG: struct.Struct(">?").pack,
    Kind.U16: struct.Struct(">H").pack,
    Kind.U32: struct.Struct(">I").pack,
    Kind.VARINT: varint,
    Kind.TEXT: text,
    Kind.BINARY: binary,
    Kind.PAIR: lambda pair: text(pair[0]) + text(pair[1]),
}


class Where(IntFlag):
    """The packets in which a property may appear; a will has properties of its own (3.1.3.2)."""

    CONNECT = auto()
    CONNACK = auto()
    PUBLISH = auto()
    WILL = auto()
    PUBACK = auto()
    SUBSCRIBE = auto()
    SUBACK = auto()
    UNSUBSCRIBE = auto()
    UNSUBACK = auto()
    DISCONNECT = auto()


_MESSAGE = Where.PUBLISH | Where.WILL
_BOTH_CONNECTS = Where.CONNECT | Where.CONNACK
_ANSWERS = Where.CONNACK | Where.PUBACK | Where.SUBACK | Where.UNSUBACK | Where.DISCONNECT
_ANYWHERE = ~Where(0)


def _property(identifier: int, kind: Kind, where: Where, *, positive: bool = False, many: bool = False) -> Any:
    return field(
        default=() if many else None,
        metadata={"identifier": identifier, "kind": kind, "where": where, "positive": positive, "many": many},
    )


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of one packet (table 2-4), absent ones None or empty; intervals in seconds, sizes in bytes."""

    payload_is_text: bool | None = _property(1, Kind.FLAG, _MESSAGE)
    message_expiry_interval: int | None = _property(2, Kind.U32, _MESSAGE)
    content_type: str | None = _property(3, Kind.TEXT, _MESSAGE)
    response_topic: str | None = _property(8, Kind.TEXT, _MESSAGE)
    correlation_data: bytes | None = _property(9, Kind.BINARY, _MESSAGE)
    subscription_identifier: tuple[int, ...] = _property(
        11, Kind.VARINT, Where.PUBLISH | Where.SUBSCRIBE, positive=True, many=True
    )
    session_expiry_interval: int | None = _property(17, Kind.U32, _BOTH_CONNECTS | Where.DISCONNECT)
    assigned_client_identifier: str | None = _property(18, Kind.TEXT, Where.CONNACK)
    server_keep_alive: int | None = _property(19, Kind.U16, Where.CONNACK)
    authentication_method: str | None = _property(21, Kind.TEXT, _BOTH_CONNECTS)
    authentication_data: bytes | None = _property(22, Kind.BINARY, _BOTH_CONNECTS)
    request_problem_information: bool | None = _property(23, Kind.FLAG, Where.CONNECT)
    will_delay_interval: int | None = _property(24, Kind.U32, Where.WILL)
    request_response_information: bool | None = _property(25, Kind.FLAG, Where.CONNECT)
    response_information: str | None = _property(26, Kind.TEXT, Where.CONNACK)
    server_reference: str | None = _property(28, Kind.TEXT, Where.CONNACK | Where.DISCONNECT)
    reason_string: str | None = _property(31, Kind.TEXT, _ANSWERS)
    receive_maximum: int | None = _property(33, Kind.U16, _BOTH_CONNECTS, positive=True)
    topic_alias_maximum: int | None = _property(34, Kind.U16, _BOTH_CONNECTS)
    topic_alias: int | None = _property(35, Kind.U16, Where.PUBLISH, positive=True)
    maximum_qos: int | None = _property(36, Kind.FLAG, Where.CONNACK)
    retain_available: bool | None = _property(37, Kind.FLAG, Where.CONNACK)
    user_property: tuple[tuple[str, str], ...] = _property(38, Kind.PAIR, _ANYWHERE, many=True)
    maximum_packet_size: int | None = _property(39, Kind.U32, _BOTH_CONNECTS, positive=True)
    wildcard_subscription_available: bool | None = _property(40, Kind.FLAG, Where.CONNACK)
    subscription_identifier_available: bool | None = _property(41, Kind.FLAG, Where.CONNACK)
    shared_subscription_available: bool | None = _property(42, Kind.FLAG, Where.CONNACK)

    def to_bytes(self) -> bytes:
        """The property list with its length in front (2.2.2)."""
        if self is NO_PROPERTIES:
            return b"\0"
        parts: list[bytes] = []
        for declared in _DECLARED.values():
            value = getattr(self, declared.name)
            write, head = _WRITE[declared.metadata["kind"]], declared.metadata["identifier"].to_bytes()
            if declared.metadata["many"]:
                parts.extend(head + write(each) for each in value)
            elif value is not None:
                parts.append(head + write(value))
        body = b"".join(parts)
        return varint(len(body)) + body

    @staticmethod
    def read(cursor: Cursor, where: Where) -> "Properties":
        """Read a property list in a packet of kind `where`; raises ProtocolError on anything not allowed there."""
        length = cursor.varint()
        if not length:
            return NO_PROPERTIES
        listed = Cursor(cursor.take(length))
        values: dict[str, Any] = {}
        lists: dict[str, list[Any]] = {}
        while not listed.at_end:
            identifier = listed.varint()
            declared = _DECLARED.get(identifier)
            if declared is None or not declared.metadata["where"] & where:
                raise violation(f"property {identifier} is not allowed in {where.name}")
            value = _READ[declared.metadata["kind"]](listed)
            if declared.metadata["positive"] and not value:
                raise violation(f"{declared.name} is 0")
            if declared.metadata["many"]:
                lists.setdefault(declared.name, []).append(value)
            elif declared.name in values:
                raise violation(f"{declared.name} appears twice")
            else:
                values[declared.name] = value
        values.update((name, tuple(many)) for name, many in lists.items())
        return Properties(**values)


_DECLARED = {declared.metadata["identifier"]: declared for declared in fields(Properties)}
NO_PROPERTIES = Properties()
