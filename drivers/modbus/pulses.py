"""Coils that were switched for a time only: when each must go back, also after a restart."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from edge_agent.driver import Memory

_KEY = "pulses"


@dataclass(frozen=True, slots=True)
class Pulse:
    """A coil that goes back to `rest` (0, 1); `point` tells then that `after` was ordered."""

    coil: int
    rest: int
    point: str
    after: str


Running: TypeAlias = tuple[float, Pulse]
"""When (monotonic s) a pulse is over, and which."""


class Pulses:
    """The pulses of one device; `memory` is what it asked to be remembered before the last restart.

    Pulses of before are over: nobody knows for how long the agent was away.
    """

    def __init__(self, memory: Mapping[str, str]) -> None:
        self._running: dict[int, Running] = {pulse.coil: (-math.inf, pulse) for pulse in _parsed(memory.get(_KEY))}
        self._told = self._text()

    def begin(self, pulse: Pulse, until: float) -> Running | None:
        """Have its coil go back at monotonic time `until` (s); return the pulse that runs there and is replaced."""
        replaced = self._running.get(pulse.coil)
        self._running[pulse.coil] = (until, pulse)
        return replaced

    def restore(self, coil: int, replaced: Running | None) -> None:
        """Nothing has begun there: what `begin` has replaced holds on."""
        self.forget(range(coil, coil + 1))
        if replaced is not None:
            self._running[coil] = replaced

    def forget(self, coils: range) -> None:
        """Nothing is to go back: something else was ordered there."""
        for coil in coils:
            self._running.pop(coil, None)

    def due(self) -> float:
        """Monotonic time (s) at which the next one is over; infinity if there is none."""
        return min((until for until, _ in self._running.values()), default=math.inf)

    def over(self, now: float) -> list[Pulse]:
        """Return those whose time has come at monotonic time `now` (s), the first to end first."""
        ended = sorted((until, coil) for coil, (until, _) in self._running.items() if until <= now)
        return [self._running[coil][1] for _, coil in ended]

    def changed(self) -> list[Memory]:
        """Return what is to be remembered, if that is something else than at the last call."""
        text = self._text()
        if text == self._told:
            return []
        self._told = text
        return [Memory(_KEY, text)]

    def _text(self) -> str:
        running = sorted(self._running)
        return json.dumps([[p.coil, p.rest, p.point, p.after] for p in (self._running[coil][1] for coil in running)])


def _parsed(text: str | None) -> list[Pulse]:
    """Return what was remembered; nothing if it makes no sense."""
    try:
        rows = json.loads(text or "[]")
        return [Pulse(int(coil), int(rest), str(point), str(after)) for coil, rest, point, after in rows]
    except (ValueError, TypeError):
        return []
