"""Modbus RTU frames: bytes in, checked frames out; no port, no clock.

Sources: "MODBUS Application Protocol Specification V1.1b3" (functions 6.1 to 6.6, 6.11, 6.12, exceptions 7) and
"MODBUS over Serial Line V1.02" (2.5.1.2 CRC, low byte first). RTU frames carry no length and no transaction number:
an answer is recognised by unit, function, byte count and CRC, and nothing tells which address it answers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from edge_agent.driver import DeviceError
from edge_agent.driver import crc16 as crc16  # noqa: PLC0414  (batteries that speak Modbus have it from here)

EXCEPTION = 0x80
"""Bit set in the function of an exception reply."""
EXCEPTION_SIZE = 5
"""Bytes of an exception reply."""
WRITE_REPLY_SIZE = 8
"""Bytes of the answer to a write."""
_MIN_SIZE = 4
MAX_REGISTERS = 125
"""Most registers one read may ask for (6.3, 6.4)."""
MAX_BITS = 2000
"""Most coils or discrete inputs one read may ask for (6.1, 6.2)."""
COIL_ON = 0xFF00
COIL_OFF = 0x0000


class Function(IntEnum):
    """The functions spoken here."""

    READ_COILS = 0x01
    READ_DISCRETE_INPUTS = 0x02
    READ_HOLDING_REGISTERS = 0x03
    READ_INPUT_REGISTERS = 0x04
    WRITE_COIL = 0x05
    WRITE_REGISTER = 0x06
    WRITE_COILS = 0x0F
    WRITE_REGISTERS = 0x10


BIT_READS = (Function.READ_COILS, Function.READ_DISCRETE_INPUTS)
READS = (*BIT_READS, Function.READ_HOLDING_REGISTERS, Function.READ_INPUT_REGISTERS)
SINGLE_WRITES = (Function.WRITE_COIL, Function.WRITE_REGISTER)
_KNOWN = frozenset(int(function) for function in Function)

EXCEPTIONS = {
    1: "ILLEGAL FUNCTION",
    2: "ILLEGAL DATA ADDRESS",
    3: "ILLEGAL DATA VALUE",
    4: "SERVER DEVICE FAILURE",
    5: "ACKNOWLEDGE",
    6: "SERVER DEVICE BUSY",
    8: "MEMORY PARITY ERROR",
    10: "GATEWAY PATH UNAVAILABLE",
    11: "GATEWAY TARGET DEVICE FAILED TO RESPOND",
}
"""Exception codes by name (7)."""


class Refused(DeviceError):  # noqa: N818  (what the device did; the base already says Error)
    """The device answered with an exception; `code` is its number."""

    def __init__(self, code: int, *, op: str) -> None:
        self.code = code
        super().__init__(f"refused with {EXCEPTIONS.get(code, 'an exception without a name')} ({code})", op=op)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a unit.

    `count` is the number of registers or bits; `values` what is written: registers 0..65535, bits 0 or 1, for
    WRITE_COIL the bare word (FF00 on, 0000 off; some relay boards give other words a meaning of their own).
    """

    unit: int
    function: Function
    address: int
    count: int = 1
    values: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"function {self.function:02X} address {self.address} count {self.count} of unit {self.unit}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a unit answered.

    A read fills `values` (registers, or bits as 0 and 1 padded to whole bytes); a write repeats `address`, and the
    word written in `values` or the `count`. `exception` is the code of a refusal of `function`, 0 = none.
    """

    unit: int
    function: Function
    values: tuple[int, ...] = ()
    address: int | None = None
    count: int = 0
    exception: int = 0


def seal(body: bytes) -> bytes:
    """Append the CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


def pack_bits(bits: tuple[int, ...]) -> bytes:
    """Pack bits into bytes, first bit lowest."""
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= (bit & 1) << index % 8
    return bytes(packed)


def unpack_bits(data: bytes) -> tuple[int, ...]:
    """Return all bits of `data`, lowest of the first byte first."""
    return tuple(byte >> bit & 1 for byte in data for bit in range(8))


def _words(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def _word(value: int) -> bytes:
    return value.to_bytes(2, "big")


def encode_request(request: Request) -> bytes:
    """Return the frame a master sends."""
    head = bytes((request.unit, request.function)) + _word(request.address)
    match request.function:
        case Function.WRITE_COIL | Function.WRITE_REGISTER:
            return seal(head + _word(request.values[0]))
        case Function.WRITE_COILS:
            data = pack_bits(request.values)
        case Function.WRITE_REGISTERS:
            data = b"".join(_word(value) for value in request.values)
        case _:
            return seal(head + _word(request.count))
    return seal(head + _word(request.count) + bytes((len(data),)) + data)


def encode_reply(reply: Reply) -> bytes:
    """Return the frame a device answers."""
    if reply.exception:
        return seal(bytes((reply.unit, reply.function | EXCEPTION, reply.exception)))
    head = bytes((reply.unit, reply.function))
    if reply.function in READS:
        bits = reply.function in BIT_READS
        data = pack_bits(reply.values) if bits else b"".join(_word(value) for value in reply.values)
        return seal(head + bytes((len(data),)) + data)
    last = reply.values[0] if reply.function in SINGLE_WRITES else reply.count
    return seal(head + _word(reply.address or 0) + _word(last))


def decode_request(frame: bytes) -> Request:
    """Decode one whole request; raises DeviceError unless every byte of it is as the specification says."""
    if request_size(frame) != len(frame):
        raise DeviceError("not a whole request", raw=frame)
    _check(frame)
    function = Function(frame[1])
    address, second = _words(frame[2:6])
    if function in SINGLE_WRITES:
        return Request(frame[0], function, address, 1, (second,))
    if function in READS:
        if not 1 <= second <= (MAX_BITS if function in BIT_READS else MAX_REGISTERS):
            raise DeviceError(f"asks for {second} values at once", raw=frame)
        return Request(frame[0], function, address, second)
    data = frame[7:-2]
    bits = function is Function.WRITE_COILS
    if second == 0 or len(data) != ((second + 7) // 8 if bits else 2 * second):
        raise DeviceError(f"writes {second} values in {len(data)} bytes", raw=frame)
    values = unpack_bits(data)[:second] if bits else _words(data)
    return Request(frame[0], function, address, second, values)


def decode_reply(frame: bytes) -> Reply:
    """Decode one whole reply; raises DeviceError unless every byte of it is as the specification says."""
    if reply_size(frame) != len(frame):
        raise DeviceError("not a whole reply", raw=frame)
    _check(frame)
    unit, code = frame[0], frame[1]
    function = Function(code & ~EXCEPTION)
    if code & EXCEPTION:
        return Reply(unit, function, exception=frame[2])
    data = frame[3:-2]
    if function in BIT_READS:
        return Reply(unit, function, unpack_bits(data), count=8 * len(data))
    if function in READS:
        return Reply(unit, function, _words(data), count=len(data) // 2)
    address, last = _words(frame[2:6])
    if function in SINGLE_WRITES:
        return Reply(unit, function, (last,), address, 1)
    return Reply(unit, function, (), address, last)


def request_size(data: bytes) -> int:
    """Length of the request that begins `data`; 0 if none can, or it cannot be told yet."""
    if len(data) < _MIN_SIZE or data[1] not in _KNOWN:
        return 0
    if data[1] in (Function.WRITE_COILS, Function.WRITE_REGISTERS):
        return 9 + data[6] if len(data) > 6 else 0
    return 8


def reply_size(data: bytes) -> int:
    """Length of the reply that begins `data`; 0 if none can, or it cannot be told yet."""
    if len(data) < _MIN_SIZE or data[1] & ~EXCEPTION not in _KNOWN:
        return 0
    if data[1] & EXCEPTION:
        return EXCEPTION_SIZE if data[2] else 0
    if data[1] not in READS:
        return WRITE_REPLY_SIZE
    even = data[1] in BIT_READS or data[2] % 2 == 0
    return 5 + data[2] if data[2] and even else 0


def find_frames(data: bytes, size_of: Callable[[bytes], int]) -> Iterator[bytes]:
    """Yield the frames with a good CRC in a stream, stepping over noise byte by byte and over frames whole."""
    start = 0
    while start + _MIN_SIZE <= len(data):
        size = size_of(data[start:])
        frame = data[start : start + size]
        if size and len(frame) == size and is_sealed(frame):
            yield frame
            start += size
        else:
            start += 1


def is_sealed(frame: bytes) -> bool:
    """Return whether a frame ends with its CRC."""
    return len(frame) >= _MIN_SIZE and crc16(frame[:-2]).to_bytes(2, "little") == frame[-2:]


def _check(frame: bytes) -> None:
    if not is_sealed(frame):
        raise DeviceError("wrong CRC", raw=frame)
