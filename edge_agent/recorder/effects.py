"""What becomes visible once the batch it belongs to is accepted, and how it enters the picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from edge_agent.journal.journal import Batch, Journal
from edge_agent.journal.schema import STREAMS
from edge_agent.ledger import Ledger
from edge_agent.picture import ActiveAlarm, Commits, Device, Picture, Storage, Totals, View, with_readings
from edge_agent.recorder.thinning import Thinner
from edge_agent.records import Json, Reading, Stamp

JOURNAL = "journal"
"""Device id of what concerns the journal itself."""


@dataclass(slots=True)
class Effects:
    """Collected while a batch is prepared."""

    readings: dict[str, tuple[dict[str, Reading], Stamp]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    """Devices that became worth telling the centre."""
    alarms: dict[tuple[str, str], ActiveAlarm] = field(default_factory=dict)
    """(device, code) -> newest state, also of those that are over."""
    totals: bool = False
    visit: float | None = None
    """Monotonic seconds of the last one."""
    poll_now: list[str] = field(default_factory=list)

    def see(self, device: str, readings: Mapping[str, Reading], stamp: Stamp) -> None:
        """Note the newest values of a device."""
        known, _ = self.readings.get(device, ({}, stamp))
        self.readings[device] = (known | dict(readings), stamp)

    @property
    def any(self) -> bool:
        """True if the picture changes."""
        return bool(self.readings or self.told or self.alarms) or self.totals or self.visit is not None


class Display:
    """Writes the picture; used by the journal's thread only."""

    def __init__(
        self,
        picture: Picture,
        journal: Journal,
        ledger: Ledger,
        figures: Callable[[], Mapping[str, Json]],
    ) -> None:
        self._picture = picture
        self._journal = journal
        self._ledger = ledger
        self._figures = figures
        self._commits: list[tuple[Batch, float]] = []

    def accepted(self, batch: Batch, seconds: float) -> None:
        """Note a commit that took `seconds`; it is shown together with its effects, in one change."""
        self._commits.append((batch, seconds))

    def show(self, effects: Effects, now_ms: int | None) -> None:
        """Enter what has been accepted; `now_ms` is the time (Unix milliseconds), None while nobody knows it."""
        if not effects.any and not self._commits:
            return
        commits, self._commits = self._commits, []

        def edit(view: View) -> View:
            changes: dict[str, Any] = {}
            if commits:
                changes["commits"] = _after(view.commits, commits)
                if view.storage.trouble or view.storage.waiting:
                    changes["storage"] = replace(view.storage, trouble="", waiting=0)
            if effects.readings or effects.told:
                changes["devices"] = _seen(view.devices, effects)
            if effects.alarms:
                known = {**view.alarms, **effects.alarms}
                changes["alarms"] = {key: alarm for key, alarm in known.items() if alarm.state.active}
                changes["shelved"] = _shelved(view.shelved, effects)
            if effects.totals:
                changes["totals"] = self._totals(view.totals.changes + 1, now_ms)
            if effects.visit is not None:
                changes["last_visit_mono"] = effects.visit
            return replace(view, **changes)

        self._picture.change(edit)

    def storage(self, edit: Callable[[Storage], Storage]) -> None:
        """Show new figures about the journal."""
        self._picture.change(lambda view: replace(view, storage=edit(view.storage)))

    def tell_journal(self, thinner: Thinner, stamp: Stamp) -> None:
        """Show how the journal is doing as a device of its own; it is never stored, so it is told in trouble too."""
        readings = self.journal()
        effects = Effects()
        effects.see(JOURNAL, {reading.point: reading for reading in readings}, stamp)
        if thinner.offer(JOURNAL, readings, stamp.mono) is not None:
            effects.told.add(JOURNAL)
        self.show(effects, None)

    def journal(self) -> list[Reading]:
        """Return how the journal is doing, as readings of the device `journal`."""
        storage = self._picture.view.storage
        return [
            Reading("trouble", storage.trouble or None, prompt=True),
            Reading("telemetry_stored", not storage.tight, prompt=True),
            Reading("used_bytes", sum(storage.used.values()), change=1e6),
            Reading("room_days", None if storage.days is None else round(storage.days, 1), change=1.0),
            Reading("written_day_bytes", storage.written_day, change=1e6),
            Reading("device_written_day_bytes", storage.device_day, change=1e6),
        ]

    def trouble(self, text: str, waiting: int) -> None:
        """Say why nothing is accepted at the moment, and how much waits."""
        self._picture.change(lambda view: replace(view, storage=replace(view.storage, trouble=text, waiting=waiting)))

    def _totals(self, changes: int, now_ms: int | None) -> Totals:
        ledger = self._ledger
        where = (self._journal.epoch_name, self._journal.last_seq("usage"))
        if now_ms is None:
            return Totals(*where, lifetime=ledger.lifetime(), undated=ledger.undated(), changes=changes)
        day, hour = ledger.today(now_ms)
        hours = ledger.hours(day)
        return Totals(
            *where,
            lifetime=ledger.lifetime(),
            day=day,
            hour=hour,
            today={name: sum(counts) for name, counts in hours.items()},
            hours=hours,
            yesterday=ledger.day(day - timedelta(days=1)),
            figures=self._figures(),
            undated=ledger.undated(),
            changes=changes,
        )


def _after(before: Commits, commits: Sequence[tuple[Batch, float]]) -> Commits:
    """Count commits in."""
    accepted = {stream: before.accepted.get(stream, 0) for stream in STREAMS}
    slowest = before.slowest_s
    for batch, seconds in commits:
        slowest = max(slowest, seconds)
        for row in batch.rows:
            accepted[row.stream] += 1
    return Commits(accepted, before.count + len(commits), slowest)


def _shelved(before: frozenset[tuple[str, str]], effects: Effects) -> frozenset[tuple[str, str]]:
    now = {key for key, alarm in effects.alarms.items() if alarm.state.shelf is not None}
    return (before - effects.alarms.keys()) | now


def _seen(before: Mapping[str, Device], effects: Effects) -> dict[str, Device]:
    devices = dict(before)
    for name, (readings, stamp) in effects.readings.items():
        devices[name] = with_readings(devices.get(name, Device()), readings, stamp.wall_ms, stamp.mono)
    for name in effects.told:
        device = devices.get(name, Device())
        devices[name] = replace(device, told=device.told + 1)
    return devices
