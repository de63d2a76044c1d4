"""What is wrong, worst first, and the one sentence that says so.

The banner is computed from the alarms and from the little that cannot become an alarm because telling it is what fails
(a journal that cannot be written, a centre that cannot be reached).
"""

from dataclasses import dataclass
from typing import Literal

from edge_agent.advice import ADVICE
from edge_agent.page.look import Look, Since
from edge_agent.page.words import Bilingual, Said, said
from edge_agent.records import Severity

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.MAJOR: 2, Severity.CRITICAL: 3}
_OFFLINE_S = 300.0
"""A shorter absence is what reconnecting takes."""
_DISK_LOW = 200_000_000
"""Bytes."""

Level = Literal["ok", "waiting", "info", "warning", "major", "critical"]


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is wrong; `why` is what a device or the network said, in its own language.

    `by` is who has acknowledged it, `shelved` who has put it aside, "" if nobody has.
    """

    device: str
    code: str
    label: Bilingual
    severity: Severity
    text: Bilingual
    since: Since
    why: str
    by: str = ""
    shelved: str = ""
    latched: bool = False
    flapping: bool = False
    advice: Bilingual | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The banner: the worst concern and how many more there are.

    Without a concern the station is still not normal while devices are `doubtful` (old or bad values) or `waiting` (not
    heard since the start).
    """

    level: Level
    worst: Concern | None
    more: int
    doubtful: int
    waiting: int


def concerns(look: Look) -> tuple[Concern, ...]:
    """Return everything that is wrong: worst first, then what nobody has seen to yet, then the newest.

    What somebody has put aside comes last.
    """
    found = [*_alarms(look), *_own(look)]
    return tuple(sorted(found, key=_order))


def judge(found: tuple[Concern, ...], doubtful: int, waiting: int) -> Verdict:
    """Say it in one word; what is shelved is nobody's concern until it is taken up again."""
    level: Level = "warning" if doubtful else "waiting" if waiting else "ok"
    if found and not found[0].shelved:
        return Verdict(found[0].severity.value, found[0], len(found) - 1, doubtful, waiting)
    return Verdict(level, None, 0, doubtful, waiting)


def _order(one: Concern) -> tuple[bool, int, bool, float]:
    return bool(one.shelved), -_RANK[one.severity], bool(one.by), -(one.since.at or float("-inf"))


def _alarms(look: Look) -> list[Concern]:
    return [
        Concern(
            device,
            code,
            look.label(device),
            alarm.state.severity,
            Said(alarm.state.zh, alarm.state.en),
            look.since(alarm.state.since),
            str(alarm.state.detail.get("why", "")),
            by=alarm.state.by,
            shelved="" if alarm.state.shelf is None else alarm.state.shelf.by,
            latched=alarm.state.latched,
            flapping=alarm.state.unsteady is not None,
            advice=ADVICE.get(code),
        )
        for (device, code), alarm in look.view.alarms.items()
    ]


def _own(look: Look) -> list[Concern]:
    found = []
    station = look.label("station")
    trouble, uplink, machine = look.view.storage.trouble, look.view.uplink, look.machine

    def add(code: str, severity: Severity, at: float | None = None, why: str = "") -> None:
        text = said(f"concern.{code}")
        found.append(Concern("station", code, station, severity, text, Since(at, None), why))

    if trouble and ("station", "journal_unwritable") not in look.view.alarms:
        add("journal", Severity.CRITICAL, why=trouble)
    if not uplink.online and uplink.why and look.now - uplink.since_mono > _OFFLINE_S:
        add("offline", Severity.WARNING, uplink.since_mono, uplink.why)
    if machine.throttled and "under_voltage" in machine.throttled:
        add("under_voltage", Severity.WARNING)
    if machine.disk_free is not None and machine.disk_free < _DISK_LOW:
        add("disk_low", Severity.WARNING)
    return found
