"""What becomes visible once the batch it belongs to is accepted, and how it enters the picture."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from edge_agent.journal import Batch, Journal
from edge_agent.journal_schema import STREAMS
from edge_agent.ledger import Ledger
from edge_agent.picture import ActiveAlarm, Device, Picture, Storage, Totals, View, with_readings
from edge_agent.records import Reading, Stamp
from edge_agent.rules import Alarms


@dataclass(slots=True)
class Effects:
    """Collected while a batch is prepared."""

    readings: dict[str, tuple[dict[str, Reading], Stamp]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    """Devices that became worth telling the centre."""
    alarms: bool = False
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
        return bool(self.readings or self.told) or self.alarms or self.totals or self.visit is not None


class Display:
    """Writes the picture; used by the journal's thread only."""

    def __init__(self, picture: Picture, journal: Journal, ledger: Ledger, alarms: Alarms) -> None:
        self._picture = picture
        self._journal = journal
        self._ledger = ledger
        self._alarms = alarms

    def show(self, effects: Effects, now_ms: int | None) -> None:
        """Enter what has been accepted; `now_ms` is the time (Unix milliseconds), None while nobody knows it."""

        def edit(view: View) -> View:
            devices = dict(view.devices)
            for name, (readings, stamp) in effects.readings.items():
                devices[name] = with_readings(devices.get(name, Device()), readings, stamp.wall_ms, stamp.mono)
            for name in effects.told:
                device = devices.get(name, Device())
                devices[name] = replace(device, told=device.told + 1)
            view = replace(view, devices=devices)
            if effects.alarms:
                view = replace(view, alarms=self._active_alarms())
            if effects.totals:
                view = replace(view, totals=self._totals(view.totals.changes + 1, now_ms))
            return view if effects.visit is None else replace(view, last_visit_mono=effects.visit)

        self._picture.change(edit)

    def accepted(self, batch: Batch, seconds: float) -> None:
        """Count a commit that took `seconds`; whatever was in its way is over."""
        added = Counter(row.stream for row in batch.rows)

        def edit(view: View) -> View:
            before = view.storage
            storage = replace(
                before,
                accepted={stream: before.accepted.get(stream, 0) + added[stream] for stream in STREAMS},
                commits=before.commits + 1,
                slowest_commit_s=max(before.slowest_commit_s, seconds),
                trouble="",
                waiting=0,
            )
            return replace(view, storage=storage)

        self._picture.change(edit)

    def storage(self, edit: Callable[[Storage], Storage]) -> None:
        """Show new figures about the journal."""
        self._picture.change(lambda view: replace(view, storage=edit(view.storage)))

    def trouble(self, text: str, waiting: int) -> None:
        """Say why nothing is accepted at the moment, and how much waits."""
        self._picture.change(lambda view: replace(view, storage=replace(view.storage, trouble=text, waiting=waiting)))

    def _active_alarms(self) -> dict[tuple[str, str], ActiveAlarm]:
        return {
            (device, code): ActiveAlarm(device, code, state.severity, state.since, state.epoch, state.seq, state.detail)
            for (device, code), state in self._alarms.states.items()
            if state.active
        }

    def _totals(self, changes: int, now_ms: int | None) -> Totals:
        ledger = self._ledger
        totals = Totals(
            epoch_name=self._journal.epoch_name,
            seq=self._journal.last_seq("usage"),
            lifetime=ledger.lifetime(),
            undated=ledger.undated(),
            changes=changes,
        )
        if now_ms is None:
            return totals
        day, hour = ledger.today(now_ms)
        return replace(
            totals,
            day=day,
            hour=hour,
            today=ledger.day(day),
            hours=ledger.hours(day),
            yesterday=ledger.day(day - timedelta(days=1)),
        )
