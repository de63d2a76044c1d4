"""One condition with its delays: when it becomes an alarm, and when that is over."""

import json
import math
from dataclasses import dataclass
from typing import Any

from edge_agent.config.condition import Condition
from edge_agent.records import Json, Stamp, Value
from edge_agent.rules.judges import Heard, Judge, Same, Values, Verdict, When
from edge_agent.rules.rule import Moment

_WRITTEN_AFTER = 0.25
"""A delay that begins anew with every look (silence, a frozen value) is worth a write once so much of it is over."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Which alarm of which device a condition is, and the seconds it must last, and be over.

    `name` tells conditions of one alarm apart; where `only_while` does not hold the condition does not.
    """

    name: str
    device: str
    code: str
    judge: Judge
    after: float = 0.0
    clear_after: float = 0.0
    only_while: Condition | None = None

    @property
    def points(self) -> frozenset[tuple[str, str]]:
        """Everything it looks at."""
        return self.judge.points | (self.only_while.points if self.only_while is not None else frozenset())


class Watch:
    """A Spec and where it stands. Only a good word raises or clears, a delay included."""

    def __init__(self, spec: Spec, stored: str | None = None) -> None:
        self.spec = spec
        self.raised = False
        self._since: Stamp | None = None
        """Since when it has spoken for the other state."""
        self._sure = isinstance(spec.judge, Heard)
        """The last word was good."""
        self.due = 0.0 if self._sure else math.inf
        if stored is not None:
            self._restore(stored)

    def look(self, values: Values, moment: Moment) -> bool:
        """Judge what is known now; return whether it was raised or cleared by that."""
        verdict = self._verdict(values, moment)
        if verdict is Verdict.UNKNOWN:
            self._sure = isinstance(self.spec.judge, Heard)
            return False
        self._sure = True
        if verdict is Verdict.AGAIN:
            changed, self.raised, self._since = self.raised, False, moment.stamp
            self._plan(moment)
            return changed
        if verdict is not (Verdict.NO if self.raised else Verdict.YES):
            self._since = None
        elif self._since is None:
            self._since = moment.stamp
        changed = self._ripe(moment)
        self._plan(moment)
        return changed

    def tick(self, moment: Moment) -> bool:
        """Let time pass; return whether it was raised or cleared by that."""
        if self._since is None and isinstance(self.spec.judge, Heard) and not self.raised:
            self._since = moment.stamp
        changed = self.spec.judge.by_time and self._sure and self._ripe(moment)
        self._plan(moment)
        return changed

    def stored(self, moment: Moment) -> str | None:
        """Return what a restart must know, None if that is nothing."""
        since = self._since
        if since is not None and self._restless and moment.elapsed(since) < self._wait * _WRITTEN_AFTER:
            since = None
        if since is None and not self.raised:
            return None
        judge = self.spec.judge
        last: list[Json] = []
        if isinstance(judge, Same):
            last = [[*point, _json(value)] for point, value in sorted(judge.last.items())]
        return json.dumps([self.raised, None if since is None else since.stored(), last], allow_nan=True)

    @property
    def _restless(self) -> bool:
        return isinstance(self.spec.judge, Heard | Same) and not self.raised

    @property
    def _wait(self) -> float:
        return self.spec.clear_after if self.raised else self.spec.after

    def _verdict(self, values: Values, moment: Moment) -> Verdict:
        found = self.spec.judge.look(values, moment)
        if self.spec.only_while is None:
            return found
        judged = When(self.spec.only_while).look(values, moment)
        return found if judged is Verdict.YES else judged

    def _ripe(self, moment: Moment) -> bool:
        if self._since is None or moment.elapsed(self._since) < self._wait:
            return False
        self.raised, self._since = not self.raised, None
        return True

    def _plan(self, moment: Moment) -> None:
        self.due = math.inf
        if self._since is None or not self.spec.judge.by_time or not self._sure:
            return
        passed = moment.elapsed(self._since)
        left = self._wait - passed
        if self._restless and passed < self._wait * _WRITTEN_AFTER:
            left = self._wait * _WRITTEN_AFTER - passed
        self.due = moment.mono + max(left, 0.001)

    def _restore(self, stored: str) -> None:
        # What a damaged journal has left may make no sense; then the condition begins anew.
        try:
            raised, since, last = json.loads(stored)
            self._since = None if since is None else Stamp.load(since)
            self.raised = bool(raised)
            judge = self.spec.judge
            if isinstance(judge, Same):
                judge.last = {(device, point): _value(value) for device, point, value in last}
        except (ValueError, TypeError):
            return


def _json(value: Value) -> Json:
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value
