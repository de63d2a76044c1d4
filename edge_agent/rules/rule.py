"""What a rule is, and how rules stand in a row.

A rule is handed every record in order and yields what goes on instead: the record itself, unless it swallows or
changes it, and behind it what follows from it. The next rule in the row is handed all of that. A rule knows no clock,
no file and no thread: the Recorder tells it the moment, and stores what it must remember in the transaction of the
records it was computed from, so that no restart counts anything twice or forgets half of it.
"""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from edge_agent.ledger import Changes
from edge_agent.records import Alarm, Json, Reading, Record, Stamp

log = logging.getLogger(__name__)

_STANDS_STILL_S = 60.0

Said: TypeAlias = tuple[str, Record]
"""Device id, and what is said of it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is judged.

    `dated` returns when a stamp really was (Unix milliseconds), None while nobody knows.
    """

    stamp: Stamp
    dated: Callable[[Stamp], int | None] = field(repr=False)

    @property
    def mono(self) -> float:
        """Seconds since boot."""
        return self.stamp.mono

    @property
    def at_ms(self) -> int | None:
        """When it really is (Unix milliseconds), None while nobody knows."""
        return self.dated(self.stamp)

    def since(self, earlier: Stamp) -> float | None:
        """Return the seconds that have passed since `earlier`; None if that was in another boot and one is undated."""
        if earlier.boot == self.stamp.boot:
            return (self.stamp.mono_ms - earlier.mono_ms) / 1000
        before, now = self.dated(earlier), self.at_ms
        return None if before is None or now is None else (now - before) / 1000

    def elapsed(self, earlier: Stamp) -> float:
        """Return the seconds that have passed since `earlier` at least: since another boot no less than this one's."""
        since = self.since(earlier)
        return since if since is not None and earlier.boot == self.stamp.boot else max(self.mono, since or 0.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a rule wants remembered: `state` key -> JSON text (None forgets), `ledger` entries beside the counts.

    The ledger's page is written at every visit anyway; the page of the states costs one more.
    """

    state: Mapping[str, str | None] = field(default_factory=dict)
    ledger: Changes = field(default_factory=dict)


NOTHING = Kept()


class Rule(ABC):
    """See the module; used by the journal's thread only."""

    @property
    def due(self) -> float:
        """Monotonic seconds at which `tick` is to be called; infinity if only a record can change anything.

        It changes by `take` and `tick` alone.
        """
        return math.inf

    def judges(self, device: str, point: str) -> bool:  # noqa: ARG002  (most rules judge events)
        """Return, always the same, whether it is handed the readings of a point: most records are, and pass it by."""
        return False

    @abstractmethod
    def take(self, device: str, record: Record, moment: Moment) -> Iterable[Said]:
        """Yield what goes on instead of `record`."""

    def tick(self, moment: Moment) -> Iterable[Said]:  # noqa: ARG002  (most rules wait for no time)
        """Yield what follows from the time alone; afterwards `due` must lie in the future."""
        return ()

    def today(self) -> Mapping[str, Json]:
        """Return what is told of the business day in progress beside its counts.

        What belongs into the record of a finished day is added to the event `day_closed` when it is taken.
        """
        return {}

    def kept(self) -> Kept:
        """Return, once, what has changed of what must be remembered; `NOTHING` if nothing has."""
        return NOTHING


class Rules:
    """Rules in a row.

    A rule with a mistake in it must not stop the counting: what it fails on goes on as it was, it is told once as the
    alarm `rule_failed`, and its time passes again a minute later.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._judges: dict[tuple[str, str], tuple[tuple[int, Rule], ...]] = {}
        """Device and point -> those that judge it, with their places."""
        self._failed: dict[Rule, float] = {}
        """Those that have failed, and until when (monotonic seconds) their time stands still."""
        self._first_due: float | None = None
        """As they said last; None once any of them has been handed something: they are to be asked again."""

    @property
    def due(self) -> float:
        """Monotonic seconds at which the first of them wants to be called."""
        if self._first_due is None:
            self._first_due = min((self._due(rule) for rule in self._rules), default=math.inf)
        return self._first_due

    def take(self, device: str, record: Record, moment: Moment) -> Sequence[Said]:
        """Return what goes on instead of `record`."""
        if isinstance(record, Reading):
            return self._pass_reading(device, record, moment)
        return self._pass([(device, record)], 0, moment)

    def tick(self, moment: Moment) -> Sequence[Said]:
        """Return what follows from the time alone."""
        said: list[Said] = []
        # The last first: what is due of a rule is over before it is handed what an earlier one says of this moment.
        for behind in range(len(self._rules), 0, -1):
            rule = self._rules[behind - 1]
            if self._due(rule) <= moment.mono:
                found = self._tried(rule, partial(rule.tick, moment), (), moment)
                said += self._pass(found, behind, moment)
        return said

    def today(self) -> Mapping[str, Json]:
        """Return what all of them tell of the business day in progress."""
        return {name: value for rule in self._rules for name, value in rule.today().items()}

    def kept(self) -> Iterable[Kept]:
        """Return, once, what has changed."""
        return [kept for rule in self._rules if (kept := rule.kept()) is not NOTHING]

    def _pass(self, said: list[Said], first: int, moment: Moment) -> list[Said]:
        for rule in self._rules[first:]:
            before, said = said, []
            for one in before:
                if not isinstance(one[1], Reading) or rule.judges(one[0], one[1].point):
                    said += self._tried(rule, partial(rule.take, *one, moment), (one,), moment)
                else:
                    said.append(one)
        return said

    def _pass_reading(self, device: str, reading: Reading, moment: Moment) -> list[Said]:
        """As `_pass`, for what comes by the thousand: a reading of which nothing follows."""
        point = (device, reading.point)
        judges = self._judges.get(point)
        if judges is None:
            judges = tuple((place, rule) for place, rule in enumerate(self._rules) if rule.judges(*point))
            self._judges[point] = judges
        one: Said = (device, reading)
        for place, rule in judges:
            said = self._tried(rule, partial(rule.take, *one, moment), (one,), moment)
            if said != [one]:
                return self._pass(said, place + 1, moment)
        return [one]

    def _due(self, rule: Rule) -> float:
        return max(rule.due, self._failed.get(rule, -math.inf))

    def _tried(
        self, rule: Rule, work: Callable[[], Iterable[Said]], otherwise: Iterable[Said], moment: Moment
    ) -> list[Said]:
        self._first_due = None
        try:
            return list(work())
        except Exception as error:
            known = rule in self._failed
            self._failed[rule] = moment.mono + _STANDS_STILL_S
            if known:
                return list(otherwise)
            name = type(rule).__name__
            log.exception("rule failed, what it was to judge goes on as it was rule=%s", name)
            return [
                *otherwise,
                ("station", Alarm("rule_failed", active=True, detail={"rule": name, "why": repr(error)})),
            ]
