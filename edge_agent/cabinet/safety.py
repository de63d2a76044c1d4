"""What is dangerous or broken in a slot, whatever battery is in it: heat, smoke, a lock that does not do as told.

Heat is judged by how fast it rises: a battery in thermal trouble is seen minutes before any limit of its board. What is
not known raises and clears nothing: a board that fell silent in the heat leaves the alarm as it is.
"""

from collections import deque
from dataclasses import dataclass

from edge_agent.cabinet.layout import Door, SlotLimits
from edge_agent.records import Json

_CLEARS_AT = 0.5
"""Part of the limit below which a rise is over."""
_TWICE = 2
"""Readings in a row that must agree: one that is wrong must neither call the fire brigade nor send it away."""
_OLDEST = 5.0
"""Windows after which a temperature tells nothing of a rise any more."""
_STUCK = "told to open and still closed"
_LEFT_OPEN = "open for too long"


@dataclass(frozen=True, slots=True)
class Finding:
    """An alarm that is up or not; `detail` says more of one that is."""

    code: str
    active: bool
    detail: dict[str, Json]


class Rise:
    """How fast one temperature rises; constant memory but for the readings of one window."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._readings: deque[tuple[float, float]] = deque()
        self._against = 0
        self.active: bool | None = None
        """Whether it rises too fast; None while that is not known."""
        self.rate = 0.0
        """Degrees a minute at the last reading."""

    def take(self, celsius: float, now: float) -> None:
        """Take a reading at monotonic time `now` (s)."""
        window = self._limits.rise_window_s
        readings = self._readings
        readings.append((now, celsius))
        # The youngest of those that are older than the window is the one to compare with.
        while len(readings) > 2 and readings[1][0] <= now - window:
            readings.popleft()
        if readings[0][0] < now - window * _OLDEST:
            self._forget()
            readings.append((now, celsius))
        since, before = readings[0]
        if now - since < window / 2:
            return
        self.rate = (celsius - before) / (now - since) * 60.0
        self._judge()

    def gone(self) -> None:
        """What was measured is no longer there."""
        self._forget()
        self.active = False if self.active is not None else None

    def _forget(self) -> None:
        self._readings.clear()
        self._against = 0

    def _judge(self) -> None:
        limit = self._limits.rise_c_min
        differs = self.rate < limit * _CLEARS_AT if self.active else self.rate >= limit
        self._against = self._against + 1 if differs else 0
        if self.active is None and not differs:
            self.active = False
        elif self._against >= _TWICE:
            self.active = not self.active
            self._against = 0


class Safety:
    """One slot. Times are monotonic seconds.

    `lock` is what is wrong with its lock, "" if nothing: the door that puts it right may be long in coming, so it
    belongs to what a restart must know.
    """

    def __init__(self, limits: SlotLimits, lock: str = "") -> None:
        self.lock = lock
        self._limits = limits
        self._rises: dict[str, Rise] = {}
        self._temps: dict[str, float] = {}
        self._smoke: dict[str, bool] = {}
        self._ordered_at: float | None = None
        self._open_since: float | None = None
        self._door_known = False

    @property
    def dangerous(self) -> bool:
        """Whether nobody should be sent to this slot: it burns, or may soon, or does not open."""
        return self.lock == _STUCK or any(self._smoke.values()) or any(rise.active for rise in self._rises.values())

    def on_door(self, door: Door, now: float) -> None:
        """Take a door state."""
        if door == "unknown":
            return
        self._door_known = True
        if door == "open":
            self._open_since = now if self._open_since is None else self._open_since
            self._ordered_at = None
            too_long = self.lock == _LEFT_OPEN or now - self._open_since > self._limits.open_longest_s
            self.lock = _LEFT_OPEN if too_long else ""
        else:
            self._open_since = None
            late = self._ordered_at is not None and now - self._ordered_at >= self._limits.opens_within_s
            self.lock = _STUCK if late or self.lock == _STUCK else ""

    def on_order(self, now: float) -> None:
        """The lock was told to open."""
        if self._open_since is None:
            self._ordered_at = now

    def on_temperature(self, sensor: str, celsius: float, now: float) -> None:
        """Take a temperature of the battery or of the slot itself."""
        if self._limits.rise_c_min > 0:
            self._temps[sensor] = celsius
            self._rises.setdefault(sensor, Rise(self._limits)).take(celsius, now)

    def on_smoke(self, sensor: str, *, smoke: bool) -> None:
        """Take what a detector in the slot says."""
        self._smoke[sensor] = smoke

    def on_battery_gone(self, sensor: str) -> None:
        """Another battery's heat says nothing of this one's."""
        if sensor in self._rises:
            self._rises[sensor].gone()

    def findings(self) -> list[Finding]:
        """Return every alarm of which it is known whether it is up."""
        found = []
        known = {sensor: rise for sensor, rise in self._rises.items() if rise.active is not None}
        if known:
            hot = [sensor for sensor, rise in known.items() if rise.active]
            detail: dict[str, Json] = {}
            if hot:
                sensor = max(hot, key=lambda one: known[one].rate)
                detail = {"rate_c_min": round(known[sensor].rate, 1), "temp_c": self._temps[sensor], "sensor": sensor}
            found.append(Finding("slot_temp_rise", bool(hot), detail))
        if self._smoke:
            found.append(Finding("smoke", any(self._smoke.values()), {}))
        if self._door_known:
            found.append(Finding("lock_fault", bool(self.lock), {"why": self.lock} if self.lock else {}))
        return found
