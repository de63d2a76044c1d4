"""Which of a controller's events are new: every one is told once, and what cannot be told is declared.

The index counts the events since the controller's store was last cleared and never rolls over (uhppote-core README,
v0.7.2); old ones are overwritten. A store that begins anew tells its events again from 1: of those only what is newer
than the last one told counts, because a status that was wrong for a moment would otherwise count everything twice.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from drivers.uhppote.events import Status, Stored
from edge_agent.driver import DeviceError, LinkError

MOST = 50
"""Events fetched in one poll: the rest waits for the next, so that a long backlog does not silence the doors."""

Fetch: TypeAlias = Callable[[int], Stored | None]
"""Asks for the event of an index; None = not (or no more) there."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the events of `controller` have been told.

    `seen` is the controller's time at the newest one told. While `fence` is set the store has begun anew and only
    events after that time count. Both are ISO 8601 in the controller's local time.
    """

    controller: int
    index: int
    seen: str | None = None
    fence: str | None = None

    def stored(self) -> str:
        """Return the text from which `load` makes an equal cursor."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str | None, controller: int) -> "Cursor | None":
        """Undo `stored`; None if there is none, or if it is that of another controller."""
        cursor = None if text is None else cls(**json.loads(text))
        return cursor if cursor is not None and cursor.controller == controller else None

    @classmethod
    def at(cls, status: Status, controller: int) -> "Cursor":
        """Return where to begin at the first look: whatever happened before is history."""
        return cls(controller, status.newest, _text(status.newest_at or status.time))


@dataclass(frozen=True, slots=True)
class Gap:
    """Events `first` to `last` that are not told: overwritten (`lost`), or not certainly new (`skipped`)."""

    kind: Literal["lost", "skipped"]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The store has begun anew: its index was `before` and is `now`."""

    before: int
    now: int


Found: TypeAlias = Stored | Gap | Reset


def catch_up(cursor: Cursor, newest: int, fetch: Fetch) -> tuple[Cursor, list[Found]]:
    """Return what is new up to index `newest`, oldest first, and the cursor behind it.

    If `fetch` fails midway, what has been found so far is returned and the rest is left to the next poll; it raises
    only if nothing was found.
    """
    found: list[Found] = []
    if newest < cursor.index:
        found.append(Reset(cursor.index, newest))
        cursor = _anew(cursor, newest, found)
    for _ in range(MOST):
        if cursor.index >= newest:
            break
        try:
            event = fetch(cursor.index + 1)
            first = _first_stored(cursor.index + 2, newest, fetch) if event is None else 0
        except (LinkError, DeviceError):
            if found:
                break
            raise
        if event is not None:
            cursor = _take(cursor, event, found)
        elif first <= newest:
            found.append(Gap("lost", cursor.index + 1, first - 1))
            cursor = replace(cursor, index=first - 1)
        else:
            # Nothing is there yet: the status ran ahead of the store.
            break
    return cursor, found


def _anew(cursor: Cursor, newest: int, found: list[Found]) -> Cursor:
    if cursor.seen is not None:
        return replace(cursor, index=0, fence=cursor.seen)
    if newest:
        found.append(Gap("skipped", 1, newest))
    return replace(cursor, index=newest)


def _take(cursor: Cursor, event: Stored, found: list[Found]) -> Cursor:
    at = _text(event.at)
    if cursor.fence is not None and (at is None or at <= cursor.fence):
        before = found.pop() if found and isinstance(found[-1], Gap) and found[-1].kind == "skipped" else None
        first = before.first if isinstance(before, Gap) else event.index
        found.append(Gap("skipped", first, event.index))
        return replace(cursor, index=event.index)
    found.append(event)
    return replace(cursor, index=event.index, seen=at or cursor.seen, fence=None)


def _first_stored(low: int, newest: int, fetch: Fetch) -> int:
    """Return the lowest index from `low` on that is stored (`newest` + 1 if none): what is overwritten lies below."""
    high = newest + 1
    while low < high:
        middle = (low + high) // 2
        if fetch(middle) is None:
            low = middle + 1
        else:
            high = middle
    return high


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
