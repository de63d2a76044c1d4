"""The Recorder's sense of time: stamps for what arrives, and real times for what an unsynced clock has stamped."""

from edge_agent.clock import Clock
from edge_agent.journal.journal import Journal
from edge_agent.journal.row import Row
from edge_agent.journal.time import Correction, correct, floor_of, offset_of
from edge_agent.records import Stamp


class StationTime:
    """`stamp` may be called from any thread, the rest by the journal's thread.

    `known_ms` is a time (Unix milliseconds) that has certainly passed: an unsynced clock is never believed below it.
    """

    def __init__(self, journal: Journal, clock: Clock, known_ms: int) -> None:
        self._journal = journal
        self._clock = clock
        self._floor_ms = max(known_ms, floor_of(journal)) - round(clock.monotonic() * 1000)
        self._offset_ms = offset_of(journal, journal.boot)

    def stamp(self, at: float | None = None) -> Stamp:
        """Return the stamp of monotonic time `at` (seconds; default now)."""
        now = self._clock.monotonic()
        at = now if at is None else at
        wall_ms = round((self._clock.wall() - (now - at)) * 1000)
        good = self._clock.good()
        mono_ms = round(at * 1000)
        return Stamp(self._journal.boot, mono_ms, wall_ms if good else max(wall_ms, self._floor_ms + mono_ms), good)

    def dated(self, stamp: Stamp | Row) -> int | None:
        """Return when it really was (Unix milliseconds), None if nobody knows yet."""
        if stamp.good:
            return stamp.wall_ms
        offset = self._offset_ms if stamp.boot == self._journal.boot else offset_of(self._journal, stamp.boot)
        return None if offset is None else stamp.mono_ms + offset

    @property
    def to_be_dated(self) -> bool:
        """True if the clock has become good and this boot has not been dated yet."""
        return self._offset_ms is None and self._clock.good()

    def date(self, stamp: Stamp) -> Correction:
        """Date the boot by `stamp`, whose clock is good; nothing of the boot may be uncommitted."""
        correction = correct(self._journal, stamp)
        self._offset_ms = correction.dated.offset_ms
        return correction
