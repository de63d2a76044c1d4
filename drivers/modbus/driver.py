"""A polled Modbus device, described by a profile."""

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar

from drivers.modbus import profile
from drivers.modbus.blocks import Block
from drivers.modbus.codec import COIL_OFF, COIL_ON, Function, Refused, Reply, Request, decode_reply, encode_request
from drivers.modbus.codec_shape import reply_shape
from drivers.modbus.options import ModbusOptions
from drivers.modbus.point import Point
from drivers.modbus.profile import load_profile
from drivers.modbus.pulses import Pulse, Pulses
from drivers.modbus.rates import Rates
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.driver import (
    Alarm,
    Command,
    DeviceError,
    Link,
    LinkError,
    Quality,
    Reading,
    Record,
    Scalar,
    Site,
    Verbs,
    Wire,
    arguments,
)

_TAKE_APART = {2, 3}
"""Exceptions to a read that a smaller read may not meet: ILLEGAL DATA ADDRESS, and ILLEGAL DATA VALUE for a count that
the device does not take."""


class ModbusDriver:
    """Reads every point of the profile; tells the device the profile's commands.

    The point `commanded` is what was last ordered through this driver. It stays apart from what is observed: an
    infrared controller confirms that it sent a code, never that the unit obeyed.
    """

    Options: ClassVar[type[ModbusOptions]] = ModbusOptions
    Simulator: ClassVar[type[ModbusSimulator]] = ModbusSimulator
    Profile: ClassVar[type[profile.Profile]] = profile.Profile
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: ModbusOptions, site: Site) -> None:
        self._options = options
        self._pulses = Pulses(site.memory)
        self._plan: list[Block] | None = None
        self._rates = Rates()
        self._commanded: dict[str, Reading] = {}

    @property
    def _profile(self) -> profile.Profile:
        return load_profile(self._options.profile)

    def poll(self, link: Link) -> Iterable[Record]:
        """End the pulses that are over, then read all points; those of a block come together or not at all.

        Raises Refused if the device refuses every one of them.
        """
        self._end(link, self._pulses.over(link.monotonic()))
        raised: dict[str, bool] = {}
        for point, reply in self._answers(link):
            if isinstance(reply, Refused):
                yield point.doubted(reply.what)
                continue
            reading = self._rates.judge(point, point.read(reply), link.monotonic())
            yield reading
            if reading.quality is Quality.GOOD:
                for code, active in point.raised(reply):
                    raised[code] = raised.get(code, False) or active
        yield from (Alarm(code, active) for code, active in raised.items())
        yield from self._commanded.values()
        yield from self._pulses.changed()

    def verbs(self) -> Verbs:
        """The commands of the profile."""
        return self._profile.verbs

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Carry out a command of the profile, never twice.

        Raises DeviceError if the command is unknown or the device refuses, LinkError if there is no answer.
        """
        args = arguments(self.verbs(), command)
        verb = self._profile.command[command.name]
        try:
            request = verb.request(self._options.address, args)
        except ValueError as error:
            raise DeviceError(str(error), op=command.name) from error
        self._prove(link)
        begun = verb.pulse(args)
        if begun is None:
            self._write(link, request, *verb.orders(args))
        else:
            yield from self._pulse(link, request, *begun, verb.orders(args)[1])
        yield self._commanded[verb.orders(args)[0]]
        yield from self._pulses.changed()

    def due(self) -> float:
        """When the next pulse is over."""
        return self._pulses.due()

    def release(self, link: Link) -> Iterable[Record]:
        """End every pulse."""
        self._end(link, self._pulses.over(math.inf))
        yield from self._pulses.changed()

    def _end(self, link: Link, over: Iterable[Pulse]) -> None:
        """Let coils go back. One that the device refuses is told and left: to try for ever would stop the polls."""
        for pulse in over:
            coil = COIL_ON if pulse.rest else COIL_OFF
            request = Request(self._options.address, Function.WRITE_COIL, pulse.coil, 1, (coil,))
            try:
                self._prove(link)
                self._write(link, request, pulse.point, pulse.after)
            except Refused as error:
                self._pulses.forget(range(pulse.coil, pulse.coil + 1))
                self._commanded[pulse.point] = _unsure(pulse.point, f"it did not go back: {error.what}")

    def _pulse(self, link: Link, request: Request, pulse: Pulse, seconds: float, ordered: Scalar) -> Iterator[Record]:
        """Switch for a time; that it must go back is told before, so that it is known whatever becomes of the agent."""
        replaced = self._pulses.begin(pulse, link.monotonic() + seconds)
        yield from self._pulses.changed()
        try:
            self._write(link, request, pulse.point, ordered)
        except Refused:
            self._pulses.restore(pulse.coil, replaced)
            raise
        self._pulses.begin(pulse, link.monotonic() + seconds)

    def _prove(self, link: Link) -> None:
        """Ask before a write.

        It proves that the device listens, and it shows the link whether this wire echoes, which the answer to a write,
        equal to its request byte for byte, cannot show.
        """
        self._read(link, self._blocks()[0])

    def _write(self, link: Link, request: Request, point: str, ordered: Scalar) -> None:
        """Write once, and note what was ordered."""
        try:
            self._ask(link, request)
        except Refused:
            raise
        except (DeviceError, LinkError):
            self._commanded[point] = _unsure(point, "sent but not confirmed: it may or may not have happened")
            raise
        self._commanded[point] = Reading(point, ordered, prompt=True)
        if request.function in (Function.WRITE_COIL, Function.WRITE_COILS):
            self._pulses.forget(range(request.address, request.address + request.count))

    def _blocks(self) -> list[Block]:
        if self._plan is None:
            self._plan = self._profile.blocks
        return self._plan

    def _answers(self, link: Link) -> Iterator[tuple[Point, tuple[int, ...] | Refused]]:
        """Yield each point with its registers, or with the refusal of just this point.

        A block that the device does not have whole is taken apart, and stays so: the next poll asks the pieces.
        """
        todo = self._blocks()
        plan: list[Block] = []
        refused: list[tuple[Point, Refused]] = []
        while todo:
            block, todo = todo[0], todo[1:]
            try:
                values = self._read(link, block).values
            except Refused as error:
                if error.code not in _TAKE_APART:
                    raise
                if pieces := block.halves():
                    todo = [*pieces, *todo]
                    self._plan = [*plan, *todo]
                    continue
                refused += [(point, error) for point in block.points]
            else:
                yield from block.shares(values)
            plan.append(block)
        if len(refused) == len(self._profile.points):
            self._plan = (
                None  # more likely another device, or one that is still starting, than one without any register
            )
            raise refused[0][1]
        yield from refused

    def _read(self, link: Link, block: Block) -> Reply:
        request = block.request(self._options.address)
        for _ in range(self._options.retries):
            try:
                return self._ask(link, request)
            except Refused:
                raise
            except DeviceError:
                continue
        return self._ask(link, request)

    def _ask(self, link: Link, request: Request) -> Reply:
        known = self._profile
        shape = reply_shape(request, known.reply_unit, guard=known.guard)
        within = self._options.timeout or known.response_timeout
        try:
            frame = link.ask(encode_request(request), reply=shape, within=within)
        except DeviceError as error:
            hint = "look at termination, polarity and a second device with the same address"
            raise DeviceError(error.what, op=str(request), raw=error.raw, hint=hint) from error
        reply = decode_reply(frame)
        if reply.exception:
            raise Refused(reply.exception, op=str(request))
        return reply


def _unsure(point: str, why: str) -> Reading:
    return Reading(point, None, prompt=True, quality=Quality.BAD, why=why)
