"""OSDP v2 packets (SIA OSDP 2.2, IEC 60839-11-5): framing, checks, names; needs no library.

[FF mark] 53, address (bit 7 = reply), length LE from 53 to the end, control (bits 0-1 sequence, bit 2 CRC, bit 3
security block), [security block], code, data, [4 bytes MAC], CRC-16 LE or checksum. The mark is not part of the length.
Source: goToMain/libosdp `src/osdp_phy.c` and its unit tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_agent.driver import DeviceError

MARK, START = 0xFF, 0x53
HEADER = 5
LARGEST = 1440
"""Bytes of the largest packet that the standard knows."""
BUSY = 0x79
BROADCAST = 0x7F

_REPLY, _SEQUENCE, _CRC, _SECURE = 0x80, 0x03, 0x04, 0x08
_MAC = 4
_WITH_MAC = frozenset((0x15, 0x16, 0x17, 0x18))
ENCRYPTED = frozenset((0x17, 0x18))
"""Types of security block: 15 to 18 end with a MAC, in 17 and 18 the data are encrypted."""

COMMANDS: Mapping[int, str] = MappingProxyType(
    {
        0x60: "POLL",
        0x61: "ID",
        0x62: "CAP",
        0x64: "LSTAT",
        0x65: "ISTAT",
        0x66: "OSTAT",
        0x67: "RSTAT",
        0x68: "OUT",
        0x69: "LED",
        0x6A: "BUZ",
        0x6B: "TEXT",
        0x6C: "RMODE",
        0x6D: "TDSET",
        0x6E: "COMSET",
        0x73: "BIOREAD",
        0x74: "BIOMATCH",
        0x75: "KEYSET",
        0x76: "CHLNG",
        0x77: "SCRYPT",
        0x7B: "ACURXSIZE",
        0x7C: "FILETRANSFER",
        0x80: "MFG",
        0xA1: "XWR",
        0xA2: "ABORT",
        0xA3: "PIVDATA",
        0xA4: "GENAUTH",
        0xA5: "CRAUTH",
        0xA7: "KEEPACTIVE",
    }
)
REPLIES: Mapping[int, str] = MappingProxyType(
    {
        0x40: "ACK",
        0x41: "NAK",
        0x45: "PDID",
        0x46: "PDCAP",
        0x48: "LSTATR",
        0x49: "ISTATR",
        0x4A: "OSTATR",
        0x4B: "RSTATR",
        0x50: "RAW",
        0x51: "FMT",
        0x53: "KEYPAD",
        0x54: "COM",
        0x57: "BIOREADR",
        0x58: "BIOMATCHR",
        0x76: "CCRYPT",
        0x78: "RMAC_I",
        BUSY: "BUSY",
        0x7A: "FTSTAT",
        0x80: "PIVDATAR",
        0x81: "GENAUTHR",
        0x82: "CRAUTHR",
        0x83: "MFGSTATR",
        0x84: "MFGERRR",
        0x90: "MFGREP",
        0xB1: "XRD",
    }
)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that passed its checks. `security` is the type of its security block (11 to 18), 0 without one."""

    address: int
    reply: bool
    sequence: int
    crc: bool
    code: int
    data: bytes = field(default=b"", repr=False)
    security: int = 0
    block: bytes = field(default=b"", repr=False)
    mac: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The name of its code."""
        return (REPLIES if self.reply else COMMANDS).get(self.code, f"{self.code:02X}")


def crc16(data: bytes) -> int:
    """CRC-16 of polynomial 1021, most significant bit first, preset 1D0F."""
    crc = 0x1D0F
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def checksum(data: bytes) -> int:
    """Two's complement of the sum of all bytes, 8 bits."""
    return -sum(data) & 0xFF


def encode(packet: Packet, *, mark: bool = True) -> bytes:
    """Return the bytes of a packet, by default behind a mark."""
    secure = bytes((len(packet.block) + 2, packet.security)) + packet.block if packet.security else b""
    control = packet.sequence | _CRC * packet.crc | _SECURE * bool(packet.security)
    body = secure + bytes((packet.code,)) + packet.data + packet.mac
    length = HEADER + len(body) + 1 + packet.crc
    head = bytes((START, packet.address | _REPLY * packet.reply)) + length.to_bytes(2, "little") + bytes((control,))
    whole = head + body
    check = crc16(whole).to_bytes(2, "little") if packet.crc else bytes((checksum(whole),))
    return bytes((MARK,)) * mark + whole + check


def decode(frame: bytes) -> Packet:
    """Check one packet, with or without marks before it; raises DeviceError, without the bytes: they may be a card."""
    frame = frame.lstrip(bytes((MARK,)))
    if not frame or frame[0] != START:
        raise DeviceError("a packet begins with 53")
    length = _length(frame)
    if length is None or len(frame) != length:
        raise DeviceError(f"{len(frame)} bytes are not the length the packet tells")
    control = frame[4]
    crc = bool(control & _CRC)
    content, check = frame[: -1 - crc], frame[-1 - crc :]
    if int.from_bytes(check, "little") != (crc16(content) if crc else checksum(content)):
        raise DeviceError("wrong CRC" if crc else "wrong checksum")
    return _parts(content, crc=crc)


def find(received: bytes) -> list[tuple[Packet, bytes]]:
    """Return every good packet in bytes as they came, with its own bytes; noise between them is passed over."""
    found: list[tuple[Packet, bytes]] = []
    at = 0
    while (at := received.find(START, at)) >= 0:
        length = _length(received[at:])
        frame = received[at : at + (length or 0)]
        try:
            found.append((decode(frame), frame))
            at += len(frame)
        except DeviceError:
            at += 1
    return found


def _length(frame: bytes) -> int | None:
    """The length that the packet tells, None if it cannot be one."""
    length = int.from_bytes(frame[2:4], "little")
    return length if len(frame) >= HEADER and HEADER + 2 <= length <= LARGEST else None


def _parts(content: bytes, *, crc: bool) -> Packet:
    body = content[HEADER:]
    security, block, mac = 0, b"", b""
    if content[4] & _SECURE:
        size = body[0] if body else 0
        if not 2 <= size < len(body):
            raise DeviceError("the security block does not fit")
        security, block, body = body[1], body[2:size], body[size:]
    if security in _WITH_MAC:
        if len(body) <= _MAC:
            raise DeviceError("the packet has no room for its MAC")
        body, mac = body[:-_MAC], body[-_MAC:]
    if not body:
        raise DeviceError("the packet has no code")
    return Packet(
        address=content[1] & ~_REPLY,
        reply=bool(content[1] & _REPLY),
        sequence=content[4] & _SEQUENCE,
        crc=crc,
        code=body[0],
        data=body[1:],
        security=security,
        block=block,
        mac=mac,
    )
