"""A process under the shim: the real Recorder and Journal, going through everything that writes the journal's files.

Each row that a reader can see is marked in the record with its whole content: from there on it is accepted; and each
that has gone again, because its time was over. Every step is taken by hand on a fake clock.
"""

import json
import sys
from collections.abc import Callable
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.clock import FakeClock
from edge_agent.journal.journal import Journal
from edge_agent.journal.open import Opened, open_journal
from edge_agent.journal.quota import Limits
from edge_agent.journal.reader import Reader
from edge_agent.journal.schema import MIGRATIONS
from edge_agent.journal.upkeep import Upkeep
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.ranges import Ranges
from edge_agent.recorder.recorder import Recorder, Settings
from edge_agent.records import Alarm, CardRef, Event, Reading
from tests.faults.shim.shim import mark

CHECKPOINT_PAGES = 24
"""Instead of 1000: as many checkpoints as a month brings, in a few hundred operations."""
SMALL = 1 << 20
"""Bytes of the journal's limit: the reserve beside it, which is part of every state, is small then too."""
TIGHT = Limits(max_bytes=20_000)
"""Room for some thirty visits and rows of telemetry."""

NEXT = (*MIGRATIONS, "CREATE TABLE extra AS SELECT * FROM usage; CREATE INDEX extra_type ON extra (type);")
"""The schema of a release to come: a migration that writes many pages."""


class Run:
    """One life of the journal, from opening to closing."""

    def __init__(
        self, directory: Path, clock: FakeClock, opened: Opened | None = None, limits: Limits | None = None
    ) -> None:
        opened = opened or open_journal(directory, clock.boot_id)
        self.clock = clock
        self.journal = opened.journal
        self.journal.db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        settings = Settings(Calendar(ZoneInfo("Asia/Shanghai"), time(0)), group_commit=5.0, min_interval=1.0)
        self.upkeep = Upkeep(opened, limits or Limits(max_bytes=SMALL))
        self.recorder = Recorder(self.journal, clock, settings, Picture(), upkeep=self.upkeep)
        if opened.damage:
            self.recorder.submit("station", [Alarm("journal_damaged", active=True, detail={"why": opened.damage})])
        self.reader = Reader(directory)
        self._seen: dict[str, list[object]] = {}
        self.tell()

    def step(self, seconds: float = 1.0) -> None:
        """Let time pass, let the Recorder work, and mark what it has accepted."""
        self.clock.advance(seconds)
        self.recorder.step()
        self.tell()

    def tell(self) -> None:
        """Mark the rows that have become visible, or have gone, since the last call."""
        names = self.reader.epochs()
        now = {json.dumps([row.stream, names[row.epoch], row.seq]): list(row[3:]) for row in self.reader.all_rows()}
        new = [[*json.loads(name), *rest] for name, rest in now.items() if name not in self._seen]
        gone = [json.loads(name) for name in self._seen if name not in now]
        self._seen = now
        if new or gone:
            mark(json.dumps({"new": new, "gone": gone}))

    def close(self) -> None:
        """End in good order."""
        self.recorder.flush()
        self.tell()
        self.reader.close()
        self.upkeep.close()
        self.journal.close()


def use(run: Run, number: int) -> None:
    """Let one thing of each kind happen."""
    card = CardRef(f"{number:032x}", "1")
    run.recorder.submit("door", [Event("visit", {"n": number}, card=card)])
    run.step()
    values = [Reading(f"p{point}_v", float(number * point)) for point in range(1, 11)]
    run.recorder.submit("meter", values)
    run.step()
    if number % 3 == 0:
        run.recorder.submit("door", [Alarm("sos", active=number % 2 == 0), Event("door_opened", {"n": number})])
        run.step()
    if number % 5 == 0:
        run.recorder.acknowledge({("usage", run.journal.epoch): Ranges([(1, number)])})
        run.step(6.0)


def live(directory: Path) -> None:
    """First start, load with checkpoints in between, a change of day, a stop, a second start, and the end."""
    clock = FakeClock()
    run = Run(directory, clock)
    for number in range(1, 31):
        use(run, number)
    clock.advance(86_400.0)
    run.step()
    run.close()
    run = Run(directory, clock)
    for number in range(31, 41):
        use(run, number)
    run.close()


def start(directory: Path) -> None:
    """Open what is there (an old schema, a damaged file), use it, and stop."""
    run = Run(directory, FakeClock())
    for number in range(101, 104):
        use(run, number)
    run.close()


def migrate(directory: Path) -> None:
    """Bring what is there to the schema of a release to come, use it, and stop."""
    clock = FakeClock()
    run = Run(directory, clock, Opened(Journal(directory, clock.boot_id, migrations=NEXT)))
    for number in range(101, 104):
        use(run, number)
    run.close()


def prune(directory: Path) -> None:
    """Live with little room: telemetry is thinned and dropped, delivered rows go after their time for replay."""
    clock = FakeClock()
    run = Run(directory, clock, limits=TIGHT)
    for number in range(1, 41):
        use(run, number)
    for number in range(41, 61):
        if number % 5 == 1:
            clock.advance(3 * 86_400.0)
        use(run, number)
    run.close()


def careless(directory: Path) -> None:
    """Live without waiting for the medium, to see whether the states that are tried would show it."""
    run = Run(directory, FakeClock())
    run.journal.db.execute("PRAGMA synchronous = NORMAL")
    for number in range(1, 19):
        use(run, number)
    run.close()


SCENARIOS: dict[str, Callable[[Path], None]] = {
    "live": live,
    "start": start,
    "migrate": migrate,
    "prune": prune,
    "careless": careless,
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
