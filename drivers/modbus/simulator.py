"""A Modbus device made of its profile: the same table, seen from the other end of the wire."""

import time
from collections.abc import Callable, Iterable

from drivers.modbus.codec import (
    COIL_OFF,
    COIL_ON,
    READS,
    SINGLE_WRITES,
    Function,
    Reply,
    Request,
    decode_request,
    encode_reply,
    find_frames,
    request_size,
)
from drivers.modbus.options import ModbusOptions
from drivers.modbus.place import Area, At
from drivers.modbus.point import Point
from drivers.modbus.profile import Profile, load_profile
from drivers.modbus.sim import Held
from edge_agent.driver import Chunk, DeviceError, Site

_ILLEGAL_FUNCTION = 1
_ILLEGAL_ADDRESS = 2
_ILLEGAL_VALUE = 3
_AREAS = {area.read: area for area in Area} | {
    Function.WRITE_COIL: Area.COIL,
    Function.WRITE_COILS: Area.COIL,
    Function.WRITE_REGISTER: Area.HOLDING,
    Function.WRITE_REGISTERS: Area.HOLDING,
}

Place = tuple[Area, int]


class ModbusSimulator:
    """Answers to its own unit address only; an address outside the profile is refused as a device would.

    Its registers follow the profile's `sim` at the time `now` (s) gives, until something is written over them. Only
    what a command of the profile names can be written; then every point that knows the commanded state takes it.
    """

    def __init__(self, options: ModbusOptions, site: Site, now: Callable[[], float] = time.monotonic) -> None:
        del site
        self.refuse_writes = False
        """Whether it answers every write with an exception."""
        self._unit = options.address
        self._profile = load_profile(options.profile)
        self._now = now
        self._held: dict[Place, int] = {}
        self._greeting = self._profile.quirks.greeting
        self._writable = _writable(self._profile)
        self._writes = {verb.how for verb in self._profile.command.values()}
        # A real device answers for the holes between its points too, or the driver could not read across them.
        self._legal = self._writable | {
            (block.start.area, block.start.address + i) for block in self._profile.blocks for i in range(block.count)
        }

    def hold(self, name: str, value: Held) -> None:
        """Let the point `name` have `value` (its own unit, a state's name or text) from now on."""
        point = next(point for point in self._profile.points if point.name == name)
        _put(self._held, point, point.words(value), self._simulated())

    def store(self, at: At, words: Iterable[int]) -> None:
        """Put bare registers (0..65535) or bits (0, 1) from `at` on, whatever the profile says."""
        for i, word in enumerate(words):
            self._held[at.area, at.address + i] = word

    def answer(self, request: bytes) -> bytes:
        """Answer each whole request to this unit in `request`; the exceptions are 1, 2 and 3 of the specification."""
        answers = b""
        for frame in find_frames(request, request_size):
            try:
                asked = decode_request(frame)
            except DeviceError:
                if frame[0] == self._unit:
                    answers += encode_reply(Reply(self._unit, Function(frame[1]), exception=_ILLEGAL_VALUE))
                continue
            if asked.unit == self._unit:
                answers += encode_reply(self._reply(asked))
        return self._greeted(answers)

    def play(self) -> Iterable[Chunk]:
        """Say nothing: a Modbus device speaks only when asked."""
        return ()

    def _greeted(self, answers: bytes) -> bytes:
        """The first answer after power-up is overrun by the greeting, if the device has one."""
        if not answers or not self._greeting:
            return answers
        greeting, self._greeting = self._greeting, ""
        return answers[:-2] + greeting.encode("ascii")

    def _reply(self, asked: Request) -> Reply:
        area = _AREAS[asked.function]
        places = [(area, asked.address + i) for i in range(asked.count)]
        reading = asked.function in READS
        if not reading and (self.refuse_writes or asked.function not in self._writes):
            return Reply(self._unit, asked.function, exception=_ILLEGAL_FUNCTION)
        if not (self._legal if reading else self._writable).issuperset(places):
            return Reply(self._unit, asked.function, exception=_ILLEGAL_ADDRESS)
        if reading:
            registers = self._simulated() | self._held
            return Reply(self._unit, asked.function, tuple(registers.get(place, 0) for place in places))
        if asked.function is Function.WRITE_COIL and asked.values[0] not in (COIL_ON, COIL_OFF):
            return Reply(self._unit, asked.function, exception=_ILLEGAL_VALUE)
        self._write(asked, places)
        single = asked.function in SINGLE_WRITES
        return Reply(self._unit, asked.function, asked.values if single else (), asked.address, asked.count)

    def _write(self, asked: Request, places: list[Place]) -> None:
        for place, word in zip(places, asked.values, strict=True):
            self._held[place] = int(word == COIL_ON) if asked.function is Function.WRITE_COIL else word
        for verb in self._profile.command.values():
            if verb.slots or verb.argument or verb.request(self._unit, {}) != asked:
                continue
            for point in self._profile.points:
                if verb.commanded in point.states.values() and isinstance(verb.commanded, str):
                    self.hold(point.name, verb.commanded)

    def _simulated(self) -> dict[Place, int]:
        now = self._now()
        registers: dict[Place, int] = {}
        for point in self._profile.points:
            _put(registers, point, point.words(point.sim.at(now)), registers)
        return registers


def _put(registers: dict[Place, int], point: Point, words: tuple[int, ...], around: dict[Place, int]) -> None:
    """Write a point's registers; of one that is a bit, only the bit in what is `around`."""
    if point.bit is None:
        registers |= {(point.at.area, point.at.address + i): word for i, word in enumerate(words)}
        return
    place, bit = (point.at.area, point.at.address), point.bit.base
    before = registers.get(place, around.get(place, 0))
    registers[place] = before & ~(1 << bit) | (words[0] & 1) << bit


def _writable(profile: Profile) -> set[Place]:
    """Every place that a command of the profile may write."""
    places: set[Place] = set()
    for verb in profile.command.values():
        for slot in range(1, (verb.slots or 1) + 1):
            at = verb.write.of_slot(slot)
            places |= {(at.area, at.address + i) for i in range(verb.width)}
    return places
