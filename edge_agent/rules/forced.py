"""A door that was opened and nobody had leave to: no swipe, no exit button, no command near the opening."""

import json
import math
from collections.abc import Collection, Iterator, Mapping

from edge_agent.config.alarms import DoorForced
from edge_agent.records import Alarm, Event, Record, Stamp
from edge_agent.rules.rule import NOTHING, Kept, Moment, Rule, Said

_KEY = "rule/door_forced"
_CODE = "door_forced"
_SWIPES = frozenset({"visit", "swipe", "staff_entry"})
_LEAVE = _SWIPES | {"exit_button", "exit_swipe", "commanded", "remote_opened", "password_opened"}


class ForcedDoors(Rule):
    """Stands first in the row: a swipe that is no new visit is leave to open all the same.

    It judges only where somebody has swiped and somebody has pressed an exit button before: elsewhere a door may be
    opened without either. `others` are doors, DEVICE.DOOR, that nobody needs leave for: those of a cabinet's slots.
    An opening is judged a little later, because a controller may tell of its swipe later.
    """

    def __init__(self, settings: DoorForced, others: Collection[str], state: Mapping[str, str]) -> None:
        self._settings = settings
        self._others = others
        self._swiped = self._pressed = False
        self._up: dict[str, Stamp] = {}
        """Device -> its last forced opening."""
        self._leave = -math.inf
        """Monotonic seconds of the last leave to open."""
        self._waiting: list[tuple[str, str, Moment]] = []
        self._changed = False
        self._due = 0.0
        self._restore(state.get(_KEY))

    @property
    def due(self) -> float:
        """Return when an opening is to be judged, or an alarm is over."""
        return self._due

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Let everything through."""
        yield device, record
        if not isinstance(record, Event):
            return
        if record.type in _LEAVE:
            self._leave = max(self._leave, moment.mono)
            self._learn(record.type)
            return
        door = str(record.data.get("door", ""))
        if record.type == "door_opened" and self._swiped and self._pressed and f"{device}.{door}" not in self._others:
            self._waiting.append((device, door, moment))
            self._plan(moment)
        elif record.type == _CODE:
            yield self._raise(device, door, moment)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Judge the openings that have waited long enough, and end what is over."""
        waiting, self._waiting = self._waiting, []
        for device, door, opened in waiting:
            if moment.mono - opened.mono < self._settings.grace:
                self._waiting.append((device, door, opened))
            elif self._leave < opened.mono - self._settings.within:
                yield self._raise(device, door, opened)
        for device, at in list(self._up.items()):
            if moment.elapsed(at) >= self._settings.clear_after:
                del self._up[device]
                self._changed = True
                yield device, Alarm(_CODE, active=False)
        self._plan(moment)

    def kept(self) -> Kept:
        """Return what has been learnt and what is up."""
        if not self._changed:
            return NOTHING
        self._changed = False
        up = {device: at.stored() for device, at in self._up.items()}
        return Kept({_KEY: json.dumps([self._swiped, self._pressed, up])})

    def _raise(self, device: str, door: str, opened: Moment) -> Said:
        self._up[device] = opened.stamp
        self._changed = True
        self._plan(opened)
        return device, Alarm(_CODE, active=True, detail={"door": door} if door else {})

    def _learn(self, kind: str) -> None:
        before = (self._swiped, self._pressed)
        self._swiped |= kind in _SWIPES
        self._pressed |= kind == "exit_button"
        self._changed |= before != (self._swiped, self._pressed)

    def _plan(self, moment: Moment) -> None:
        left = [self._settings.clear_after - moment.elapsed(at) for at in self._up.values()]
        left += [self._settings.grace - (moment.mono - opened.mono) for _, _, opened in self._waiting]
        self._due = moment.mono + max(min(left, default=math.inf), 0.001)

    def _restore(self, text: str | None) -> None:
        # What a damaged journal has left may make no sense; then it is learnt again.
        try:
            swiped, pressed, up = json.loads(text or "[false, false, {}]")
            self._up = {str(device): Stamp.load(at) for device, at in dict(up).items()}
            self._swiped, self._pressed = bool(swiped), bool(pressed)
        except (ValueError, TypeError):
            return
