"""The physics of a swap cabinet: doors, batteries that charge, and people who move them.

It moves the simulators of a lock board and of the battery boards, whichever drivers they belong to: they only need the
verbs named below. It has no clock; whoever runs it says how much time has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

_FULL_PCT = 100.0
_CHARGE_A = 8.0
_CHARGE_PCT_PER_S = 0.02
"""20 Ah at 8 A less losses: about an hour and a half from empty."""
_AMBIENT_C = 25.0
_CHARGING_C = 32.0
_HOT_C = 72.0


class Doors(Protocol):
    """The simulator of a lock board; doors counted from 1."""

    def open_door(self, lock: int) -> None:
        """Open a door."""

    def close_door(self, lock: int) -> None:
        """Shut a door."""


class Bay(Protocol):
    """The simulator of the battery board in one slot."""

    def insert(self, sn: str, soc_pct: float, *, temp_c: float, current_a: float) -> None:
        """Put a battery in."""

    def remove(self) -> None:
        """Take the battery out."""

    def measure(self, *, soc_pct: float, temp_c: float, current_a: float) -> None:
        """Let the battery measure something else."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery: serial number, %, °C."""

    sn: str
    soc_pct: float
    temp_c: float = _AMBIENT_C


class CabinetModel:
    """One cabinet; slot N is door N and `bays[N - 1]`. `batteries` are in at first, None = empty."""

    def __init__(
        self, doors: Doors, bays: Sequence[Bay], batteries: Sequence[Battery | None], *, door_open_s: float = 4.0
    ) -> None:
        self._doors = doors
        self._bays = list(bays)
        self._batteries = list(batteries)
        self._door_open_s = door_open_s
        self._open: dict[int, float] = {}
        self._hot: set[int] = set()
        for bay in self._bays:
            bay.remove()
        for slot, battery in enumerate(self._batteries, start=1):
            if battery is not None:
                self._put(slot, battery)

    def battery(self, slot: int) -> Battery | None:
        """Return what is in a slot."""
        return self._batteries[slot - 1]

    def take(self, slot: int) -> Battery:
        """A person opens the door and takes the battery; the door falls shut `door_open_s` seconds later."""
        self.open(slot)
        return self.remove(slot)

    def return_(self, slot: int, battery: Battery) -> None:
        """A person opens the door and puts a battery in; the door falls shut `door_open_s` seconds later."""
        self.open(slot)
        self.insert(slot, battery)

    def remove(self, slot: int) -> Battery:
        """The battery leaves the slot, whose door stands open."""
        battery = self._batteries[slot - 1]
        if battery is None:
            raise ValueError(f"slot {slot} is empty")
        self._batteries[slot - 1] = None
        self._hot.discard(slot)
        self._bays[slot - 1].remove()
        return battery

    def insert(self, slot: int, battery: Battery) -> None:
        """A battery comes into the slot, whose door stands open."""
        if self._batteries[slot - 1] is not None:
            raise ValueError(f"slot {slot} is occupied")
        self._put(slot, battery)

    def overheat(self, slot: int) -> None:
        """Let the battery in a slot become dangerously hot, until it is taken."""
        self._hot.add(slot)

    def open(self, slot: int) -> None:
        """Open a door for `door_open_s` seconds."""
        self._doors.open_door(slot)
        self._open[slot] = self._door_open_s

    def close(self, slot: int) -> None:
        """Shut a door now."""
        self._doors.close_door(slot)
        self._open.pop(slot, None)

    def advance(self, seconds: float) -> None:
        """Let time pass: doors fall shut, batteries charge and warm up."""
        for slot, left in list(self._open.items()):
            self._open[slot] = left - seconds
            if left <= seconds:
                self.close(slot)
        for slot, battery in enumerate(self._batteries, start=1):
            if battery is None:
                continue
            soc = min(_FULL_PCT, battery.soc_pct + _CHARGE_PCT_PER_S * seconds)
            temp = _HOT_C if slot in self._hot else _CHARGING_C if soc < _FULL_PCT else _AMBIENT_C
            changed = replace(battery, soc_pct=round(soc, 2), temp_c=temp)
            self._batteries[slot - 1] = changed
            self._bays[slot - 1].measure(
                soc_pct=changed.soc_pct, temp_c=changed.temp_c, current_a=_CHARGE_A if soc < _FULL_PCT else 0.0
            )

    def _put(self, slot: int, battery: Battery) -> None:
        self._batteries[slot - 1] = battery
        current = _CHARGE_A if battery.soc_pct < _FULL_PCT else 0.0
        self._bays[slot - 1].insert(battery.sn, battery.soc_pct, temp_c=battery.temp_c, current_a=current)
