"""What really happened, as the script has it: counted while it is played, by nobody's rules but the script's own."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from edge_agent.ledger import Calendar

INFERRED = "_inferred"
COUNTED = ("visits", "denied", "exits", "door_openings", "batteries_in", "batteries_out", "swaps")
"""Names of the ledger whose truth a script knows; with `INFERRED` behind them, what can only be found out later."""

Days: TypeAlias = dict[str, dict[str, list[int]]]
"""Business day -> name -> 24 counts."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that counts: `at` in Unix seconds of the true time, in the machine's boot `boot`."""

    name: str
    at: float
    boot: int


@dataclass(slots=True)
class Truth:
    """Everything noted so far."""

    calendar: Calendar
    notes: Counter[Note] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    """Alarms, as DEVICE/CODE."""
    cleared: Counter[str] = field(default_factory=Counter)
    outages: Counter[str] = field(default_factory=Counter)
    """How often the agent was down, by cause."""
    down_s: Counter[str] = field(default_factory=Counter)
    """And for how many seconds."""
    cards: list[tuple[Note, str]] = field(default_factory=list)
    """Each visit, and the name of its card."""
    missed: int = 0
    """Cards held to a reader that could not hear them."""
    synced: set[int] = field(default_factory=set)
    """Boots whose clock has been right."""
    lied: bool = False
    """Some time, the machine believed a wrong clock; then nobody can say which hour it counted in."""

    def note(self, note: Note) -> None:
        """Count one."""
        self.notes[note] += 1

    def take_back(self, note: Note) -> None:
        """It has not happened after all."""
        self.notes[note] -= 1

    def down(self, cause: str, seconds: float) -> None:
        """The agent was down."""
        self.outages[cause] += 1
        self.down_s[cause] += round(seconds)

    def lifetime(self) -> dict[str, int]:
        """Return name -> how often."""
        total: Counter[str] = Counter()
        for note, count in self.notes.items():
            total[note.name] += count
        return {name: count for name, count in sorted(total.items()) if count}

    def days(self) -> Days:
        """Return what was witnessed and can be dated, by day and hour."""
        days: Days = {}
        for note, count in self.notes.items():
            if not count or note.boot not in self.synced or note.name.endswith(INFERRED):
                continue
            day, hour = self._hour(note.at)
            days.setdefault(str(day), {}).setdefault(note.name, [0] * 24)[hour] += count
        return {day: dict(sorted(names.items())) for day, names in sorted(days.items())}

    def alarms(self) -> dict[str, dict[str, int]]:
        """Return DEVICE/CODE -> how often raised and cleared."""
        return {
            name: {"raised": count, "cleared": self.cleared[name]}
            for name, count in sorted(self.raised.items())
            if count
        }

    def visitors(self) -> dict[str, int]:
        """Return business day -> how many different cards."""
        cards: dict[str, set[str]] = {}
        for note, card in self.cards:
            if note.boot in self.synced:
                cards.setdefault(str(self._hour(note.at)[0]), set()).add(card)
        return {day: len(names) for day, names in sorted(cards.items())}

    def _hour(self, at: float) -> tuple[date, int]:
        return self.calendar.hour(round(at * 1000))


class ClockAlarm:
    """What a station must say of its clock: that it has been bad for `after` seconds within one life of the agent."""

    def __init__(self, truth: Truth, after: float) -> None:
        self._truth = truth
        self._after = after
        self._bad_since: float | None = None
        self._up = False

    def start(self) -> None:
        """The agent begins another life; what it had said stands."""
        self._bad_since = None

    def look(self, now: float, *, good: bool) -> None:
        """Look at the clock at the true time `now` (Unix seconds), while the agent runs."""
        self._bad_since = None if good else now if self._bad_since is None else self._bad_since
        bad = self._bad_since is not None and now - self._bad_since >= self._after
        if bad and not self._up:
            self._truth.raised[_CLOCK] += 1
        elif good and self._up:
            self._truth.cleared[_CLOCK] += 1
        self._up = bad or (self._up and not good)


_CLOCK = "station/clock_bad"
