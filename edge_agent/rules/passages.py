"""Visits where no card counts them: a door that opens and closes, or somebody who walks in through light beams."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edge_agent.records import Event, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said
from edge_agent.rules.visits import at

KEY = "rule/passages"
_LEAVING_S = 10.0
"""A door that opens so soon behind an exit button or a swipe inside lets somebody out."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """Which openings of a door are visits: at least `shortest` and at most `longest` seconds, every `per_visit`th."""

    shortest: float = 1.0
    longest: float = 120.0
    per_visit: int = 1


class Passages(Rule):
    """`doors` are those that count, as DEVICE or DEVICE.DOOR; none named = all but `others`.

    `stored` is what was kept last.
    """

    def __init__(
        self,
        by: Literal["door", "beams"],
        doors: frozenset[str] = frozenset(),
        cycle: Cycle = Cycle(),
        stored: str | None = None,
        others: frozenset[str] = frozenset(),
    ) -> None:
        self._by = by
        self._doors = doors
        self._others = others
        self._cycle = cycle
        self._opened: dict[str, Stamp] = {}
        self._odd: dict[str, int] = {}
        self._left: Stamp | None = None
        self._changed = False
        self._load(stored)

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Say a visit behind the event that completes one."""
        yield device, record
        if not isinstance(record, Event):
            return
        if record.type in {"exit_button", "exit_swipe"} and self._by == "door":
            self._left = moment.stamp
            self._changed = True
        door = record.data.get("door")
        if at(device, door, self._others) or (self._doors and not at(device, door, self._doors)):
            return
        if self._by == "beams" and record.type == "person_in":
            yield device, Event("visit", {"by": "beam", "door": door})
        elif self._by == "door" and self._completed(f"{device}.{door}", record.type, moment):
            yield device, Event("visit", {"by": "door", "door": door})

    def kept(self) -> Kept:
        """Return the doors that are open, and what came before."""
        if not self._changed:
            return NOTHING
        self._changed = False
        opened = {door: stamp.stored() for door, stamp in self._opened.items()}
        return Kept({KEY: json.dumps([opened, self._odd, None if self._left is None else self._left.stored()])})

    def _completed(self, door: str, kind: str, moment: Moment) -> bool:
        """Take a door's movement; return whether it completes a visit."""
        if kind not in {"door_opened", "door_closed"}:
            return False
        self._changed = True
        if kind == "door_opened":
            leaving = None if self._left is None else moment.since(self._left)
            if leaving is not None and 0 <= leaving <= _LEAVING_S:
                # One press, one opening.
                self._left = None
                self._opened.pop(door, None)
            else:
                self._opened[door] = moment.stamp
            return False
        since = self._opened.pop(door, None)
        seconds = None if since is None else moment.since(since)
        if seconds is None or not self._cycle.shortest <= seconds <= self._cycle.longest:
            return False
        self._odd[door] = (self._odd.get(door, 0) + 1) % self._cycle.per_visit
        return self._odd[door] == 0

    def _load(self, stored: str | None) -> None:
        """Take up what was kept; what makes no sense is forgotten."""
        try:
            opened, odd, left = json.loads(stored or "")
            self._opened = {str(door): Stamp.load(stamp) for door, stamp in opened.items()}
            self._odd = {str(door): int(count) for door, count in odd.items()}
            self._left = None if left is None else Stamp.load(left)
        except (ValueError, TypeError, AttributeError):
            self._opened, self._odd, self._left = {}, {}, None
