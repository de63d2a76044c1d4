"""Rows that the broker can never take: set aside, kept, and after a day declared to the centre as a gap.

A day is time for an operator to lift a limit and ask with `cmd/journal/resend`. What is set aside is remembered in the
journal by the hour, as ranges: a broker that refuses everything costs a few numbers, not a list of rows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.journal.row import Row
from edge_agent.ranges import Ranges

KEPT = "refused/"
"""Prefix of the journal's keys that belong here."""
_DECLARE_AFTER_S = 86_400.0
_BUCKET_S = 3600.0


class Memory(Protocol):
    """The Recorder, as it is used here."""

    def remember(self, key: str, text: str | None) -> None:
        """Keep text across restarts."""


@dataclass(slots=True)
class _Bucket:
    """What was set aside of one (stream, epoch) within an hour, or long ago and declared (`since` None)."""

    stream: str
    epoch: int
    since: tuple[str, float, float] | None
    """Boot id, monotonic and wall seconds."""
    ranges: Ranges
    saved: bool = False

    @property
    def key(self) -> str:
        when = "declared" if self.since is None else f"{self.since[0]}-{self.since[1]:.0f}"
        return f"{KEPT}{self.stream}/{self.epoch}/{when}"

    def text(self) -> str:
        return json.dumps({"since": self.since, "ranges": list(self.ranges)})


@dataclass(frozen=True, slots=True)
class Refused:
    """A range of one stream that will not come."""

    stream: str
    epoch: int
    first: int
    last: int


class SetAside:
    """See the module; `kept` is what `remember` kept of it."""

    def __init__(self, kept: dict[str, str], memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._buckets = [_load(key, text) for key, text in kept.items()]

    def add(self, row: Row) -> None:
        """Set one row aside."""
        for bucket in self._buckets:
            fitting = bucket.stream == row.stream and bucket.epoch == row.epoch and bucket.since is not None
            if fitting and self._age(bucket) < _BUCKET_S:
                break
        else:
            since = (self._clock.boot_id, self._clock.monotonic(), self._clock.wall())
            bucket = _Bucket(row.stream, row.epoch, since, Ranges())
            self._buckets.append(bucket)
        bucket.ranges.add(row.seq)
        bucket.saved = False

    def all(self) -> Iterator[Refused]:
        """Yield everything that is aside, declared or not."""
        for bucket in self._buckets:
            for first, last in bucket.ranges:
                yield Refused(bucket.stream, bucket.epoch, first, last)

    def waiting(self) -> dict[str, int]:
        """Count by stream what is aside and not declared yet."""
        counts: dict[str, int] = {}
        for bucket in self._buckets:
            if bucket.since is not None:
                counts[bucket.stream] = counts.get(bucket.stream, 0) + bucket.ranges.total()
        return counts

    def overdue(self) -> tuple[list[Refused], dict[str, str | None]]:
        """Return what has been aside for a day and is to be declared, and what to remember in the same transaction."""
        found: list[Refused] = []
        state: dict[str, str | None] = {}
        for bucket in [bucket for bucket in self._buckets if self._age(bucket) >= _DECLARE_AFTER_S]:
            self._buckets.remove(bucket)
            state[bucket.key] = None
            declared = self._declared(bucket.stream, bucket.epoch)
            for first, last in bucket.ranges:
                found.append(Refused(bucket.stream, bucket.epoch, first, last))
                declared.ranges.add(first, last)
            state[declared.key] = declared.text()
            declared.saved = True
        return found, state

    def save(self) -> None:
        """Remember what has changed."""
        for bucket in self._buckets:
            if not bucket.saved:
                self._memory.remember(bucket.key, bucket.text())
                bucket.saved = True

    def _age(self, bucket: _Bucket) -> float:
        """Seconds since the bucket began; across a reboot the wall clock must do, and a step back counts as no time."""
        if bucket.since is None:
            return 0.0
        boot, mono, wall = bucket.since
        return self._clock.monotonic() - mono if boot == self._clock.boot_id else max(0.0, self._clock.wall() - wall)

    def _declared(self, stream: str, epoch: int) -> _Bucket:
        for bucket in self._buckets:
            if bucket.since is None and (bucket.stream, bucket.epoch) == (stream, epoch):
                return bucket
        bucket = _Bucket(stream, epoch, None, Ranges())
        self._buckets.append(bucket)
        return bucket


def _load(key: str, text: str) -> _Bucket:
    stream, epoch, _ = key.removeprefix(KEPT).split("/")
    body = json.loads(text)
    ranges = Ranges((first, last) for first, last in body["ranges"])
    since = body["since"]
    return _Bucket(stream, int(epoch), None if since is None else (since[0], since[1], since[2]), ranges, saved=True)
