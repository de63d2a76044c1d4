"""Few reads instead of many: neighbouring points joined into blocks, and a refused block taken apart again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from drivers.modbus.codec import Request
from drivers.modbus.place import Area, At
from drivers.modbus.point import Point


@dataclass(frozen=True, slots=True)
class Limits:
    """What one read may span: registers, bits, and unused ones in between."""

    registers: int
    bits: int
    hole: int


@dataclass(frozen=True, slots=True)
class Block:
    """Points that one read brings; `count` registers or bits from `start` on. Sorted by address."""

    start: At
    count: int
    points: tuple[Point, ...]

    def request(self, unit: int) -> Request:
        """Return the read of this block from `unit`."""
        return Request(unit, self.start.area.read, self.start.address, self.count)

    def shares(self, values: Sequence[int]) -> Iterator[tuple[Point, tuple[int, ...]]]:
        """Yield each point with its registers (or bit) out of what the read brought."""
        for point in self.points:
            first = point.at.address - self.start.address
            yield point, tuple(values[first : first + point.width])

    def halves(self) -> tuple["Block", ...]:
        """Take the block apart at its widest hole, for a device that does not have all of it; () if it is one piece."""
        cuts: list[tuple[int, int, int]] = []
        end = 0
        for index, point in enumerate(self.points):
            if index and point.at.address >= end:
                cuts.append((point.at.address - end, -abs(2 * index - len(self.points)), index))
            end = max(end, point.at.address + point.width)
        if not cuts:
            return ()
        _, _, index = max(cuts)
        return _block(self.points[:index]), _block(self.points[index:])


def join_points(points: Iterable[Point], limits: Limits) -> list[Block]:
    """Join neighbouring points into few reads, across at most `limits.hole` unused addresses."""
    joined: list[list[Point]] = []
    for point in sorted(points, key=lambda one: (one.at.area, one.at.address, one.bit.base if one.bit else 0)):
        if joined and _fits(joined[-1], point, limits):
            joined[-1].append(point)
        else:
            joined.append([point])
    return [_block(tuple(together)) for together in joined]


def _fits(together: list[Point], point: Point, limits: Limits) -> bool:
    first = together[0]
    end = max(one.at.address + one.width for one in together)
    count = max(end, point.at.address + point.width) - first.at.address
    most = limits.bits if first.at.area.bits else limits.registers
    return point.at.area is first.at.area and point.at.address - end <= limits.hole and count <= most


def _block(points: tuple[Point, ...]) -> Block:
    start: At = points[0].at
    area: Area = start.area
    end = max(point.at.address + point.width for point in points)
    return Block(At(area=area, address=start.address), end - start.address, points)
