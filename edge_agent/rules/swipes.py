"""The double-swipe window: which swipes are one visit."""

from collections import deque
from collections.abc import Iterator, Mapping

from edge_agent.ledger import RECENT, Changes
from edge_agent.records import Event, Record, Stamp
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

_SWIPES = frozenset({"visit", "staff_entry", "exit_swipe", "swipe"})
"""Types of event of which a card makes one within a window."""
_REMEMBERED = 16
"""Swipes kept for a restart: no door lets more people through within a window."""


class Swipes(Rule):
    """The double-swipe window: the same card again within `window` seconds is the same visit.

    Within one boot the monotonic clock decides. A reboot takes longer than any window, so what an earlier boot saw
    never swallows a visit. Swipes may come out of order: a door controller's are read when the network is back, those
    at a reader on a wire at once. What a restart must know is stored under the day's key, see `day_keys.py`.
    """

    def __init__(self, window: float, stored: Mapping[tuple[str, str], int], keys: DayKeys) -> None:
        self._window_ms = round(window * 1000)
        self._keys = keys
        self._changes: Changes = {}
        # By swipe, boot and window-long span of time: two visits of a card never share a span, so three spans tell all.
        self._seen: dict[tuple[str, int, int], int] = {}
        self._before: list[tuple[str, int, int]] = []
        """Swipes before the restart: what stands for each, boot, monotonic milliseconds."""
        self._kept: deque[tuple[str, str]] = deque()
        for (bucket, name), mono_ms in sorted(stored.items(), key=lambda item: item[1]):
            boot = bucket.removeprefix(RECENT)
            if bucket.startswith(RECENT) and boot.isdecimal():
                self._before.append((name.partition("@")[0], int(boot), mono_ms))
                self._kept.append((bucket, name))

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Swallow a swipe that is no new visit."""
        if isinstance(record, Event) and record.type in _SWIPES and record.card is not None:
            swipe = f"{record.type}/{record.card.ref}"
            if not self.admit(swipe, moment.stamp):
                return
            self._changes |= self.remembered(swipe, moment.stamp)
        yield device, record

    def kept(self) -> Kept:
        """Return the swipes that a restart must know of."""
        changes, self._changes = self._changes, {}
        return Kept(ledger=changes) if changes else NOTHING

    def admit(self, swipe: str, stamp: Stamp) -> bool:
        """Return True if this swipe (type and card) is a new one."""
        # In the order in which they were seen, so the expired ones stand first.
        while self._seen:
            oldest = next(iter(self._seen))
            if oldest[1] == stamp.boot and stamp.mono_ms - self._seen[oldest] < self._window_ms:
                break
            del self._seen[oldest]
        span = self._span(stamp.mono_ms)
        near = (self._seen.get((swipe, stamp.boot, span + step)) for step in (-1, 0, 1))
        new = all(mono_ms is None or not self._within(mono_ms, stamp) for mono_ms in near)
        new = new and not self._was_before(swipe, stamp)
        if new:
            self._seen[swipe, stamp.boot, span] = stamp.mono_ms
        return new

    def remembered(self, swipe: str, stamp: Stamp) -> Changes:
        """Return what a restart must know of an admitted swipe, as entries beside the counts that it guards.

        There because the ledger's page is written at every visit anyway: elsewhere each visit would cost another one.
        """
        visitor = self._keys.visitor(self._keys.newest, swipe)
        key = (f"{RECENT}{stamp.boot}", f"{visitor}@{stamp.mono_ms}")
        self._kept.append(key)
        changes: Changes = {key: stamp.mono_ms}
        while len(self._kept) > _REMEMBERED:
            changes[self._kept.popleft()] = None
        return changes

    def _was_before(self, swipe: str, stamp: Stamp) -> bool:
        """Return whether it was seen within the window by the agent that ran before."""
        near = [name for name, boot, ms in self._before if boot == stamp.boot and self._within(ms, stamp)]
        return bool(near) and not self._keys.names(swipe).isdisjoint(near)

    def _within(self, mono_ms: int, stamp: Stamp) -> bool:
        return abs(stamp.mono_ms - mono_ms) < self._window_ms

    def _span(self, mono_ms: int) -> int:
        return mono_ms // max(self._window_ms, 1)
