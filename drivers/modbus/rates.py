"""How fast values may change: a jump that nothing physical makes is a disturbed or a foreign value."""

from drivers.modbus.point import Point
from edge_agent.driver import Reading


class Rates:
    """Remembers the last believed number of each point with a `max_rate`."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}

    def judge(self, point: Point, reading: Reading, now: float) -> Reading:
        """Return `reading` (of monotonic time `now`), or a bad one if its number came too far in too short a time.

        The time allowed runs on from the last believed number, so a real step is believed once it has lasted.
        """
        value = reading.value
        if point.max_rate is None or isinstance(value, bool) or not isinstance(value, int | float):
            return reading
        last = self._last.get(point.name)
        if last is not None:
            since, before = last
            elapsed = max(now - since, 0.0)
            if abs(value - before) > point.max_rate * elapsed:
                step = f"{before:g} to {value:g} {point.unit}".rstrip()
                return point.doubted(f"{step} in {elapsed:.1f} s is faster than {point.max_rate:g} a second")
        self._last[point.name] = (now, value)
        return reading
