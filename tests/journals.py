"""A journal and its Recorder on a real disk with a clock that moves only when told, and a connection that can fail."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import time
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.clock import FakeClock
from edge_agent.journal.file import connect
from edge_agent.journal.journal import Journal
from edge_agent.journal.open import Opened, open_journal
from edge_agent.journal.quota import Limits
from edge_agent.journal.reader import Reader
from edge_agent.journal.reserve import Reserve
from edge_agent.journal.row import Row
from edge_agent.journal.upkeep import Upkeep
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture, View
from edge_agent.ranges import Ranges
from edge_agent.recorder.recorder import Recorder, Settings
from edge_agent.records import CardRef, Event, Reading
from edge_agent.rules.alarms import AlarmLife
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.rule import Rule
from edge_agent.rules.swipes import Swipes

CALENDAR = Calendar(ZoneInfo("Asia/Shanghai"), time(0))
MACHINE = "3f2a77d9a1b64c0e9d5b8a3c1e2f4a5b"


class Script:
    """Says which statement fails next: the first that contains `text`, `times` times, before or after it was done."""

    def __init__(self) -> None:
        self.text = ""
        self.times = 0
        self.after = False
        self.error: sqlite3.Error = sqlite3.OperationalError("disk I/O error")
        self.seen: list[str] = []

    def fail(self, text: str, times: int = 1, *, after: bool = False, error: sqlite3.Error | None = None) -> None:
        """Arm it."""
        self.text, self.times, self.after = text, times, after
        if error is not None:
            self.error = error

    def meet(self, statement: str, *, after: bool) -> None:
        """Raise if it is this statement's turn."""
        if not after:
            self.seen.append(statement)
        if self.times and after is self.after and self.text in statement:
            self.times -= 1
            raise self.error


def coded(code: int, text: str = "planted") -> sqlite3.OperationalError:
    """Return an error as SQLite itself raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def failing(script: Script) -> Any:
    """Return a `connect` whose connections fail as `script` says."""

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            script.meet(sql, after=False)
            cursor = super().execute(sql, *args)
            script.meet(sql, after=True)
            return cursor

        def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
            script.meet(sql, after=False)
            cursor = super().executemany(sql, *args)
            script.meet(sql, after=True)
            return cursor

    return partial(connect, factory=Failing)


class Bench:
    """One journal directory through several lives of the agent."""

    def __init__(self, directory: Path, clock: FakeClock | None = None, **settings: Any) -> None:
        self.directory = directory / "journal"
        self.machine_id = directory / "machine-id"
        self.machine_id.write_text(MACHINE, encoding="ascii")
        self.clock = clock or FakeClock()
        self.settings = Settings(CALENDAR, **settings)
        self.script = Script()
        self.cabinets: list[Cabinet] = []
        self.make_rules: Callable[[Journal], Sequence[Rule]] = lambda journal: [
            Swipes(10.0, journal.ledger(), DayKeys(journal.path.parent)),
            AlarmLife(journal.state()),
        ]
        self.check_up_to = 1 << 30
        self.limits = Limits()
        self.cap = 512_000_000
        """Bytes that the file itself may take; far above the limits, as tests fill streams faster than they empty."""
        self.free = 10 << 30
        """Bytes free on the disk, as the agent is told."""
        self.opened: Opened
        self.journal: Journal
        self.recorder: Recorder
        self.picture: Picture
        self.upkeep: Upkeep

    def open(self) -> "Bench":
        """Start as the agent does."""
        self.opened = open_journal(
            self.directory,
            self.clock.boot_id,
            station="365-001",
            connect=failing(self.script),
            machine_id=self.machine_id,
            check_up_to=self.check_up_to,
        )
        self.journal = self.opened.journal
        self.picture = Picture()
        reserve = Reserve(self.journal, self.cap, free=lambda: self.free)
        self.upkeep = Upkeep(self.opened, self.limits, reserve=reserve)
        self.recorder = Recorder(
            self.journal,
            self.clock,
            self.settings,
            self.picture,
            self.cabinets,
            rules=self.make_rules(self.journal),
            upkeep=self.upkeep,
        )
        self.recorder.step()
        return self

    def crash(self) -> None:
        """End without a word: what was not committed is gone."""
        self.upkeep.close()
        self.journal.close()

    def close(self) -> None:
        """End in good order."""
        self.recorder.flush()
        self.crash()

    def step(self, seconds: float = 0.0) -> float:
        """Let time pass and the Recorder work."""
        self.clock.advance(seconds)
        return self.recorder.step()

    def settle(self) -> None:
        """Work until nothing of a damaged file is left to carry over, and the group commit is done."""
        for _ in range(100_000):
            self.step(0.1)
            if not self.upkeep.salvaging:
                break
        self.step(self.settings.group_commit)

    def swipe(self, card: str = "00", seconds: float = 0.0) -> None:
        """Let somebody in."""
        self.recorder.submit("door", [Event("visit", card=CardRef(card, "k1"))])
        self.step(seconds)

    def measure(self, value: float, seconds: float = 10.0, device: str = "climate") -> None:
        """Let a sensor speak."""
        self.recorder.submit(device, [Reading("temperature_c", value)])
        self.step(seconds)

    def acknowledge(self, stream: str, first: int, last: int, epoch: int | None = None) -> None:
        """Let the centre have a range."""
        self.recorder.acknowledge({(stream, epoch or self.journal.epoch): Ranges([(first, last)])})

    @property
    def view(self) -> View:
        """What everybody sees."""
        return self.picture.view

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Look in as the uplink does."""
        reader = Reader(self.directory)
        try:
            yield reader
        finally:
            reader.close()

    def rows(self, stream: str, kind: str | None = None) -> list[Row]:
        """Return what is committed."""
        with self.reader() as reader:
            return [r for r in reader.all_rows() if r.stream == stream and kind in {None, r.type}]

    def seqs(self, stream: str) -> list[int]:
        """Return the committed seqs of the current epoch."""
        return [row.seq for row in self.rows(stream) if row.epoch == self.journal.epoch]


@contextmanager
def bench(directory: Path, clock: FakeClock | None = None, **settings: Any) -> Iterator[Bench]:
    """Give an open bench and see that it lets go of its files."""
    made = Bench(directory, clock, **settings)
    made.open()
    try:
        yield made
    finally:
        made.crash()


def visits(rows: Iterable[Row]) -> int:
    """Count the visits among rows."""
    return sum(row.type == "visit" for row in rows)
