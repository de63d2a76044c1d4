"""What waits at the Recorder's door: bounded, and what cannot even wait is counted so that its loss can be declared.

Telemetry may fill three quarters of the queue; the rest is kept for events and alarms. An alarm always finds room:
beyond the queue only the newest word about each (device, code) is kept.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge_agent.alarms import CATALOGUE
from edge_agent.ranges import Ranges
from edge_agent.records import Alarm, Event, Json, Reading, Record, Stamp

Delivered = dict[tuple[str, int], Ranges]
"""(stream, epoch number) -> seqs that the centre has acknowledged."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What one device said at one moment."""

    device: str
    stamp: Stamp
    records: tuple[Record, ...]
    unreachable: str | None = None
    """Why the device does not answer, None if it does."""
    state: Mapping[str, str | None] = field(default_factory=dict)
    """What to remember in the same transaction: key -> JSON text, None forgets."""
    gaps: tuple[tuple[str, Mapping[str, Json]], ...] = ()
    """Losses to declare: (stream, body of the gap record)."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """Records of one stream that found no room, and when."""

    count: int
    first: Stamp
    last: Stamp

    @classmethod
    def of(cls, before: "Overflow | None", stamp: Stamp) -> "Overflow":
        """Count one more."""
        return cls(1, stamp, stamp) if before is None else cls(before.count + 1, before.first, stamp)

    def body(self, first: int, reason: str) -> dict[str, Json]:
        """Return the body of the gap record about the seqs from `first` on."""
        return {
            "from_seq": first,
            "to_seq": first + self.count - 1,
            "from": self.first.stored(),
            "to": self.last.stored(),
            "reason": reason,
            "count": self.count,
        }


@dataclass(slots=True)
class Taken:
    """Everything that waited; `hurry` asks for a commit now."""

    submissions: list[Submission]
    overflow: dict[str, Overflow]
    state: dict[str, str | None]
    hurry: bool


class Queue:
    """Every method may be called from any thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._room_for_telemetry = size - size // 4
        self._changed = threading.Condition()
        self._waiting: deque[Submission] = deque()
        self._alarms: dict[tuple[str, str], Submission] = {}
        self._overflow: dict[str, Overflow] = {}
        self._state: dict[str, str | None] = {}
        self._delivered: Delivered = {}
        self._put = self._taken = self._durable = 0
        self._hurry = False
        self._distrust = ""
        self._stopping = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._alarms)

    @property
    def stopping(self) -> bool:
        """True after `stop`."""
        return self._stopping

    def put(self, submission: Submission) -> None:
        """Let it wait, or count what is lost."""
        with self._changed:
            self._admit(submission)
            self._changed.notify_all()

    def put_durably(self, submission: Submission, within: float) -> bool:
        """Let it wait and return True once it is durable; False if that takes longer, or if there is no room."""
        with self._changed:
            if not self._admit(submission):
                return False
            number = self._put
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._durable >= number, within)

    def remember(self, key: str, text: str | None) -> None:
        """Let a text wait for the next commit; the newest under a key holds."""
        with self._changed:
            self._state[key] = text

    def acknowledge(self, delivered: Mapping[tuple[str, int], Ranges]) -> None:
        """Add to what the centre is known to have."""
        with self._changed:
            for key, ranges in delivered.items():
                known = self._delivered.setdefault(key, Ranges())
                for first, last in ranges:
                    known.add(first, last)

    def take_delivered(self) -> Delivered:
        """Take what was acknowledged since the last call."""
        with self._changed:
            delivered, self._delivered = self._delivered, {}
            return delivered

    def distrust(self, why: str) -> None:
        """Ask for a new epoch, and say why; "" asks for nothing."""
        with self._changed:
            self._distrust = why or self._distrust
            self._hurry |= bool(why)
            self._changed.notify_all()

    def take_distrust(self) -> str:
        """Take why a new epoch was asked for, "" if it was not."""
        with self._changed:
            why, self._distrust = self._distrust, ""
            return why

    def take(self) -> Taken:
        """Take everything that waits."""
        with self._changed:
            taken = Taken([*self._waiting, *self._alarms.values()], self._overflow, self._state, self._hurry)
            self._waiting.clear()
            self._alarms.clear()
            self._overflow = {}
            self._state = {}
            self._hurry = False
            self._taken = self._put
            return taken

    def durable(self) -> None:
        """Whatever has been taken is durable now."""
        with self._changed:
            self._durable = self._taken
            self._changed.notify_all()

    def hurry(self) -> None:
        """Ask for a commit without waiting for the group commit."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End every `wait`."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wait(self, seconds: float, *, patiently: bool) -> None:
        """Rest until something waits here (`patiently`: even then), `stop` is called, or `seconds` have passed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or (not patiently and bool(self._waiting or self._alarms or self._hurry)),
                seconds,
            )

    def _admit(self, submission: Submission) -> bool:
        urgent = any(not isinstance(record, Reading) for record in submission.records) or bool(submission.state)
        # What declares a loss must not be lost itself; there is little of it.
        if submission.gaps or len(self._waiting) < (self._size if urgent else self._room_for_telemetry):
            self._put += 1
            self._waiting.append(submission)
            return True
        for record in submission.records:
            if isinstance(record, Alarm):
                self._keep_newest(submission, record)
            elif isinstance(record, Event):
                self._count("usage", submission.stamp)
        if submission.unreachable is not None or any(isinstance(record, Reading) for record in submission.records):
            # One row of telemetry holds all readings of one moment.
            self._count("tele", submission.stamp)
        return False

    def _keep_newest(self, submission: Submission, alarm: Alarm) -> None:
        key = (submission.device, alarm.code)
        before = self._alarms.pop(key, None)
        if before is not None and before.records != (alarm,):
            self._count("alarm", before.stamp)
        self._alarms[key] = Submission(submission.device, submission.stamp, (alarm,))

    def _count(self, stream: str, stamp: Stamp) -> None:
        self._overflow[stream] = Overflow.of(self._overflow.get(stream), stamp)


def checked(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return the records; raises KeyError for an alarm that is not in the catalogue."""
    found = tuple(records)
    for record in found:
        if isinstance(record, Alarm):
            CATALOGUE[record.code]
    return found
