"""The two frame families of KERONG's lock boards as bytes: no port, no time.

CU16/KU16, both ways: `02 address command data 03 sum`, the address being board << 4 | lock (from 0). Status (30) and
unlock (31) are answered by `35 d1 d2 d3 d4`: hooks of locks 1–8 and 9–16, then their infrared sensors, bit 0 first.
CU48: `02 board lock command 03 sum` is answered by `02 board lock 75 length data sum`, 75 for success; the data are the
hooks, six bytes after a status question (60), none after an unlock (61). Sum = low byte of the sum of all bytes before
it. Sources: public lock-board code (three unnamed projects; CU48's answers in one of them only), commands in
`vectors/lockboard_kerong.jsonl`. No answer of a real board has been seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.driver import DeviceError

STX = 0x02
ETX = 0x03
STATUS = 0x30
UNLOCK = 0x31
STATE = 0x35
STATUS_48 = 0x60
UNLOCK_48 = 0x61
DONE_48 = 0x75
FAILED_48 = 0x00
LOCKS_16 = 16
LOCKS_48 = 48
BYTES_48 = LOCKS_48 // 8
_STATE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Frame16:
    """One frame of a CU16, either direction; `lock` counts from 0."""

    board: int
    lock: int
    command: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return _sealed(bytes((STX, self.board << 4 | self.lock, self.command)) + self.data + bytes((ETX,)))


@dataclass(frozen=True, slots=True)
class Request48:
    """One question to a CU48; `lock` counts from 0."""

    board: int
    lock: int
    command: int

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return _sealed(bytes((STX, self.board, self.lock, self.command, ETX)))


@dataclass(frozen=True, slots=True)
class Reply48:
    """One answer of a CU48; `result` is DONE_48 or FAILED_48."""

    board: int
    lock: int
    result: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return _sealed(bytes((STX, self.board, self.lock, self.result, len(self.data))) + self.data)


def decode_16(data: bytes) -> Frame16:
    """Return the CU16 frame that `data` is, exactly; raises DeviceError: start, length, end, checksum."""
    _check(data, shortest=5)
    if data[-2] != ETX:
        raise DeviceError("end: the last byte but one is not 03", raw=data)
    frame = Frame16(data[1] >> 4, data[1] & 0x0F, data[2], data[3:-2])
    if len(frame.data) != (_STATE_BYTES if frame.command == STATE else 0):
        raise DeviceError(f"length: {len(frame.data)} data bytes do not fit command {frame.command:02X}", raw=data)
    return frame


def decode_request_48(data: bytes) -> Request48:
    """Return the question to a CU48 that `data` is, exactly; raises DeviceError: start, length, end, checksum."""
    _check(data, shortest=6)
    if len(data) != 6 or data[4] != ETX:
        raise DeviceError("length: a question has six bytes, 03 the last but one", raw=data)
    return Request48(data[1], data[2], data[3])


def decode_reply_48(data: bytes) -> Reply48:
    """Return the answer of a CU48 that `data` is, exactly; raises DeviceError: start, length, result, checksum."""
    _check(data, shortest=6)
    if len(data) != 6 + data[4]:
        raise DeviceError(f"length: {len(data)} bytes do not fit {data[4]} data bytes", raw=data)
    if data[3] not in {DONE_48, FAILED_48}:
        raise DeviceError(f"result: {data[3]:02X} is neither 75 nor 00", raw=data)
    return Reply48(data[1], data[2], data[3], data[5:-1])


def find_16(received: bytes) -> Iterator[tuple[Frame16, bytes]]:
    """Yield the checked states (35) in `received`, each with its bytes."""
    size = 5 + _STATE_BYTES
    for start in range(len(received) - size + 1):
        data = received[start : start + size]
        try:
            frame = decode_16(data)
        except DeviceError:
            continue
        yield frame, data


def find_48(received: bytes, size: int) -> Iterator[tuple[Reply48, bytes]]:
    """Yield the checked answers with `size` data bytes in `received`, each with its bytes."""
    for start in range(len(received) - size - 5):
        data = received[start : start + 6 + size]
        try:
            reply = decode_reply_48(data)
        except DeviceError:
            continue
        yield reply, data


def bits(data: bytes, locks: int) -> tuple[bool, ...]:
    """Return the bit of each lock, lock 1 first: bit 0 of the first byte."""
    bitmap = int.from_bytes(data, "little")
    return tuple(bool(bitmap >> index & 1) for index in range(locks))


def packed(states: tuple[bool, ...], size: int) -> bytes:
    """Return the bits of the locks, lock 1 first, in `size` bytes."""
    return sum(1 << index for index, state in enumerate(states) if state).to_bytes(size, "little")


def _sealed(body: bytes) -> bytes:
    return body + bytes((sum(body) & 0xFF,))


def _check(data: bytes, *, shortest: int) -> None:
    if data[:1] != bytes((STX,)):
        raise DeviceError("start: not 02", raw=data)
    if len(data) < shortest:
        raise DeviceError(f"length: {len(data)} bytes, a frame has at least {shortest}", raw=data)
    if data[-1] != sum(data[:-1]) & 0xFF:
        raise DeviceError("checksum: the sum does not fit", raw=data)
