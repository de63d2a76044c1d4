"""The room's temperature, and the air conditioner that cools it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from edge_agent.rehearse.script import Room as RoomScript
from edge_agent.rehearse.wires import Wires

_STEP_S = 300.0


class Room:
    """Steps on in `advance`; temperatures in °C, `true` in Unix seconds."""

    def __init__(self, script: RoomScript, wires: Wires, zone: ZoneInfo) -> None:
        self._script = script
        self._wires = wires
        self._zone = zone
        self._owed = _STEP_S
        self.temperature = script.begins
        self.works = True
        """Whether the air conditioner can run."""
        self._runs = False

    def advance(self, seconds: float, true: float) -> None:
        """Let `seconds` pass until `true`."""
        self._owed += seconds
        if self._owed < _STEP_S:
            return
        hours, self._owed = self._owed / 3600, 0.0
        outside = self._outside(true)
        share = min(1.0, hours * 3600 / self._script.seeps)
        self.temperature += (outside - self.temperature) * share
        self._cool(hours)
        for points, value in ((self._script.inside_points, self.temperature), (self._script.outside_points, outside)):
            for point in points:
                self._wires.show(point, round(value, 1))

    def _cool(self, hours: float) -> None:
        aircon = self._script.aircon
        if aircon is None:
            return
        above = self.temperature > (aircon.off_below if self._runs else aircon.on_above)
        self._runs = self.works and above
        if self._runs:
            self.temperature -= aircon.cools * hours
        for point, value in (aircon.on if self._runs else aircon.off).items():
            self._wires.show(f"{aircon.device}.{point}", value)

    def _outside(self, true: float) -> float:
        local = datetime.fromtimestamp(true, tz=self._zone)
        begin, end = (self._script.outside[(local.hour + n) % 24] for n in (0, 1))
        return begin + (end - begin) * (local.minute / 60)
