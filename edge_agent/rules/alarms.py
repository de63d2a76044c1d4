"""The life of an alarm: raised once, cleared once, across restarts."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from edge_agent.alarms import CATALOGUE
from edge_agent.records import Alarm, Json, Severity, Stamp

ALARM = "alarm/"


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
