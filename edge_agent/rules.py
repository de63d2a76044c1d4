"""What the numbers mean: which swipes are one visit, and the life of an alarm. Pure; state survives a restart.

What a rule must remember is stored by the Recorder in the transaction of the record it was computed from.
"""

import json
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from edge_agent.alarms import CATALOGUE
from edge_agent.ledger import RECENT, Changes
from edge_agent.records import Alarm, CardRef, Json, Severity, Stamp

ALARM = "alarm/"
_REMEMBERED = 16
"""Swipes kept for a restart: no door lets more people through within a window."""


class Swipes:
    """The double-swipe window: the same card again within `window` seconds is the same visit.

    Within one boot the monotonic clock decides. A reboot takes longer than any window, so what an earlier boot saw
    never swallows a visit. Swipes may come out of order: a door controller's are read when the network is back, those
    at a reader on a wire at once.
    """

    def __init__(self, window: float, stored: Mapping[tuple[str, str], int]) -> None:
        self._window_ms = round(window * 1000)
        # By card, boot and window-long span of time: two visits of a card never share a span, so three spans tell all.
        self._seen: dict[tuple[str, int, int], int] = {}
        self._kept: deque[tuple[str, str]] = deque()
        for (bucket, name), mono_ms in sorted(stored.items(), key=lambda item: item[1]):
            if bucket.startswith(RECENT):
                # What a damaged journal has left may make no sense; then nothing is remembered.
                with suppress(ValueError):
                    self._seen[name.partition("@")[0], int(bucket.removeprefix(RECENT)), self._span(mono_ms)] = mono_ms
                self._kept.append((bucket, name))

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


@dataclass(frozen=True, slots=True)
class AlarmState:
    """One (device, code): raised or not, since when, how often so far, and its newest record."""

    active: bool
    severity: Severity
    since: Stamp
    count: int
    epoch: int
    seq: int
    detail: Mapping[str, Json] = field(default_factory=dict)

    def stored(self) -> str:
        """Return JSON text from which `load` makes an equal state."""
        where = [self.epoch, self.seq]
        return json.dumps([int(self.active), self.severity, self.since.stored(), self.count, where, dict(self.detail)])

    @classmethod
    def load(cls, text: str) -> "AlarmState":
        """Undo `stored`."""
        active, severity, (boot, mono_ms, wall_ms, good), count, (epoch, seq), detail = json.loads(text)
        stamp = Stamp(boot, mono_ms, wall_ms, bool(good))
        return cls(bool(active), Severity(severity), stamp, count, epoch, seq, detail)


class Alarms:
    """Every alarm ever raised here, by (device, code)."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        self.states: dict[tuple[str, str], AlarmState] = {}
        for key, text in stored.items():
            if key.startswith(ALARM):
                with suppress(ValueError, TypeError):
                    device, code = key.removeprefix(ALARM).split("/")
                    self.states[device, code] = AlarmState.load(text)

    def changes(self, device: str, alarm: Alarm) -> bool:
        """Return True if `alarm` says something new of `device`."""
        before = self.states.get((device, alarm.code))
        return alarm.active != (before is not None and before.active)

    def apply(
        self, device: str, alarm: Alarm, stamp: Stamp, epoch: int, seq: int
    ) -> tuple[AlarmState, dict[str, Json]]:
        """Raise or clear; return the new state and the body of its record."""
        kind = CATALOGUE[alarm.code]
        before = self.states.get((device, alarm.code))
        count = before.count if before else 0
        since = stamp
        if alarm.active:
            count += 1
        elif before is not None:
            since = before.since
        state = AlarmState(alarm.active, kind.severity, since, count, epoch, seq, alarm.detail)
        self.states[device, alarm.code] = state
        body: dict[str, Json] = {
            "state": "raised" if alarm.active else "cleared",
            "severity": str(kind.severity),
            "since": since.stored(),
            "text": {"zh": kind.zh, "en": kind.en},
            "count": count,
        }
        if alarm.detail:
            body["detail"] = dict(alarm.detail)
        return state, body
