"""The double-swipe window: which swipes are one visit."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress

from edge_agent.ledger import RECENT, Changes
from edge_agent.records import CardRef, Event, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

_REMEMBERED = 16
"""Swipes kept for a restart: no door lets more people through within a window."""


class Swipes(Rule):
    """The double-swipe window: the same card again within `window` seconds is the same visit.

    Within one boot the monotonic clock decides. A reboot takes longer than any window, so what an earlier boot saw
    never swallows a visit. Swipes may come out of order: a door controller's are read when the network is back, those
    at a reader on a wire at once.
    """

    def __init__(self, window: float, stored: Mapping[tuple[str, str], int]) -> None:
        self._window_ms = round(window * 1000)
        self._changes: Changes = {}
        # By card, boot and window-long span of time: two visits of a card never share a span, so three spans tell all.
        self._seen: dict[tuple[str, int, int], int] = {}
        self._kept: deque[tuple[str, str]] = deque()
        for (bucket, name), mono_ms in sorted(stored.items(), key=lambda item: item[1]):
            if bucket.startswith(RECENT):
                # What a damaged journal has left may make no sense; then nothing is remembered.
                with suppress(ValueError):
                    self._seen[name.partition("@")[0], int(bucket.removeprefix(RECENT)), self._span(mono_ms)] = mono_ms
                self._kept.append((bucket, name))

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Swallow a swipe that is no new visit."""
        if isinstance(record, Event) and record.type == "visit" and record.card is not None:
            if not self.admit(record.card, moment.stamp):
                return
            self._changes |= self.remembered(record.card, moment.stamp)
        yield device, record

    def kept(self) -> Kept:
        """Return the swipes that a restart must know of."""
        changes, self._changes = self._changes, {}
        return Kept(ledger=changes) if changes else NOTHING

    def admit(self, card: CardRef, stamp: Stamp) -> bool:
        """Return True if this swipe is a new visit."""
        # In the order in which they were seen, so the expired ones stand first.
        while self._seen:
            oldest = next(iter(self._seen))
            if oldest[1] == stamp.boot and stamp.mono_ms - self._seen[oldest] < self._window_ms:
                break
            del self._seen[oldest]
        span = self._span(stamp.mono_ms)
        near = (self._seen.get((card.ref, stamp.boot, span + step)) for step in (-1, 0, 1))
        new = all(mono_ms is None or abs(stamp.mono_ms - mono_ms) >= self._window_ms for mono_ms in near)
        if new:
            self._seen[card.ref, stamp.boot, span] = stamp.mono_ms
        return new

    def remembered(self, card: CardRef, stamp: Stamp) -> Changes:
        """Return what a restart must know of an admitted swipe, as entries beside the counts that it guards.

        There because the ledger's page is written at every visit anyway: elsewhere each visit would cost another one.
        """
        key = (f"{RECENT}{stamp.boot}", f"{card.ref}@{stamp.mono_ms}")
        self._kept.append(key)
        changes: Changes = {key: stamp.mono_ms}
        while len(self._kept) > _REMEMBERED:
            changes[self._kept.popleft()] = None
        return changes

    def _span(self, mono_ms: int) -> int:
        return mono_ms // max(self._window_ms, 1)
