"""MQTT 5 data representation: reason codes, and the field types that all packets are made of.

Source: OASIS "MQTT Version 5.0" (2019), chapters 1.5 (field types), 2.4 (reason codes) and 4.13 (errors).
"""

from enum import IntEnum

MAX_VARINT = 268_435_455
MAX_LENGTH = 0xFFFF
"""Longest text or binary field in bytes: its length travels in 16 bits (1.5.4, 1.5.6)."""


class ReasonCode(IntEnum):
    """The outcome of an operation (2.4); 0x80 and above are failures."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    REAUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


class ProtocolError(ValueError):
    """The peer broke the protocol; `reason` is the code to tell it (4.13)."""

    def __init__(self, reason: ReasonCode, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def malformed(text: str) -> ProtocolError:
    """The error for bytes that cannot be parsed at all (1.2, "Malformed Packet")."""
    return ProtocolError(ReasonCode.MALFORMED_PACKET, text)


def violation(text: str) -> ProtocolError:
    """The error for bytes that parse but say something forbidden (1.2, "Protocol Error")."""
    return ProtocolError(ReasonCode.PROTOCOL_ERROR, text)


def text(value: str) -> bytes:
    """A UTF-8 string field with its length (1.5.4)."""
    return binary(value.encode())


def binary(value: bytes) -> bytes:
    """A binary field with its length (1.5.6)."""
    if len(value) > MAX_LENGTH:
        raise ValueError(f"field of {len(value)} bytes: at most {MAX_LENGTH} fit")
    return len(value).to_bytes(2) + value


def varint(value: int) -> bytes:
    """A variable byte integer (1.5.5): seven bits a byte, lowest first, the top bit says "more follows"."""
    if value > MAX_VARINT:
        raise ValueError(f"{value} does not fit a variable byte integer")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def scan_varint(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """(value, offset behind it) of the variable byte integer at `at`, None while it is incomplete.

    Raises ProtocolError on a fifth byte and on needless leading zeros (MQTT-1.5.5-1).
    """
    value = 0
    for index, byte in enumerate(data[at : at + 4]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index:
                raise malformed("variable byte integer is not in its shortest form")
            return value, at + index + 1
    if len(data) >= at + 4:
        raise malformed("variable byte integer of more than four bytes")
    return None


class Cursor:
    """Reads one packet's body from front to back; every shortage is a ProtocolError."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether every byte has been read."""
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise malformed(f"{count} bytes announced, {len(self._data) - self._at} left")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def rest(self) -> bytes:
        """All remaining bytes."""
        return self.take(len(self._data) - self._at)

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """A two byte integer, high byte first (1.5.2)."""
        return int.from_bytes(self.take(2))

    def u32(self) -> int:
        """A four byte integer, high byte first (1.5.3)."""
        return int.from_bytes(self.take(4))

    def packet_id(self) -> int:
        """A packet identifier: never 0 (MQTT-2.2.1-3)."""
        return self.u16() or _zero_packet_id()

    def flag(self) -> bool:
        """A byte that may only be 0 or 1."""
        value = self.u8()
        if value > 1:
            raise violation(f"flag byte is {value}")
        return bool(value)

    def varint(self) -> int:
        """A variable byte integer (1.5.5)."""
        found = scan_varint(self._data, self._at)
        if found is None:
            raise malformed("packet ends inside a variable byte integer")
        value, self._at = found
        return value

    def binary(self) -> bytes:
        """A binary field (1.5.6)."""
        return self.take(self.u16())

    def text(self) -> str:
        """A UTF-8 string field (1.5.4): no surrogates, no U+0000 (MQTT-1.5.4-1 and -2)."""
        try:
            value = self.binary().decode()
        except UnicodeDecodeError as error:
            raise malformed(f"text is not UTF-8: {error.reason}") from None
        if "\0" in value:
            raise malformed("text contains U+0000")
        return value

    def pair(self) -> tuple[str, str]:
        """A UTF-8 string pair (1.5.7)."""
        return self.text(), self.text()

    def reason(self) -> ReasonCode:
        """A reason code of the standard."""
        value = self.u8()
        try:
            return ReasonCode(value)
        except ValueError:
            raise malformed(f"0x{value:02X} is no reason code") from None

    def end(self) -> None:
        """Raise ProtocolError unless every byte has been read."""
        if not self.at_end:
            raise malformed(f"{len(self._data) - self._at} bytes left over")


def _zero_packet_id() -> int:
    raise violation("packet identifier 0")
