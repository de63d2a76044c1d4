"""The live picture: what the page and the centre are shown, as of what has been accepted.

The Recorder's thread writes it, any thread reads it. Everything handed out is immutable.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from edge_agent.records import AlarmState, Json, Quality, Reading


@dataclass(frozen=True, slots=True)
class Point:
    """One value and its age: `wall_ms` and `mono` say when it was read, `since_ms` when its quality began."""

    reading: Reading
    wall_ms: int
    mono: float
    since_ms: int


@dataclass(frozen=True, slots=True)
class Device:
    """Latest values of one device; `told` counts how often they became worth telling the centre."""

    points: Mapping[str, Point] = field(default_factory=dict)
    told: int = 0


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """An alarm that is up now. `epoch` and `seq` name its newest record."""

    device: str
    state: AlarmState
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger as of the committed usage record `epoch_name`/`seq`."""

    epoch_name: str = ""
    seq: int = 0
    lifetime: Mapping[str, int] = field(default_factory=dict)
    day: date | None = None
    hour: int = 0
    today: Mapping[str, int] = field(default_factory=dict)
    hours: Mapping[str, list[int]] = field(default_factory=dict)
    yesterday: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Json] = field(default_factory=dict)
    """What is known of today beside its counts."""
    undated: Mapping[str, int] = field(default_factory=dict)
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Commits:
    """What has been accepted since the start: records by stream, in so many commits, the slowest in so many seconds."""

    accepted: Mapping[str, int] = field(default_factory=dict)
    count: int = 0
    slowest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Storage:
    """How the journal is doing: the trouble if any, and figures that are brought up to date once a minute."""

    trouble: str = ""
    """Why nothing is accepted at the moment."""
    waiting: int = 0
    """Submissions that wait meanwhile."""
    used: Mapping[str, int] = field(default_factory=dict)
    """Stream -> bytes that its records take."""
    quota: Mapping[str, int] = field(default_factory=dict)
    """Stream -> bytes that they may take."""
    days: float | None = None
    """Days of records there is room for, at the rate of those stored; None if that cannot be told yet."""
    written_day: int = 0
    """Bytes the agent wrote in the last 24 hours of running time."""
    device_day: int | None = None
    """Bytes everybody wrote to the journal's device in that time, as long as the agent runs."""
    tight: bool = False
    """The disk is so full that telemetry is not stored."""
    restored: int = 0
    """Records of a damaged file that have been brought back since the start."""
    salvaging: bool = False
    """There may be more of them."""


@dataclass(frozen=True, slots=True)
class Link:
    """The uplink as the station sees it."""

    online: bool = False
    since_mono: float = 0.0
    """When it came online or went offline; attempts in between do not count."""
    why: str = ""
    broker: str = ""
    pending: Mapping[str, int] = field(default_factory=dict)
    """Stream -> records accepted and not yet acknowledged."""
    oldest_ms: int | None = None
    """Wall time of the oldest of them."""
    published: int = 0
    acknowledged: int = 0
    """Journal records acknowledged since the start."""
    connections: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """One consistent look."""

    devices: Mapping[str, Device] = field(default_factory=dict)
    alarms: Mapping[tuple[str, str], ActiveAlarm] = field(default_factory=dict)
    """(device, code) -> what is up."""
    shelved: frozenset[tuple[str, str]] = frozenset()
    """(device, code) of alarms put aside, up or not."""
    totals: Totals = field(default_factory=Totals)
    commits: Commits = field(default_factory=Commits)
    storage: Storage = field(default_factory=Storage)
    uplink: Link = field(default_factory=Link)
    last_visit_mono: float | None = None


class Picture:
    """Holds the current `View` and tells subscribers that there is a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._view = View()
        self._subscribers: list[Callable[[], None]] = []

    @property
    def view(self) -> View:
        """The current look; immutable."""
        return self._view

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change, from the changing thread: it must return at once."""
        with self._lock:
            self._subscribers.append(callback)

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Undo `subscribe`."""
        with self._lock:
            self._subscribers.remove(callback)

    def change(self, edit: Callable[[View], View]) -> None:
        """Replace the view by `edit(view)` and tell everyone."""
        with self._lock:
            self._view = edit(self._view)
            subscribers = tuple(self._subscribers)
        for subscriber in subscribers:
            subscriber()


def with_readings(device: Device, readings: Mapping[str, Reading], wall_ms: int, mono: float) -> Device:
    """Return `device` with newer readings; absent values leave, a quality keeps the moment it began.

    A value that turns bad because its device fell silent keeps the time at which it was read: that is its age.
    """
    points = dict(device.points)
    for name, reading in readings.items():
        before = points.get(name)
        if reading.value is None and reading.quality is Quality.GOOD:
            points.pop(name, None)
        elif before is not None and before.reading.quality is reading.quality:
            points[name] = Point(reading, wall_ms, mono, before.since_ms)
        elif before is not None and reading.quality is not Quality.GOOD and reading.value == before.reading.value:
            points[name] = Point(reading, before.wall_ms, before.mono, wall_ms)
        else:
            points[name] = Point(reading, wall_ms, mono, wall_ms)
    return replace(device, points=points)
