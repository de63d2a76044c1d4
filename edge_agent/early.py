"""What the rules will say of a record once the journal has taken it, ahead of that: for what must not wait for a disk.

Cabinets and conditions as the Recorder has them, in copies of their own that store nothing: while the Recorder hangs in
a commit, a battery that heats up is seen here. They begin with what the journal remembers, as the Recorder's do.
"""

import threading
from collections.abc import Iterable, Sequence

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.clock import Clock
from edge_agent.recorder.assembly import Assembly
from edge_agent.recorder.queue import Submission
from edge_agent.records import Alarm, Reading, Record, Stamp
from edge_agent.rules.rule import Moment, Rules, Said


class Early:
    """See the module; `alarms` from any thread. `boot` is the journal's number of this boot."""

    def __init__(self, cabinets: Sequence[Cabinet], rules: Rules, boot: int, clock: Clock) -> None:
        self._assembly = Assembly(cabinets, self._latest_of, clock.boot_id)
        self._latest: dict[str, dict[str, Reading]] = {}
        self._rules = rules
        self._boot = boot
        self._clock = clock
        self._lock = threading.Lock()

    def alarms(
        self, device: str, records: Iterable[Record], at: float | None = None, unreachable: str | None = None
    ) -> list[tuple[str, Alarm]]:
        """Return the alarms among `records`, heard at monotonic time `at` (seconds; default now), and what follows.

        `unreachable` says why the device does not answer: its last values are not believed any more. A delay that has
        ended ends here with the next word about any device.
        """
        now = self._clock.monotonic() if at is None else at
        stamp = Stamp(self._boot, round(now * 1000), round(self._clock.wall() * 1000), self._clock.good())
        moment = Moment(stamp, _undated)
        with self._lock:
            said: list[Said] = [*self._rules.tick(moment)]
            for one in self._assembly.assemble(Submission(device, stamp, tuple(records), unreachable)).records:
                if isinstance(one[1], Reading):
                    self._latest.setdefault(one[0], {})[one[1].point] = one[1]
                said += self._rules.take(*one, moment)
        return [(device, record) for device, record in said if isinstance(record, Alarm)]

    def _latest_of(self, device: str) -> list[Reading]:
        return list(self._latest.get(device, {}).values())


def _undated(_stamp: Stamp) -> None:
    """Nothing here needs to know when it really was."""
