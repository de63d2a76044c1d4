"""A Modbus device made of its profile: the same table, seen from the other end of the wire."""

import time
from collections.abc import Callable, Iterable

from drivers.modbus.codec import (
    COIL_OFF,
    COIL_ON,
    Function,
    Reply,
    Request,
    decode_request,
    encode_reply,
    find_frames,
    request_size,
)
from drivers.modbus.options import ModbusOptions
from drivers.modbus.point import Area, At
from drivers.modbus.profile import blocks, load_profile
from edge_agent.driver import Chunk, DeviceError, Site

_ILLEGAL_FUNCTION = 1
_ILLEGAL_ADDRESS = 2
_ILLEGAL_VALUE = 3
_READS = {area.read: area for area in Area}
_WRITES = {Function.WRITE_COIL: Area.COIL, Function.WRITE_REGISTER: Area.HOLDING}

Place = tuple[Area, int]


class ModbusSimulator:
    """Answers to its own unit address only; an address outside the profile is refused as a device would.

    Its registers follow the profile's `sim` at the time `now` (s) gives, until something is written over them. A
    command of the profile is obeyed: every point that knows the commanded state takes it.
    """

    def __init__(self, options: ModbusOptions, site: Site, now: Callable[[], float] = time.monotonic) -> None:
        del site
        self._unit = options.address
        self._profile = load_profile(options.profile)
        self._now = now
        self._held: dict[Place, int] = {}
        self._verbs = {(verb.write.area, verb.write.address): verb for verb in self._profile.command.values()}
        self._legal = set(self._verbs)
        for block in blocks(self._profile):
            # A real device answers for the holes between its points too, or the driver could not read across them.
            self._legal |= {(block.start.area, block.start.address + i) for i in range(block.count)}

    def hold(self, name: str, value: float | str) -> None:
        """Let the point `name` have `value` (its own unit, or a state's name) from now on."""
        point = next(point for point in self._profile.point if point.name == name)
        self.store(point.at, point.words(value))

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
        return answers

    def play(self) -> Iterable[Chunk]:
        """Say nothing: a Modbus device speaks only when asked."""
        return ()

    def _reply(self, asked: Request) -> Reply:
        area = _READS.get(asked.function) or _WRITES.get(asked.function)
        if area is None:
            return Reply(self._unit, asked.function, exception=_ILLEGAL_FUNCTION)
        places = [(area, asked.address + i) for i in range(asked.count)]
        if not self._legal.issuperset(places):
            return Reply(self._unit, asked.function, exception=_ILLEGAL_ADDRESS)
        if asked.function in _READS:
            registers = self._simulated() | self._held
            return Reply(self._unit, asked.function, tuple(registers.get(place, 0) for place in places))
        if asked.function is Function.WRITE_COIL and asked.values[0] not in (COIL_ON, COIL_OFF):
            return Reply(self._unit, asked.function, exception=_ILLEGAL_VALUE)
        self._write(places[0], asked.values[0])
        return Reply(self._unit, asked.function, asked.values, asked.address, 1)

    def _write(self, place: Place, word: int) -> None:
        self._held[place] = int(word == COIL_ON) if place[0] is Area.COIL else word
        verb = self._verbs.get(place)
        if verb is not None and self._held[place] == verb.value:
            for point in self._profile.point:
                if verb.commanded in point.states.values():
                    self.hold(point.name, verb.commanded)

    def _simulated(self) -> dict[Place, int]:
        now = self._now()
        return {
            (point.at.area, point.at.address + i): word
            for point in self._profile.point
            for i, word in enumerate(point.words(point.sim.at(now)))
        }
