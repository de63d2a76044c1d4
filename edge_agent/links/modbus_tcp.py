"""Modbus TCP under drivers that speak Modbus RTU: a frame changes its envelope on the way, its driver changes nothing.

Source: "MODBUS Messaging on TCP/IP Implementation Guide V1.0b", 3.1.3: seven bytes of header (transaction, protocol 0,
length of what follows, unit) in front of the function and its data, and no CRC. The transaction tells a late answer
from the one that is waited for; a gateway's word that its device did not answer is that device's silence.
"""

import struct

from edge_agent.crc import crc16
from edge_agent.driver import LinkError
from edge_agent.links.bytelink import Port

_HEADER = struct.Struct(">HHHB")
_MOST = 254
"""Longest length field: unit, function and data of a frame of 260 bytes (4.1)."""
_GATEWAY_SILENT = {0x0A, 0x0B}
"""Exceptions GATEWAY PATH UNAVAILABLE and GATEWAY TARGET DEVICE FAILED TO RESPOND (Application Protocol V1.1b3, 7)."""


class ModbusTcpPort:
    """A `bytelink.Port` that carries RTU frames over a connection as Modbus TCP."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._transaction = 0
        self._received = b""

    def write(self, data: bytes) -> None:
        """Send one RTU frame; LinkError if it is none."""
        if len(data) < 4 or crc16(data) != 0:
            raise LinkError("this link speaks Modbus TCP, and what its device was to be sent is no Modbus frame")
        self._transaction = (self._transaction + 1) % 0x10000
        body = data[1:-2]
        self._port.write(_HEADER.pack(self._transaction, 0, len(body) + 1, data[0]) + body)

    def read(self, within: float) -> bytes:
        """Return the answer to the last frame sent, as an RTU frame; b"" if it is not complete by then.

        LinkError(gone=True) if what comes is not Modbus TCP: after that nobody knows where a frame begins.
        """
        self._received += self._port.read(within)
        answers = b""
        while len(self._received) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._received)
            if protocol or not 2 <= length <= _MOST:
                raise LinkError('what came is not Modbus TCP; for a serial server write kind = "tcp"', gone=True)
            end = _HEADER.size - 1 + length
            if len(self._received) < end:
                break
            body = self._received[_HEADER.size : end]
            self._received = self._received[end:]
            if transaction == self._transaction and not _silent(body):
                frame = bytes((unit,)) + body
                answers += frame + crc16(frame).to_bytes(2, "little")
        return answers

    def wake(self) -> None:
        """Pass on."""
        self._port.wake()

    def close(self) -> None:
        """Pass on."""
        self._port.close()


def _silent(body: bytes) -> bool:
    return len(body) == 2 and bool(body[0] & 0x80) and body[1] in _GATEWAY_SILENT
