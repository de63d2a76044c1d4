"""What a submission amounts to: what was said, what it means that nobody answered, and what the cabinets make of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.cabinet.cabinet import Cabinet, Moment
from edge_agent.recorder.queue import Submission
from edge_agent.records import Event, Quality, Reading, Record
from edge_agent.wire_json import dumps

CABINET = "cabinet/"
"""Keys of the remembered texts under which the pictures of the cabinets are."""


@dataclass(slots=True)
class Assembled:
    """Everything that belongs into one transaction."""

    records: list[tuple[str, Record]]
    """(device, record), in order."""
    state: dict[str, str | None] = field(default_factory=dict)
    poll_now: list[str] = field(default_factory=list)
    """Devices to ask at once, after the commit."""


class Assembly:
    """`latest` returns the newest readings of a device."""

    def __init__(self, cabinets: Sequence[Cabinet], latest: Callable[[str], list[Reading]], boot_id: str) -> None:
        self._cabinets = cabinets
        self._latest = latest
        self._boot_id = boot_id

    def assemble(self, submission: Submission) -> Assembled:
        """Return what was said, and behind it what the cabinets make of it."""
        said: list[Record] = list(submission.records)
        if submission.unreachable is not None:
            why = submission.unreachable
            said += [replace(r, quality=Quality.BAD, why=why) for r in self._latest(submission.device)]
        found = Assembled([(submission.device, record) for record in said], dict(submission.state))
        readings = [record for record in said if isinstance(record, Reading)]
        orders = [record.data for record in said if isinstance(record, Event) and record.type == "commanded"]
        stamp = submission.stamp
        for cabinet in self._cabinets:
            if submission.device not in cabinet.devices:
                continue
            moment = Moment(stamp.mono, stamp.wall_ms / 1000, self._boot_id)
            for order in orders:
                cabinet.ordered(submission.device, order, moment)
            if not readings:
                continue
            outcome = cabinet.update(submission.device, readings, moment)
            for device, values in outcome.readings.items():
                found.records += [(device, reading) for reading in values]
            found.records += outcome.events
            found.records += outcome.alarms
            found.poll_now += outcome.poll_now
            if outcome.changed:
                found.state[CABINET + cabinet.name] = dumps(cabinet.stored())
        return found
