"""Any history of the journal against a list of what was accepted: nothing is lost unsaid or changes, all adds up."""

import json
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.clock import FakeClock
from edge_agent.journal.file import FILE, PAGE
from edge_agent.journal.quota import Limits
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS
from edge_agent.records import Alarm, CardRef, Event, Reading
from tests.journals import Bench, coded

CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY)
STATEMENTS = ("BEGIN", "INTO usage", "INTO tele", "INTO ledger", "INTO state", "DELETE", "UPDATE boot", "COMMIT")

Name = tuple[str, str, int]
"""Stream, epoch name, seq."""


class JournalMachine(RuleBasedStateMachine):
    """The model is a dictionary: every row that was ever seen committed, by its name for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(
            tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        self.bench = Bench(self.directory, FakeClock(good=False, wall=100.0), queue=64)
        self.accepted: dict[Name, Row] = {}
        self.delivered: set[Name] = set()
        self.visits = 0
        self.corrupted = False
        """A broken page may have taken hours with it."""
        self.cards = 0
        self.boots = 0

    @initialize()
    def start(self) -> None:
        """Start for the first time."""
        self.bench.open()

    def teardown(self) -> None:
        """End and tidy up."""
        self.bench.script.times = 0
        self.bench.crash()
        shutil.rmtree(self.directory)

    # ---- what happens

    @rule(count=st.integers(1, 5), seconds=st.sampled_from([0.0, 1.0, 11.0, 70.0]))
    def append(self, count: int, seconds: float) -> None:
        """People come, a sensor speaks, an alarm changes."""
        for _ in range(count):
            self.cards += 1
            card = CardRef(str(self.cards), "k")
            self.bench.recorder.submit("door", [Event("visit", {"n": self.cards}, card=card)])
        self.bench.recorder.submit("climate", [Reading("temperature_c", float(self.cards))])
        self.bench.recorder.submit("hall", [Alarm("smoke", active=self.cards % 2 == 0)])
        self.bench.step(seconds)

    @rule(
        statement=st.sampled_from(STATEMENTS),
        code=st.sampled_from(CODES),
        times=st.integers(1, 3),
        after=st.booleans(),
        free=st.sampled_from([0, 10 << 30]),
    )
    def sick_disk(self, statement: str, code: int, times: int, after: bool, free: int) -> None:
        """The next statements fail, with or without room on the disk."""
        self.bench.free = free
        self.bench.script.fail(statement, times, after=after, error=coded(code))

    @rule(seconds=st.sampled_from([1.0, 10.0, 3600.0, 90_000.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing else happens."""
        self.bench.step(seconds)
        self.bench.step(1.0)

    @rule()
    def crash(self) -> None:
        """The process is killed and started again."""
        self.bench.script.times = 0
        self.bench.crash()
        self.bench.open()

    @rule()
    def stop(self) -> None:
        """The process ends in good order and is started again."""
        self.bench.script.times = 0
        self.bench.close()
        self.bench.open()

    @rule(wall=st.sampled_from([5.0, 1_700_000_000.0, 4_000_000_000.0]))
    def power_cut(self, wall: float) -> None:
        """The machine boots again and does not know the time."""
        self.bench.script.times = 0
        self.bench.crash()
        self.boots += 1
        self.bench.clock.reboot(f"boot-{self.boots}", monotonic=3.0)
        self.bench.clock.set_wall(wall, good=False)
        self.bench.open()

    @rule(
        wall=st.sampled_from([1_780_000_000.0, 1_780_000_000.0 - 3600, 1_464_000_000.0, 2_095_000_000.0]),
        good=st.booleans(),
    )
    def clock_jump(self, wall: float, good: bool) -> None:
        """The wall clock is set, to something good or not."""
        self.bench.clock.set_wall(wall, good=good)
        self.bench.step(0.5)

    @rule(share=st.floats(0, 1), stream=st.sampled_from(STREAMS))
    def acknowledge(self, share: float, stream: str) -> None:
        """The centre has some of what it was sent."""
        names = self.bench.journal.epochs()
        rows = self.bench.rows(stream)
        for row in rows[: round(share * len(rows))]:
            self.bench.acknowledge(stream, row.seq, row.seq, row.epoch)
            self.delivered.add((stream, names[row.epoch], row.seq))

    @rule(size=st.sampled_from([10_000, 30_000]))
    def fill(self, size: int) -> None:
        """There is suddenly very little room, until what is too much has gone."""
        quota = self.bench.upkeep._quota
        before = quota.limits
        quota.limits = Limits(max_bytes=size)
        for _ in range(30):
            self.bench.step(10.0)
        quota.limits = before

    @rule()
    def committed(self) -> None:
        """The centre has stored all usage for good, and weeks go by."""
        journal = self.bench.journal
        self.bench.recorder.remember(f"committed/usage/{journal.epoch_name}", str(journal.last_seq("usage")))
        for _ in range(4):
            self.bench.step(10 * 86_400.0)

    @precondition(lambda self: self.cards > 5)
    @rule(seed=st.integers(0, 99), kind=st.sampled_from(["flip", "cut", "nothing"]))
    def corrupt(self, seed: int, kind: str) -> None:
        """The card has eaten something while the agent was away."""
        it = self.bench
        it.script.times = 0
        it.free = 10 << 30
        it.recorder.flush()
        self.note()
        it.crash()
        path = it.directory / FILE
        content = bytearray(path.read_bytes())
        dice = random.Random(seed)
        page = dice.randrange(len(content) // PAGE)
        if kind == "flip":
            content[page * PAGE : (page + 1) * PAGE] = dice.randbytes(PAGE)
        path.write_bytes(content[: page * PAGE] if kind == "cut" else b"" if kind == "nothing" else content)
        it.open()
        it.settle()
        # The lifetime may have lost what only the broken page and the last minute knew; it never gains.
        lifetime = it.view.totals.lifetime.get("visits", 0)
        assert lifetime <= self.visits
        assert lifetime >= sum(row.type == "visit" for row in it.rows("usage"))
        self.visits = lifetime
        self.corrupted = True

    # ---- what must hold

    def note(self) -> None:
        """Hold what is committed against all that ever was."""
        names = self.bench.journal.epochs()
        with self.bench.reader() as reader:
            for row in reader.all_rows():
                name = (row.stream, names[row.epoch], row.seq)
                neutral = row._replace(epoch=0)
                if name not in self.accepted:
                    self.accepted[name] = neutral
                    self.visits += row.type == "visit"
                assert self.accepted[name] == neutral, "a record has changed"

    @invariant()
    def nothing_is_lost_unsaid(self) -> None:
        """Every accepted row is there, delivered, or covered by a gap record; so is every number before the newest."""
        it = self.bench
        self.note()
        names = it.journal.epochs()
        with it.reader() as reader:
            rows = list(reader.all_rows())
        there = {(row.stream, names[row.epoch], row.seq) for row in rows}
        covered: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for name, row in self.accepted.items():
            if row.type == "gap":
                body = json.loads(row.body)
                key = (row.stream, body.get("of_epoch", name[1]))
                covered.setdefault(key, []).append((body["from_seq"], body["to_seq"]))
        newest: dict[tuple[str, str], int] = {}
        for stream, epoch, seq in self.accepted:
            newest[stream, epoch] = max(newest.get((stream, epoch), 0), seq)
        for (stream, epoch), last in newest.items():
            for seq in range(1, last + 1):
                found = (stream, epoch, seq) in there or (stream, epoch, seq) in self.delivered
                gaps = covered.get((stream, epoch), ())
                assert found or any(first <= seq <= until for first, until in gaps), (stream, epoch, seq)

    @invariant()
    def totals_add_up(self) -> None:
        """The lifetime is what was accepted, and the sum of its days and what is undated."""
        it = self.bench
        if it.recorder._failed:
            # Nobody knows yet whether the last batch is there.
            return
        ledger = it.journal.ledger()
        assert ledger.get(("life", "visits"), 0) == self.visits
        assert it.view.totals.lifetime.get("visits", 0) == self.visits
        dated = sum(count for (bucket, name), count in ledger.items() if name == "visits" and bucket != "life")
        assert self.corrupted or dated == self.visits

    @invariant()
    def tallies_are_exact(self) -> None:
        """The bytes of a stream are counted, not guessed."""
        quota = self.bench.upkeep._quota
        for stream in () if self.bench.recorder._failed else STREAMS:
            assert quota.tallies[stream].rows == len(self.bench.rows(stream))


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
