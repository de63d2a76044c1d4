"""Whether the counts agree with what else was watching: a controller's own numbering of its events, and the door.

Nothing is corrected here: both figures go into the record of the day, and too large a difference is an alarm.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from edge_agent.ledger import Calendar
from edge_agent.records import Alarm, Event, Json, Record
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said
from edge_agent.rules.visits import at

KEY = "rule/controllers"
SLOTS = "rule/doors"
CODE = "count_mismatch"
_KEPT_DAYS = 8
_LEAST = 10
"""A difference of so few openings says nothing: people come in pairs."""


class Controllers(Rule):
    """Compares the events of each door controller with its own index; stands before anything is swallowed.

    A controller is a device whose events carry an `index`, which counts by one. `stored` is what was kept last.
    """

    def __init__(self, calendar: Calendar, stored: str | None = None) -> None:
        self._calendar = calendar
        self._last: dict[str, int] = {}
        """Device -> the newest index told."""
        self._days: dict[str, dict[str, list[int]]] = {}
        """Day -> device -> [events told, events the controller counted and nobody told]."""
        self._changed = False
        try:
            last, days = json.loads(stored or "[{}, {}]")
            self._last = {str(device): int(index) for device, index in last.items()}
            self._days = {
                str(day): {str(device): [int(told), int(lost)] for device, (told, lost) in figures.items()}
                for day, figures in days.items()
            }
        except (ValueError, TypeError, AttributeError):
            self._last, self._days = {}, {}

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Follow the index; add the figures to the record of a day, and judge them."""
        if isinstance(record, Event) and record.type == "day_closed":
            figures = self._days.get(str(record.data.get("day")), {})
            if figures:
                told: dict[str, Json] = {
                    name: {"told": count, "missing": missing} for name, (count, missing) in figures.items()
                }
                record = replace(record, data={**record.data, "controllers": told})
            yield device, record
            for name, (_, missing) in figures.items():
                yield name, Alarm(CODE, missing > 0, {"missing": missing} if missing else {})
            return
        if isinstance(record, Event):
            self._follow(device, record, moment)
        yield device, record

    def kept(self) -> Kept:
        """Return how far each controller has told."""
        if not self._changed:
            return NOTHING
        self._changed = False
        return Kept({KEY: json.dumps([self._last, self._days])})

    def _follow(self, device: str, event: Event, moment: Moment) -> None:
        index, upto = event.data.get("index"), event.data.get("to_index")
        if event.type == "event_log_reset":
            self._last[device] = 0
            self._changed = True
        elif event.type in {"events_lost", "events_skipped"} and isinstance(upto, int):
            count = event.data.get("count")
            lost = count if event.type == "events_lost" and isinstance(count, int) else 0
            self._add(device, upto, 0, lost, moment)
        elif isinstance(index, int):
            last = self._last.get(device, index - 1)
            self._add(device, index, 1, max(0, index - last - 1), moment)

    def _add(self, device: str, index: int, told: int, missing: int, moment: Moment) -> None:
        self._last[device] = index
        self._changed = True
        if moment.at_ms is not None:
            figures = self._days.setdefault(str(self._calendar.hour(moment.at_ms)[0]), {}).setdefault(device, [0, 0])
            figures[0] += told
            figures[1] += missing
            for day in sorted(self._days)[:-_KEPT_DAYS]:
                del self._days[day]


class Doors(Rule):
    """Compares swipes with openings of the door, day by day; `percent` of difference is too much.

    `lifetime` are the counts since the first day: a station whose door nobody watches has nothing to compare. Doors of
    a cabinet's slots, `slots` as DEVICE.DOOR, are counted with the others, and taken off here; `stored` is what was
    kept of them last.
    """

    def __init__(
        self,
        percent: int,
        lifetime: Mapping[str, int],
        calendar: Calendar,
        slots: frozenset[str] = frozenset(),
        stored: str | None = None,
    ) -> None:
        self._percent = percent
        self._watched = lifetime.get("door_openings", 0) > 0 and not slots
        self._leaving_seen = lifetime.get("exits", 0) > 0
        self._calendar = calendar
        self._slots = slots
        self._slot_openings: dict[str, int] = {}
        """Day -> openings of slots."""
        self._changed = False
        with suppress(ValueError, TypeError, AttributeError):
            self._slot_openings = {str(day): int(count) for day, count in json.loads(stored or "{}").items()}

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Add both figures to the record of a day, and judge them."""
        if not isinstance(record, Event):
            yield device, record
            return
        if record.type == "door_opened":
            self._opened(moment.at_ms, slot=at(device, record.data.get("door"), self._slots))
        self._leaving_seen |= record.type in {"exit_button", "exit_swipe"}
        totals = record.data.get("totals")
        if record.type != "day_closed" or not isinstance(totals, dict) or not self._watched:
            yield device, record
            return
        came = sum(_count(totals, name) for name in ("visits", "staff_entries", "swipes"))
        slots = self._slot_openings.get(str(record.data.get("day")), 0)
        left, opened = _count(totals, "exits"), max(0, _count(totals, "door_openings") - slots)
        difference = self._difference(came, left, opened)
        compared: dict[str, Json] = {"came": came, "left": left, "opened": opened, "difference": difference}
        yield device, replace(record, data={**record.data, "door": compared})
        raised = abs(difference) >= _LEAST and abs(difference) * 100 > self._percent * max(came + left, 1)
        yield "station", Alarm(CODE, raised, compared if raised else {})

    def kept(self) -> Kept:
        """Return how often slots were opened."""
        if not self._changed:
            return NOTHING
        self._changed = False
        return Kept({SLOTS: json.dumps(self._slot_openings)})

    def _opened(self, at_ms: int | None, *, slot: bool) -> None:
        self._watched |= not slot
        if slot and at_ms is not None:
            day = str(self._calendar.hour(at_ms)[0])
            self._slot_openings[day] = self._slot_openings.get(day, 0) + 1
            for old in sorted(self._slot_openings)[:-_KEPT_DAYS]:
                del self._slot_openings[old]
            self._changed = True

    def _difference(self, came: int, left: int, opened: int) -> int:
        """Return by how many openings there were too many (above 0) or too few for those who came and left.

        Where nothing tells that somebody leaves, the door may have opened once more for each who came.
        """
        fewest = came + left
        most = fewest if self._leaving_seen else 2 * came
        return max(0, opened - most) + min(0, opened - fewest)


def _count(totals: Mapping[str, Json], name: str) -> int:
    count = totals.get(name, 0)
    return count if isinstance(count, int) else 0
