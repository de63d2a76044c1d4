"""Reflexes: what the station does at once by itself, before anything is stored, with or without a way to the centre.

They stand where Workers hand over what they heard. Nothing here waits for the journal or the uplink: the alarm goes on
to the Recorder right after, on its own way; what conditions and cabinets make of a reading is judged here ahead of it.
Each reflex has a thread of its own, for telling a device takes time.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edge_agent.clock import Clock
from edge_agent.commands import CommandRefused
from edge_agent.config.maintenance import split
from edge_agent.config.reflexes import Reflex
from edge_agent.early import Early
from edge_agent.picture import View
from edge_agent.records import Alarm, Event, Json, Quality, Reading, Record
from edge_agent.slot import Sink
from edge_agent.verbs import Command

log = logging.getLogger(__name__)

_WITHIN_S = 5.0
_RETRY_FIRST_S = 0.5
_RETRY_CEILING_S = 30.0
_IDLE_S = 60.0

Cause: TypeAlias = tuple[str, str]
"""A device and the code of its alarm, or the point that calls for the reflex."""


Tell: TypeAlias = Callable[[str, Command, float], object]
"""Has a device carry out a command within so many seconds; raises CommandRefused."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is wanted of the device: `causes` that call for it until monotonic time `until`, the newest at `at`."""

    causes: frozenset[Cause] = frozenset()
    until: float = 0.0
    at: float = 0.0
    why: str = "start"
    """Why it is to be off."""


class Arm:
    """One reflex: `call` and `silence` from any thread, `run` in its own."""

    def __init__(self, reflex: Reflex, tell: Tell, sink: Sink, clock: Clock) -> None:
        self.reflex = reflex
        self._tell = tell
        self._sink = sink
        self._clock = clock
        self._changed = threading.Condition()
        self._wish = _Wish()
        self._news = False
        self._stopping = False
        self._on: bool | None = None
        """What the device was told last; None until it has taken anything."""
        self._failed = False
        self._pause = _RETRY_FIRST_S
        self._due = 0.0

    def call(self, cause: Cause, at: float) -> None:
        """Begin, or begin anew."""
        with self._changed:
            self._wish = _Wish(self._wish.causes | {cause}, self._clock.monotonic() + self.reflex.lasts, at)
            self._news = True
            self._changed.notify_all()

    def silence(self, wanted: Callable[[Cause], bool]) -> None:
        """Leave out the causes that are `wanted` no more; without any it ends."""
        with self._changed:
            left = frozenset(cause for cause in self._wish.causes if not wanted(cause))
            if left == self._wish.causes:
                return
            until = self._wish.until if left else 0.0
            self._wish = _Wish(left, until, self._wish.at, why="silenced")
            self._news = self._news or not left
            self._changed.notify_all()

    def run(self, promise: Callable[[float], None]) -> None:
        """Do what is wanted until `stop`; the device is told the end of it before the thread ends."""
        while not self._stopping:
            promise(self._clock.monotonic() + 2 * _WITHIN_S)
            rest = self.step()
            promise(self._clock.monotonic() + rest + 2 * _WITHIN_S)
            with self._changed:
                self._changed.wait_for(lambda: self._news or self._stopping, rest)
        if self._on:
            self._switch(_Wish(why="stopped"), on=False)

    def stop(self) -> None:
        """Make `run` return."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def step(self) -> float:
        """Tell the device what it is to be told now; return the seconds until it is to be told more."""
        with self._changed:
            now = self._clock.monotonic()
            if self._wish.causes and self._wish.until <= now:
                self._wish = _Wish(why="time")
            wish, news, self._news = self._wish, self._news, False
        want = bool(wish.causes)
        settled = not want and self._on is False
        if news or (not settled and now >= self._due):
            self._switch(wish, on=want)
        if not want and self._on is False:
            return _IDLE_S
        return max(0.0, min(self._due, wish.until if want else math.inf) - self._clock.monotonic())

    def _switch(self, wish: _Wish, *, on: bool) -> None:
        reflex, before = self.reflex, self._on
        verb = reflex.on if on else reflex.off
        try:
            self._tell(reflex.device, Command(verb, dict(reflex.args)), _WITHIN_S)
        except CommandRefused as error:
            self._fail(str(error))
            return
        now = self._clock.monotonic()
        self._on, self._pause, self._due = on, _RETRY_FIRST_S, now + reflex.again
        if self._failed or before is None:
            self._failed = False
            self._sink.submit(reflex.device, [Alarm("reflex_failed", active=False)])
        if on is not (before or False):
            self._sink.submit(reflex.device, [Event("reflex", self._said(wish, now, on=on))])

    def _said(self, wish: _Wish, now: float, *, on: bool) -> dict[str, Json]:
        said: dict[str, Json] = {"reflex": self.reflex.name, "on": on}
        if on:
            causes: list[Json] = ["/".join(cause) for cause in sorted(wish.causes)]
            return said | {"causes": causes, "ms": round((now - wish.at) * 1000)}
        return said | {"why": wish.why}

    def _fail(self, why: str) -> None:
        self._due = self._clock.monotonic() + self._pause
        self._pause = min(self._pause * 2, _RETRY_CEILING_S)
        if not self._failed:
            log.error("reflex cannot act name=%s: %s", self.reflex.name, why)
            self._failed = True
            alarm = Alarm("reflex_failed", active=True, detail={"reflex": self.reflex.name, "why": why})
            self._sink.submit(self.reflex.device, [alarm])


class Reflexes:
    """Looks at what Workers hand over, and hands it on at once; `view` is the picture as of what was accepted."""

    def __init__(
        self,
        reflexes: Sequence[Reflex],
        early: Early,
        *,
        tell: Tell,
        sink: Sink,
        view: Callable[[], View],
        clock: Clock,
    ) -> None:
        self.arms = tuple(Arm(reflex, tell, sink, clock) for reflex in reflexes)
        self._early = early
        self._sink = sink
        self._view = view
        self._clock = clock
        self._by_code: dict[str, list[Arm]] = {}
        self._by_point: dict[Cause, list[Arm]] = {}
        for arm in self.arms:
            for code in arm.reflex.causes:
                self._by_code.setdefault(code, []).append(arm)
            if arm.reflex.point is not None:
                self._by_point.setdefault(split(arm.reflex.point), []).append(arm)
        self._standing: dict[Cause, bool] = {}
        """What was last said of each cause."""
        self._told: set[Cause] = set()
        """Alarms that were heard here first."""

    # ---- the sink of Workers

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """See `Recorder.submit`."""
        said = tuple(records)
        self._judge(device, said, at)
        self._sink.submit(device, said, at)

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """See `Recorder.unreachable`."""
        said = tuple(records)
        self._judge(device, said, None, unreachable=why)
        self._sink.unreachable(device, why, said)

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """See `Recorder.submit_durably`."""
        said = tuple(records)
        self._judge(device, said, None)
        return self._sink.submit_durably(device, said, state, within)

    # ---- from any thread

    def raised(self, device: str, code: str, *, stands: bool) -> None:
        """Take an alarm that rules have raised or cleared; what was heard here first is known already."""
        if code in self._by_code and (device, code) not in self._told:
            self._turn((device, code), self._by_code[code], self._clock.monotonic(), stands=stands)

    def silence(self, device: str, code: str) -> None:
        """End what an alarm of a device has called for; also what a point of that device has."""
        for arm in self.arms:
            point = arm.reflex.point
            spoken = {(device, code)} | ({split(point)} if point is not None and split(point)[0] == device else set())
            arm.silence(spoken.__contains__)

    def _judge(self, device: str, records: Sequence[Record], at: float | None, unreachable: str | None = None) -> None:
        if not self.arms:
            return
        for concerned, alarm in self._early.alarms(device, records, at, unreachable):
            if (arms := self._by_code.get(alarm.code)) is not None:
                cause = (concerned, alarm.code)
                self._told.add(cause)
                self._turn(cause, arms, at, stands=alarm.active)
        for record in records:
            if isinstance(record, Reading) and record.quality is Quality.GOOD:
                for arm in self._by_point.get((device, record.point), ()):
                    stands = record.value == arm.reflex.equals
                    self._turn((device, record.point), [arm], at, stands=stands)

    def _turn(self, cause: Cause, arms: Iterable[Arm], at: float | None, *, stands: bool) -> None:
        before = self._standing.get(cause)
        self._standing[cause] = stands
        if not stands or before:
            return
        view = self._view()
        # What stood before the start and somebody has seen to does not sound again because the agent was restarted.
        known = view.alarms.get(cause) if before is None else None
        if cause in view.shelved or (known is not None and known.state.stands and known.state.by):
            return
        for arm in arms:
            arm.call(cause, self._clock.monotonic() if at is None else at)
