"""The life of an alarm: raised, acknowledged, cleared, each told once, across restarts.

A condition that ends clears its alarm, but a latched one stays up until a person has acknowledged or cleared it. One
that comes and goes too often is held up, marked as flapping, until it has been quiet: it must not drown the others.
A shelved one is recorded like any other and marked, so that nobody is called while somebody works on it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.alarms import CATALOGUE, LATCHED, AlarmKind
from edge_agent.records import Alarm, AlarmState, Decision, Record, Severity, Shelf
from edge_agent.rules.alarm_state import load
from edge_agent.rules.rule import Moment, Rule, Said


@dataclass(frozen=True, slots=True)
class LifeSettings:
    """Which codes are ignored and which latch; more than `often` raises within `window` seconds are flapping.

    `kinds` says what an alarm of a device means where the catalogue does not: (device, code) -> kind.
    """

    off: frozenset[str] = frozenset()
    latched: frozenset[str] = LATCHED
    often: int = 5
    window: float = 600.0
    kinds: Mapping[tuple[str, str], AlarmKind] = field(default_factory=dict)


class AlarmLife(Rule):
    """Makes an AlarmState of every Alarm and Decision that changes something, and swallows the others."""

    def __init__(self, stored: Mapping[str, str], settings: LifeSettings = LifeSettings()) -> None:
        self._settings = settings
        self._states = load(stored)
        self._due = 0.0

    @property
    def due(self) -> float:
        """Return when a shelf or the damping of some alarm may end."""
        return self._due

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Judge an Alarm or a Decision."""
        if isinstance(record, Alarm):
            state = self._said(device, record, moment)
        elif isinstance(record, Decision):
            state = self._decided(self._of(device, record.code, moment), record, moment)
        else:
            yield device, record
            return
        if state is not None:
            yield self._enter(device, state, moment)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """End what is over."""
        for (device, _), before in list(self._states.items()):
            state = before
            if state.shelf is not None and _left(state.shelf, moment) <= 0:
                state = replace(state, shelf=None)
            if state.unsteady is not None and moment.elapsed(state.unsteady) >= self._settings.window:
                state = self._settled(state)
            if state is not before:
                yield self._enter(device, replace(state, told=True), moment)
        self._plan(moment)

    def _said(self, device: str, alarm: Alarm, moment: Moment) -> AlarmState | None:
        active = alarm.active and alarm.code not in self._settings.off
        before = self._states.get((device, alarm.code))
        if active == (before is not None and before.stands):
            return None
        state = self._of(device, alarm.code, moment)
        if active:
            return self._raised(state, alarm, moment)
        state = replace(state, stands=False, told=state.unsteady is None)
        if state.unsteady is not None:
            return replace(state, unsteady=moment.stamp)
        return self._settled(state)

    def _raised(self, state: AlarmState, alarm: Alarm, moment: Moment) -> AlarmState:
        window, often = self._settings.window, self._settings.often
        recent = tuple(at for at in state.raises if moment.elapsed(at) < window)
        raises = (*recent, moment.stamp)[-often - 1 :]
        flapped = state.unsteady is not None
        return replace(
            state,
            stands=True,
            active=True,
            count=state.count + 1,
            since=state.since if state.active else moment.stamp,
            by=state.by if state.active else "",
            detail=alarm.detail,
            raises=raises,
            unsteady=moment.stamp if flapped or len(raises) > often else None,
            told=not flapped,
        )

    def _settled(self, state: AlarmState) -> AlarmState:
        """Return what is left once nothing holds the alarm up but its condition and its latch."""
        held = state.active and not state.by and state.code in self._settings.latched
        return replace(state, unsteady=None, active=state.stands or held)

    def _decided(self, state: AlarmState, decision: Decision, moment: Moment) -> AlarmState | None:
        match decision.verb:
            case "acknowledge" if state.active and not state.by:
                return replace(state, by=decision.by, active=not state.latched, told=True)
            case "clear" if state.active and not state.stands:
                return replace(state, by=decision.by, active=False, unsteady=None, raises=(), told=True)
            case "shelve":
                return replace(state, shelf=Shelf(decision.by, moment.stamp, decision.seconds), told=True)
            case "unshelve" if state.shelf is not None:
                return replace(state, shelf=None, told=True)
        return None

    def _of(self, device: str, code: str, moment: Moment) -> AlarmState:
        """Return the state of an alarm, with severity and texts as they are configured now."""
        before = self._states.get((device, code))
        kind = self._settings.kinds.get((device, code)) or CATALOGUE.get(code)
        if before is not None:
            return before if kind is None else replace(before, severity=kind.severity, zh=kind.zh, en=kind.en)
        if kind is None:
            kind = AlarmKind(Severity.WARNING, code, code)
        return AlarmState(code, kind.severity, kind.zh, kind.en, moment.stamp)

    def _enter(self, device: str, state: AlarmState, moment: Moment) -> Said:
        self._states[device, state.code] = state
        self._plan(moment)
        return device, state

    def _plan(self, moment: Moment) -> None:
        left = [_left(state.shelf, moment) for state in self._states.values() if state.shelf is not None]
        left += [
            self._settings.window - moment.elapsed(state.unsteady)
            for state in self._states.values()
            if state.unsteady is not None
        ]
        self._due = moment.mono + max(min(left, default=math.inf), 0.001)


def _left(shelf: Shelf, moment: Moment) -> float:
    return shelf.seconds - moment.elapsed(shelf.at)
