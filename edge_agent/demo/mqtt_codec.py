"""MQTT 5 on a byte stream, without I/O: `PacketReader` cuts it into packets, `packet.to_bytes()` is the way back.

Total: any bytes, cut anywhere, give packets or a `ProtocolError` with the reason code to answer, never another
exception, and a packet larger than allowed is refused at its header.

Source: OASIS "MQTT Version 5.0" (2019), chapters 2.1 (fixed header) and 4.13 (errors).
"""

from typing import get_args

from edge_agent.demo.mqtt_packets import Packet
from edge_agent.demo.mqtt_wire import Cursor, ProtocolError, ReasonCode, scan_varint, violation

_PACKETS = {kind.TYPE >> 4: kind for kind in get_args(Packet)}


def parse(first_byte: int, body: bytes) -> Packet:
    """One packet from the first byte of its fixed header and its body; raises ProtocolError.

    PUBREC, PUBREL, PUBCOMP and AUTH count as unknown types: QoS 2 and enhanced authentication are not spoken here.
    """
    kind = _PACKETS.get(first_byte >> 4)
    if kind is None:
        raise violation(f"packet type {first_byte >> 4}")
    cursor = Cursor(body)
    packet: Packet = kind.read(first_byte & 0x0F, cursor)
    cursor.end()
    return packet


class PacketReader:
    """Collects received bytes and hands out whole packets; `maximum_packet_size` in bytes, header included."""

    def __init__(self, maximum_packet_size: int) -> None:
        self._maximum = maximum_packet_size
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Append bytes as they came from the stream."""
        self._buffer += data

    def next_packet(self) -> Packet | None:
        """The next whole packet, None if it has not arrived yet.

        Raises ProtocolError, and again on every further call: a stream that went wrong cannot be resumed.
        """
        header = scan_varint(self._buffer, 1)
        if header is None:
            return None
        length, start = header
        end = start + length
        if end > self._maximum:
            raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, f"packet of {end} bytes, {self._maximum} allowed")
        if end > len(self._buffer):
            return None
        packet = parse(self._buffer[0], bytes(self._buffer[start:end]))
        del self._buffer[:end]
        return packet
