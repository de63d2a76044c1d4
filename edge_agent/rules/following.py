"""Whether a room follows its air conditioner."""

from dataclasses import dataclass
from typing import ClassVar

from edge_agent.config.alarms import RoomNotFollowing
from edge_agent.config.condition import Point
from edge_agent.rules.judges import Values, Verdict, Window, number
from edge_agent.rules.rule import Moment

_SETPOINTS = ("setpoint_c", "commanded_setpoint_c")


@dataclass(slots=True)
class Following:
    """The unit has run in one mode for the whole window, the room has not moved, and is not where it should be.

    `rooms` are the temperatures that may be the room's; the first one that has a value is.
    """

    aircon: str
    rooms: tuple[Point, ...]
    settings: RoomNotFollowing
    window: Window
    mode: str = ""
    by_time: ClassVar[bool] = True

    @property
    def points(self) -> frozenset[Point]:
        """The unit's state and set-point, and the room's temperature."""
        return frozenset({*self.rooms, *((self.aircon, point) for point in ("state", *_SETPOINTS))})

    def look(self, values: Values, moment: Moment) -> Verdict:
        """Compare the room with how it was; whatever changes the mode begins anew."""
        temperature = next((found for room in self.rooms if (found := number(values.get(room))) is not None), None)
        state = values.get((self.aircon, "state"))
        if temperature is None or state is None:
            return Verdict.UNKNOWN
        if state != self.mode:
            self.window.clear()
            self.mode = str(state)
        if state not in {"cooling", "heating"}:
            return Verdict.NO
        self.window.add(temperature, moment.mono)
        cooling = state == "cooling"
        moved = self.window.greatest - temperature if cooling else temperature - self.window.least
        if moved >= self.settings.by or not self._far(temperature, values, cooling=cooling):
            return Verdict.NO
        return Verdict.YES if self.window.full(moment.mono) else Verdict.BETWEEN

    def _far(self, temperature: float, values: Values, *, cooling: bool) -> bool:
        """Return whether the room is where the unit still has something to do."""
        found = (number(values.get((self.aircon, point))) for point in _SETPOINTS)
        setpoint = next((value for value in found if value is not None), None)
        if setpoint is None:
            return temperature >= self.settings.cool_from if cooling else temperature <= self.settings.heat_from
        beyond = temperature - setpoint if cooling else setpoint - temperature
        return beyond > self.settings.near
