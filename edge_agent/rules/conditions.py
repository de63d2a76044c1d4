"""Alarms by conditions over points, those of the station file and the built-in ones.

Several conditions, and a driver too, may be the cause of one alarm of a device: it is up as long as one of them holds.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

from edge_agent.config.condition import Point
from edge_agent.records import Alarm, Json, Quality, Reading, Record, Value
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said
from edge_agent.rules.watch import Spec, Watch

_KEY = "rule/alarm/"
"""State keys: `rule/alarm/<device>/<code>/<name>` for a condition, without a name for what its driver says."""


class Conditions(Rule):
    """See the module; `stored` is the journal's state."""

    def __init__(self, specs: Iterable[Spec], stored: Mapping[str, str]) -> None:
        self._stored = {key: text for key, text in stored.items() if key.startswith(_KEY)}
        self._values: dict[Point, Value] = {}
        self._by_point: dict[Point, list[Watch]] = {}
        self._watches: dict[str, Watch] = {}
        self._heads: dict[tuple[str, str], set[str]] = {}
        """(device, code) -> names of what holds it up, "" for its driver."""
        self._changes: dict[str, str | None] = {}
        for spec in specs:
            self._add(spec)
        self._gone = [key for key in self._stored if not self._wanted(key)]
        """Conditions that stood and are not in the station file any more."""

    @property
    def due(self) -> float:
        """Return when the first delay ends."""
        return 0.0 if self._gone else min((watch.due for watch in self._watches.values()), default=math.inf)

    def judges(self, device: str, point: str) -> bool:
        """See `Rule.judges`."""
        return (device, point) in self._by_point

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Judge a reading; let a driver's alarm through unless a condition still holds it up."""
        if isinstance(record, Alarm) and (device, record.code) in self._heads:
            yield from self._turn(device, record, "")
            return
        yield device, record
        if isinstance(record, Reading):
            point = (device, record.point)
            if record.quality is Quality.GOOD and record.value is not None:
                self._values[point] = record.value
            else:
                self._values.pop(point, None)
            for watch in self._by_point.get(point, ()):
                if watch.look(self._values, moment):
                    yield from self._tell(watch)
                self._keep(watch, moment)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Let delays end, and clear what nobody watches any more."""
        gone, self._gone = self._gone, []
        for key in gone:
            device, code, _ = key.removeprefix(_KEY).split("/")
            self._changes[key] = None
            if not self._heads.get((device, code)):
                yield device, Alarm(code, active=False)
        for watch in list(self._watches.values()):
            if watch.due <= moment.mono:
                if watch.tick(moment):
                    yield from self._tell(watch)
                self._keep(watch, moment)

    def kept(self) -> Kept:
        """Return what has changed."""
        changes, self._changes = self._changes, {}
        return Kept(changes) if changes else NOTHING

    def _wanted(self, key: str) -> bool:
        """Return whether a stored condition is still watched; the word of a driver, as long as any of its alarm is."""
        return key in self._watches or (key.endswith("/") and any(other.startswith(key) for other in self._watches))

    def _add(self, spec: Spec) -> None:
        key = f"{_KEY}{spec.device}/{spec.code}/{spec.name}"
        head = (spec.device, spec.code)
        watch = Watch(spec, self._stored.get(key))
        for point in spec.points:
            self._by_point.setdefault(point, []).append(watch)
        self._watches[key] = watch
        holding = self._heads.setdefault(head, set())
        if f"{_KEY}{spec.device}/{spec.code}/" in self._stored:
            holding.add("")
        if watch.raised:
            holding.add(spec.name)

    def _tell(self, watch: Watch) -> Iterator[Said]:
        spec = watch.spec
        detail: dict[str, Json] = {}
        for point in sorted(spec.judge.points & self._values.keys()):
            value = self._values[point]
            detail[".".join(point)] = list(value) if isinstance(value, tuple) else value
        yield from self._turn(spec.device, Alarm(spec.code, watch.raised, detail), spec.name)

    def _turn(self, device: str, alarm: Alarm, name: str) -> Iterator[Said]:
        """Say what one of the causes of an alarm has to say, unless another one still holds it up."""
        holding = self._heads[device, alarm.code]
        if alarm.active:
            holding.add(name)
        else:
            holding.discard(name)
        if not name:
            self._put(f"{_KEY}{device}/{alarm.code}/", "true" if alarm.active else None)
        if alarm.active or not holding:
            yield device, alarm

    def _keep(self, watch: Watch, moment: Moment) -> None:
        self._put(f"{_KEY}{watch.spec.device}/{watch.spec.code}/{watch.spec.name}", watch.stored(moment))

    def _put(self, key: str, text: str | None) -> None:
        if self._stored.get(key) == text:
            return
        if text is None:
            self._stored.pop(key, None)
        else:
            self._stored[key] = text
        self._changes[key] = text
