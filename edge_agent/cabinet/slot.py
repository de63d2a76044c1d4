"""One slot of a cabinet: from door, battery answers and silences to "battery in" and "battery out".

Silence is weak evidence: a board sleeps, a plug loosens, a whole bus dies. So a silence counts only when the wire is
known to have worked after it (a witness on the same wire answered), and a battery has left only if its door was open.
A battery that falls silent behind a closed door is not gone but unreadable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.cabinet.layout import Door, SlotLayout
from edge_agent.cabinet.swaps import Change
from edge_agent.records import Json, Quality, Reading

_DOOR_FRESH_S = 30.0
"""A door state older than this says nothing: its lock board may be dead and the door open."""
_UNREADABLE_FACTOR = 3
"""A silent battery behind a closed door is told after so many times `absent_after`."""


@dataclass(slots=True)
class Slot:
    """The state of one slot; times are monotonic seconds.

    `present` and `sn` are the picture that survives a restart (None = never known); `settled` says that this run has
    confirmed it. `misses` are silences with a witness, `sure` those witnessed by another battery.
    """

    layout: SlotLayout
    absent_after: int
    window: float
    alone: bool = False
    """No other device of the cabinet shares the battery's wire, so nothing can witness for it."""
    present: bool | None = None
    sn: str | None = None
    settled: bool = False
    unreadable: bool = False
    mismatch: bool = False
    door: Door = "unknown"
    readings: dict[str, Reading] = field(default_factory=dict)
    fittings: dict[str, Reading] = field(default_factory=dict)
    """What a controller says of the slot itself: charger, fan, temperature."""
    dangerous: bool = False
    """Nobody should be sent here: heat, smoke, or a lock that does not open."""
    doubted: bool = False
    """The controller did not say last whether a battery is in."""
    _door_at: float = float("-inf")
    _open_at: float = float("-inf")
    _opened: bool = False
    """The door was seen open since the battery last answered."""
    _switch: bool | None = None
    _silences: int = 0
    _unwitnessed: bool = False
    _unsure: bool = False
    _misses: int = 0
    _sure: int = 0
    _seems_empty: bool = False
    """Never known before, and silent although the wire worked: good enough to show, not to write down."""

    def restore(self, stored: Json) -> None:
        """Take up the picture of the previous run, as `stored` gave it."""
        if isinstance(stored, dict):
            self.present = True
            sn = stored.get("sn")
            self.sn = sn if isinstance(sn, str) else None
            self.unreadable = stored.get("unreadable") is True
            self.mismatch = stored.get("mismatch") is True
        elif stored is False:
            self.present = False

    def stored(self) -> Json:
        """What a restart must know: None = never known, False = empty, else the battery."""
        if not self.present:
            return self.present
        known: dict[str, Json] = {} if self.sn is None else {"sn": self.sn}
        found = {"unreadable": self.unreadable, "mismatch": self.mismatch}
        return known | {what: True for what, so in found.items() if so}

    def on_door(self, door: Door, now: float) -> bool:
        """Take a door state; return whether the battery should be asked at once, because the door moved."""
        before, self.door = self.door, door
        self._door_at = now
        if door == "open":
            self._open_at = now
            if before != "open":
                self._opened = True
                self.mismatch = False
                self._forget_silences()
        return door not in {before, "unknown"} and (before, door) != ("unknown", "closed")

    def on_presence(self, now: float, *, inside: bool) -> tuple[list[Change], bool]:
        """Take the switch in the slot; return what happened and whether to ask the battery at once."""
        changed = inside != self._switch
        self._switch = inside
        if self.layout.battery is None:
            return self._decide(now, inside=inside), False
        return self._evaluate(now), changed

    def on_answer(self, readings: list[Reading], now: float) -> list[Change]:
        """The battery answered."""
        self.doubted = False
        self.readings = {reading.point: reading for reading in readings if reading.point != "present"}
        sn, known = _text(self.readings.get("sn")), self.sn
        soc = self.soc_pct
        self._forget_silences()
        if self._switch is False:
            # A switch that contradicts a checked answer is miswired or broken: not believed until it moves again.
            self._switch = None
        seen_in = self.layout.lock is None or self.door == "open" or now - self._open_at <= self.window
        seen_change = self.layout.lock is None or self._opened
        changes: list[Change] = []
        if self.present is False:
            changes = [Change("in", sn, soc, observed=self.settled and seen_in)]
        elif self.present is None and self._seems_empty and self._opened:
            changes = [Change("in", sn, soc, observed=True)]
        elif self.present and sn is not None and known is not None and sn != known:
            observed = self.settled and seen_change
            self.mismatch = self.settled and not seen_change and self._door_closed(now)
            changes = [
                Change("out", known, None, observed, offered=observed),
                Change("in", sn, soc, observed, offered=observed),
            ]
        kept = known if self.present and not changes else None
        self.sn = sn or kept
        self.present = self.settled = True
        self.unreadable = self._seems_empty = False
        if self.door != "open":
            self._opened = False
        return changes

    def on_doubt(self, readings: Mapping[str, Reading]) -> None:
        """The controller does not say whether a battery is in: what was known is shown as its readings now are."""
        self.readings = {point: reading for point, reading in readings.items() if point != "present"}
        self.doubted = True

    def on_silence(self, now: float) -> list[Change]:
        """The battery was asked and did not answer."""
        self.doubted = False
        self._silences += 1
        self._unwitnessed = self._unsure = True
        if self.alone:
            return self.on_witness(battery=True, now=now)
        return self._evaluate(now)

    def on_witness(self, *, battery: bool, now: float) -> list[Change]:
        """Something else on the battery's wire answered: the last silence was the battery's own."""
        if self._unwitnessed:
            self._misses += 1
            self._unwitnessed = False
        if self._unsure and battery:
            self._sure += 1
            self._unsure = False
        return self._evaluate(now)

    @property
    def wanted(self) -> bool:
        """Whether asking again at once would help: the door was opened and the battery has not answered since."""
        return bool(self.present) and self._opened and 0 < self._silences <= self.absent_after + 1

    @property
    def soc_pct(self) -> float | None:
        """State of charge if the battery said so in its last answer."""
        reading = self.readings.get("soc_pct")
        value = reading.value if reading is not None and reading.quality is Quality.GOOD else None
        return value if isinstance(value, int | float) else None

    @property
    def occupied(self) -> bool | None:
        """Whether a battery is in the slot as far as is known now; None = in doubt."""
        if self.doubted:
            return None
        if self.unreadable or (self._switch is True and self.present):
            return True
        if not self.settled:
            return False if self._seems_empty else None
        return None if self.present and self.stale else self.present

    @property
    def stale(self) -> bool:
        """The battery's values are older than its last polls."""
        return self._silences >= self.absent_after

    def _forget_silences(self) -> None:
        self._silences = self._misses = self._sure = 0
        self._unwitnessed = self._unsure = False

    def _evaluate(self, now: float) -> list[Change]:
        """Decide what the silences so far mean."""
        enough = self.absent_after
        if self._switch is True:
            return self._evaluate_blocked(now)
        if self._switch is False and self._silences > 0:
            return self._decide(now, inside=False)
        if self.present is None:
            self._seems_empty = self._seems_empty or self._misses >= enough
            return self._decide(now, inside=False) if self._sure >= enough else []
        if not self.present:
            self.settled = self.settled or self._misses > 0
            return []
        if self._opened and self._misses >= enough:
            return self._decide(now, inside=False)
        if self._sure >= enough and self._may_have_left(now):
            return self._decide(now, inside=False)
        if self._misses >= enough * _UNREADABLE_FACTOR:
            self.unreadable = True
        return []

    def _evaluate_blocked(self, now: float) -> list[Change]:
        """Something is in the slot, says the switch, but its board is silent."""
        if self._silences < self.absent_after * _UNREADABLE_FACTOR:
            return []
        changes = self._decide(now, inside=True)
        self.unreadable = True
        return changes

    def _may_have_left(self, now: float) -> bool:
        """Without proof of an open door: nobody watches the door, or nobody did while the agent was away."""
        if self.layout.lock is None:
            return True
        # One that fell silent behind a closed door stays until that door is seen open, whatever else fails meanwhile.
        return not self.unreadable and not (self.settled and self._door_closed(now))

    def _decide(self, now: float, *, inside: bool) -> list[Change]:
        """Write the picture; a slot never known before takes it as its baseline."""
        before, sn, soc = self.present, self.sn, self.soc_pct
        settled, self.settled = self.settled, True
        self.present = inside
        if before is None or before == inside:
            return []
        if inside:
            seen = self.layout.lock is None or now - self._open_at <= self.window
            return [Change("in", None, None, observed=settled and seen)]
        seen = self.layout.lock is None or self._opened or self._switch is False
        observed = settled and seen and not self.unreadable
        self.sn = None
        self.unreadable = self.mismatch = False
        self.readings = {}
        return [Change("out", sn, soc, observed)]

    def _door_closed(self, now: float) -> bool:
        return self.door == "closed" and now - self._door_at <= _DOOR_FRESH_S


def _text(reading: Reading | None) -> str | None:
    value = reading.value if reading is not None and reading.quality is Quality.GOOD else None
    return value if isinstance(value, str) and value else None
