"""The alarm `clock_bad` of a station without a device that tells of the clock."""

from collections.abc import Iterator

from edge_agent.records import Alarm, Record
from edge_agent.rules.rule import Moment, Rule, Said

_CODE = "clock_bad"
_STATION = "station"
_LOOK_S = 60.0


class ClockWatch(Rule):
    """Looks at the stamps of what comes; stands back for good once a device speaks of the clock."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._bad_since: float | None = None
        self._others = False
        self._due = 0.0

    @property
    def due(self) -> float:
        """Return when the clock is looked at again."""
        return self._due

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """See whether somebody else tells of the clock."""
        del moment
        if isinstance(record, Alarm) and record.code == _CODE and not self._others:
            self._others = True
            yield _STATION, Alarm(_CODE, active=False)
        yield device, record

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Look at it."""
        self._due = moment.mono + _LOOK_S
        if self._others:
            return
        if moment.stamp.good:
            self._bad_since = None
            yield _STATION, Alarm(_CODE, active=False)
            return
        if self._bad_since is None:
            self._bad_since = moment.mono
        if moment.mono - self._bad_since >= self._after:
            yield _STATION, Alarm(_CODE, active=True)
