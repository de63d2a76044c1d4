"""Moments for rules: a good clock unless said otherwise, and a run of records through one rule."""

import math
from collections.abc import Iterable

from edge_agent.records import AlarmState, Record, Stamp
from edge_agent.rules.rule import Moment, Rule, Said

_EPOCH_MS = 1_780_000_000_000


def stamp(seconds: float, boot: int = 1, *, good: bool = True, began: float = 0.0) -> Stamp:
    """Return the stamp of `seconds` after the boot; the boot itself was `began` seconds after the first one."""
    return Stamp(boot, round(seconds * 1000), _EPOCH_MS + round((began + seconds) * 1000), good)


def moment(seconds: float, boot: int = 1, *, good: bool = True, began: float = 0.0) -> Moment:
    """Return that moment; only a good clock is believed."""
    return Moment(stamp(seconds, boot, good=good, began=began), lambda at: at.wall_ms if at.good else None)


class Desk:
    """Hands records to a rule and ticks it whenever it is due; keeps everything it lets through."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.said: list[Said] = []
        self.memory: dict[str, str | None] = {}
        """State key -> text, None where it was forgotten."""

    def kept(self) -> dict[str, str]:
        """Return what the journal holds of everything so far."""
        self.memory.update(self.rule.kept().state)
        return {key: text for key, text in self.memory.items() if text is not None}

    def until(self, seconds: float) -> list[Said]:
        """Let the time pass, with a tick wherever the rule wants one; return what it said."""
        said: list[Said] = []
        for _ in range(1_000):
            if self.rule.due > seconds:
                break
            said += self.rule.tick(moment(math.ceil(max(self.rule.due, 0.0) * 1000) / 1000))
        else:
            raise AssertionError("due never lies in the future")
        self.said += said
        return said

    def say(self, seconds: float, device: str, *records: Record) -> list[Said]:
        """Hand over records at that time; return what came of them and of the time before."""
        said = self.until(seconds)
        for record in records:
            now = list(self.rule.take(device, record, moment(seconds)))
            self.said += now
            said += now
        return said


def states(said: Iterable[Said]) -> list[str]:
    """Return the states told among what was said, in words."""
    return [word(record) for _, record in said if isinstance(record, AlarmState) and record.told]


def word(state: AlarmState) -> str:
    """Return a state as the centre reads it."""
    parts = [("acknowledged" if state.by else "raised") if state.active else "cleared"]
    parts += ["latched"] * state.latched + ["flapping"] * (state.unsteady is not None)
    return " ".join(parts + ["shelved"] * (state.shelf is not None))
