"""One DL/T 645 electricity meter, read-only: one question a value.

The check is one sum byte, so a value that jumps is believed only when the meter tells it twice.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from drivers.dlt645 import codec
from drivers.dlt645.codec import Frame
from drivers.dlt645.items import EDITIONS, Item
from drivers.dlt645.options import ANY, Dlt645Options
from drivers.dlt645.simulator import MeterSimulator
from edge_agent.driver import DeviceError, Link, LinkError, Quality, Reading, Record, ReplyShape, Site, Wire

_TRIES = 3
"""Times one question is put when answers come garbled."""
_REFUSALS = 3
"""Refusals in a row after which a value is no longer asked for: this meter does not have it."""


class Dlt645:
    """An electricity meter at a serial link."""

    Options: ClassVar[type[Dlt645Options]] = Dlt645Options
    Simulator: ClassVar[type[MeterSimulator]] = MeterSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: Dlt645Options, site: Site) -> None:
        del site
        self._options = options
        self._items = {di: EDITIONS[options.edition][di] for di in options.wanted}
        self._read = codec.READ_2007 if options.edition == "2007" else codec.READ_1997
        self._address = "" if options.address == ANY else options.address
        self._known: dict[str, float] = {}
        self._refusals = dict.fromkeys(self._items, 0)

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask for every value; what the meter refuses is left out, and an error only if it refuses everything."""
        try:
            yield from self._readings(link)
        except (LinkError, DeviceError):
            if self._options.address == ANY:
                self._address = ""
            raise

    def _readings(self, link: Link) -> Iterator[Record]:
        self._address = self._address or self._ask_address(link)
        why = "the meter has none of the values asked for"
        told = False
        for di, item in self._items.items():
            if self._refusals[di] >= _REFUSALS:
                continue
            try:
                reading = self._reading(link, di, item)
            except _Refused as refusal:
                self._refusals[di] += 1
                why = f"the meter refuses {di}: {refusal.what}"
                continue
            self._refusals[di] = 0
            told = True
            yield reading
        if not told:
            raise DeviceError(why, op="read", hint="see which values this meter has")

    def _reading(self, link: Link, di: str, item: Item) -> Reading:
        value = self._value(link, di, item)
        if value is None:
            return Reading(item.point, None)
        if not item.low <= value <= item.high:
            why = f"{value:g} is outside {item.low:g} to {item.high:g}"
            return Reading(item.point, None, quality=Quality.BAD, why=why)
        ratio = self._options.ct_ratio if item.scaled else 1
        return Reading(item.point, round(value * ratio, item.decimals), change=item.change * ratio)

    def _value(self, link: Link, di: str, item: Item) -> float | None:
        """Return the value, None if the meter tells no number; one that jumps must come twice running."""
        before = self._known.get(di)
        for _ in range(_TRIES):
            value = self._ask_value(link, di, item)
            if value is None:
                return None
            if not item.is_jump(before, value):
                self._known[di] = value
                return value
            before = value
        raise DeviceError("differs with every answer", op=f"read {di}", hint="noise on the wire")

    def _ask_value(self, link: Link, di: str, item: Item) -> float | None:
        identifier = codec.di_bytes(di)
        answer, refusal = self._read | codec.ANSWER, self._read | codec.ANSWER | codec.REFUSAL
        size = len(identifier) + item.size

        def fits(frame: Frame) -> bool:
            if frame.address != self._address:
                return False
            told = frame.data.startswith(identifier) and len(frame.data) == size
            return (frame.control == answer and told) or (frame.control == refusal and len(frame.data) == 1)

        frame = self._ask(link, Frame(self._address, self._read, identifier), fits)
        if frame.control == refusal:
            raise _Refused(codec.refusal(frame.data))
        return item.decode(frame.data[len(identifier) :], sign=self._options.sign == "top_bit")

    def _ask_address(self, link: Link) -> str:
        def fits(frame: Frame) -> bool:
            return frame.control == codec.READ_ADDRESS | codec.ANSWER and len(frame.data) == 6

        frame = self._ask(link, Frame(codec.ANY_ADDRESS, codec.READ_ADDRESS), fits)
        return codec.di_hex(frame.data)

    def _ask(self, link: Link, question: Frame, fits: Callable[[Frame], bool]) -> Frame:
        """Ask, at most twice more after a garbled answer.

        A refusal does not say what it refuses, so all questions to one meter share one key. No `size`: a meter may
        pause 500 ms between two bytes, so garbage in front must not end the wait early.
        """
        shape = ReplyShape(("dlt645", question.address), lambda data: codec.find(data, fits))
        request = question.encode(self._options.wake)
        for _ in range(_TRIES - 1):
            with contextlib.suppress(DeviceError):
                return codec.decode(link.ask(request, reply=shape, within=self._options.timeout))
        return codec.decode(link.ask(request, reply=shape, within=self._options.timeout))


class _Refused(DeviceError):  # noqa: N818  (a refusal is an answer, not a failure)
    """The meter answered that it will not tell."""
