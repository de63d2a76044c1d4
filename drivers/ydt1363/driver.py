"""An air conditioner that speaks YD/T 1363.3, read-only: one question a command, its values where the maker put them.

An answer does not say which command it answers, and CHKSUM is a plain sum: so all questions share one key, and values
that differ from those of the last poll are believed only when they come twice running.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from drivers.ydt1363 import codec
from drivers.ydt1363.codec import Frame
from drivers.ydt1363.options import Point, YdtOptions
from drivers.ydt1363.simulator import YdtSimulator
from edge_agent.driver import Alarm, DeviceError, Link, Record, ReplyShape, Site, Wire

_MAX_ASKS = 4
"""Questions within one poll for one command: one garbled answer and one false one before the two that agree."""
_MAX_GARBLED = 2


class Ydt1363:
    """One unit at a serial link."""

    Options: ClassVar[type[YdtOptions]] = YdtOptions
    Simulator: ClassVar[type[YdtSimulator]] = YdtSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: YdtOptions, site: Site) -> None:
        del site
        self._options = options
        self._start = int(options.start, 16)
        self._cid1 = int(options.cid1, 16)
        self._believed: dict[str, tuple[float | None, ...]] = {}

    def poll(self, link: Link) -> Iterable[Record]:
        """Ask each command once, twice if its values have changed."""
        faults: list[str] = []
        for command, points in self._options.commands.items():
            numbers = self._numbers(link, command, points)
            for point, number in zip(points, numbers, strict=True):
                yield point.reading(number)
                if point.normal is not None and number is not None and number != point.normal:
                    faults.append(point.name)
        if any(point.normal is not None for point in self._options.points):
            yield Alarm("device_fault", bool(faults), {"points": list(faults)} if faults else {})

    def _numbers(self, link: Link, command: str, points: tuple[Point, ...]) -> tuple[float | None, ...]:
        previous = self._believed.get(command)
        garbled = 0
        for _ in range(_MAX_ASKS):
            try:
                numbers = tuple(self._ask(link, command, points))
            except DeviceError:
                garbled += 1
                if garbled > _MAX_GARBLED:
                    raise
                continue
            if numbers == previous:
                self._believed[command] = numbers
                return numbers
            previous = numbers
        raise DeviceError("the values differ with every answer", op=f"ask {command}", hint="noise on the wire")

    def _ask(self, link: Link, command: str, points: tuple[Point, ...]) -> Iterator[float | None]:
        options = self._options
        question = Frame(int(options.version, 16), options.address, self._cid1, int(command, 16), soi=self._start)

        def fits(frame: Frame) -> bool:
            # The echo of the question is a frame of the same kind; as an answer its CID2 would be no RTN in use.
            alike = (frame.soi, frame.adr, frame.cid1) == (self._start, options.address, self._cid1)
            return alike and frame.cid2 != question.cid2

        shape = ReplyShape(("ydt1363", options.address, options.cid1), lambda data: codec.find(data, fits))
        frame = codec.decode(link.ask(question.encode(), reply=shape, within=options.timeout))
        if refusal := codec.refusal(frame):
            raise DeviceError(f"the unit refuses: {refusal}", op=f"ask {command}")
        needed = max(point.end for point in points)
        if len(frame.info) < needed:
            text = f"INFO has {len(frame.info)} bytes, the points need {needed}"
            raise DeviceError(text, op=f"ask {command}", hint="compare the points with the maker's document")
        for point in points:
            yield point.raw(frame.info)
