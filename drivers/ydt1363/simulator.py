"""A unit that speaks YD/T 1363.3, seen from its other side."""

from collections.abc import Iterable

from drivers.ydt1363 import codec
from drivers.ydt1363.codec import Frame
from drivers.ydt1363.options import Point, YdtOptions
from edge_agent.driver import Chunk, DeviceError, Site

_USUAL = 24.0
"""What a number shows until it is set, where its limits allow it."""


class YdtSimulator:
    """Every point has a plausible value until it is set; other commands are refused."""

    def __init__(self, options: YdtOptions, site: Site) -> None:
        del site
        self._options = options
        self._infos = {
            command: bytearray(max(point.end for point in points)) for command, points in options.commands.items()
        }
        for point in options.points:
            self.set(point.name, _default(point))

    def set(self, name: str, value: float | str) -> None:
        """Let a point have another value: a number in its unit, or the name of a state."""
        point = next(point for point in self._options.points if point.name == name)
        if isinstance(value, str):
            value = next(number for number, state in (point.states or {}).items() if state == value) * point.scale
        point.place(self._infos[point.command], value / point.scale)

    def answer(self, request: bytes) -> bytes:
        """Answer a question for this unit; what it does not know is refused with RTN 04."""
        options = self._options
        try:
            question = codec.decode(request)
        except DeviceError:
            return b""
        if (question.soi, question.adr, question.cid1) != (
            int(options.start, 16),
            options.address,
            int(options.cid1, 16),
        ):
            return b""
        info = self._infos.get(f"{question.cid2:02X}")
        if info is None:
            return Frame(question.ver, question.adr, question.cid1, 0x04, soi=question.soi).encode()
        return Frame(question.ver, question.adr, question.cid1, codec.OK, bytes(info), question.soi).encode()

    def play(self) -> Iterable[Chunk]:
        """Nothing: a unit never speaks unasked."""
        return ()


def _default(point: Point) -> float:
    if point.normal is not None:
        return point.normal * point.scale
    if point.states is not None:
        return next(iter(point.states)) * point.scale
    low, high = point.valid or (_USUAL, _USUAL)
    return min(max(_USUAL, low), high)
