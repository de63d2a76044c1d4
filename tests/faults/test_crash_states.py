"""Whatever instant the power fails at: the journal opens, holds every accepted row, and no seq is missing unsaid.

`CRASH_STATES` says how many torn or reordered states are tried in all; every prefix always is.
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.clock import FakeClock
from edge_agent.errors import JournalError
from edge_agent.journal.file import FILE
from edge_agent.journal.journal import Journal
from edge_agent.journal.open import Opened, open_journal
from edge_agent.journal.quota import Limits
from edge_agent.journal.reader import Reader
from edge_agent.journal.schema import MIGRATIONS, STREAMS, pack
from edge_agent.journal.upkeep import Upkeep
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.ranges import Ranges
from edge_agent.recorder.recorder import Recorder, Settings
from tests.faults.crash_states import Medium
from tests.faults.crash_states_driver import NEXT, SMALL
from tests.faults.shim.shim import Faults, Operation, operations

pytestmark = pytest.mark.needs("cc")

ROOT = Path(__file__).parents[2]
TORN = int(os.environ.get("CRASH_STATES", "2100"))
BOOT = "00000000-0000-4000-8000-000000000002"

Name = tuple[str, str, int]
"""Stream, epoch name, seq."""


@dataclass(slots=True)
class Found:
    """What a rebuilt journal holds."""

    damage: str
    rows: dict[Name, list[object]] = field(default_factory=dict)
    gaps: list[tuple[str, str, int, int]] = field(default_factory=list)
    delivered: dict[tuple[str, str], Ranges] = field(default_factory=dict)
    """(stream, epoch name) -> what the centre has: it may go without a gap record once its time is over."""
    visits: int = 0


@pytest.fixture(name="scratch")
def _scratch() -> Iterator[Path]:
    """A place in memory: thousands of states are built here."""
    path = Path(tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@dataclass(frozen=True, slots=True)
class Recording:
    """What the medium held at first, and what was done to it."""

    medium: Medium
    operations: list[Operation]


def record(shim: Path, scratch: Path, scenario: str) -> Recording:
    """Run a scenario of the driver on `scratch/journal`, with whatever is there already."""
    log = scratch / "record"
    log.unlink(missing_ok=True)
    (scratch / "journal").mkdir(exist_ok=True)
    medium = Medium(scratch / "journal")
    with Faults(shim, scratch / "journal", scratch / "control", log) as faults:
        command = [sys.executable, str(Path(__file__).with_name("crash_states_driver.py")), scenario]
        environment = faults.environment | {"PYTHONPATH": str(ROOT)}
        subprocess.run([*command, str(scratch / "journal")], env=environment, check=True, timeout=60)
    return Recording(medium, list(operations(log)))


def accepted(recorded: list[Operation]) -> dict[int, dict[Name, list[object]]]:
    """Return count of operations -> rows accepted by then, for each mark; without those that are about to go."""
    known: dict[Name, list[object]] = {}
    found: dict[int, dict[Name, list[object]]] = {0: {}}
    before = 0
    for count, operation in enumerate(recorded, 1):
        if operation.kind == "!":
            told = json.loads(operation.text)
            gone = {(stream, epoch, seq) for stream, epoch, seq in told["gone"]}
            found[before] = {name: row for name, row in found[before].items() if name not in gone}
            known = {name: row for name, row in known.items() if name not in gone}
            known |= {(row[0], row[1], row[2]): row for row in told["new"]}
            found[count] = dict(known)
            before = count
    return found


def newest(directory: Path) -> Opened:
    """Open the journal as the next start of the agent does."""
    return open_journal(directory, BOOT)


def to_come(directory: Path) -> Opened:
    """Open it as a release to come does; the copy it has made of the old file must be whole."""
    opened = Opened(Journal(directory, BOOT, migrations=NEXT))
    copy = directory / f"{FILE}.v1"
    if copy.exists():
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
            assert db.execute("SELECT count(*) FROM usage").fetchone()[0] >= 20
    return opened


def look(directory: Path, start: Callable[[Path], Opened] = newest) -> Found:
    """Start, finish what an earlier start has left to do, and read everything."""
    opened = start(directory)
    upkeep = Upkeep(opened, Limits(max_bytes=SMALL))
    try:
        clock = FakeClock()
        settings = Settings(Calendar(ZoneInfo("Asia/Shanghai"), time(0)))
        recorder = Recorder(opened.journal, clock, settings, Picture(), upkeep=upkeep)
        while upkeep.salvaging:
            clock.advance(1.0)
            recorder.step()
        found = Found(opened.damage, gaps=[(m.stream, m.epoch_name, m.first, m.last) for m in opened.missing])
        found.visits = opened.journal.ledger().get(("life", "visits"), 0)
        reader = Reader(directory)
        names = reader.epochs()
        for row in reader.all_rows():
            name = (row.stream, names[row.epoch], row.seq)
            found.rows[name] = [*name, *row[3:]]
            if row.type == "gap":
                body = json.loads(row.body)
                of = body.get("of_epoch", names[row.epoch])
                found.gaps.append((row.stream, of, body["from_seq"], body["to_seq"]))
        found.delivered = {(stream, names[no]): ranges for (stream, no), ranges in reader.delivered().items()}
        reader.close()
    finally:
        upkeep.close()
        opened.journal.close()
    return found


def holes(found: Found) -> list[Name]:
    """Return the seqs that are neither there, nor delivered, nor covered by a gap record."""
    newest: dict[tuple[str, str], int] = {}
    for stream, epoch, seq in found.rows:
        newest[stream, epoch] = max(seq, newest.get((stream, epoch), 0))
    return [
        (stream, epoch, seq)
        for (stream, epoch), last in newest.items()
        for seq in range(1, last)
        if (stream, epoch, seq) not in found.rows
        and seq not in found.delivered.get((stream, epoch), ())
        and not any(gap[:2] == (stream, epoch) and gap[2] <= seq <= gap[3] for gap in found.gaps)
    ]


def verify(found: Found, must: dict[Name, list[object]], what: str, *, pruned: bool) -> None:
    """Hold a rebuilt state against what had been accepted; visits are numbered, so the last tells how many."""
    lost = [name for name, row in must.items() if found.rows.get(name) != row]
    assert not lost, f"{what}: lost or changed {lost[:5]}"
    assert not holes(found), f"{what}: holes {holes(found)[:5]}"
    visits = [json.loads(str(row[-1]))["n"] for row in found.rows.values() if row[4] == "visit"]
    counted = max(visits, default=0) if pruned else len(visits)
    assert found.visits == counted, f"{what}: ledger says {found.visits}, rows {visits}"


def try_all(
    recording: Recording,
    scratch: Path,
    torn: int,
    known: dict[Name, list[object]] | None = None,
    *,
    damaged: bool = False,
    pruned: bool = False,
    start: Callable[[Path], Opened] = newest,
) -> int:
    """Verify every prefix and `torn` states after a power cut, `known` rows in each; returns how many states.

    Unless the journal was `damaged` to begin with, none of them may be taken for damaged.
    """
    medium, recorded = recording.medium, recording.operations
    by_mark = accepted(recorded)
    must = known or {}
    rng = random.Random(2100)
    cuts = sorted(rng.randrange(len(recorded)) for _ in range(torn))
    state = scratch / "state"
    tried = 0

    def look_at(what: str) -> None:
        nonlocal tried
        tried += 1
        try:
            found = look(state, start)
        except JournalError as error:
            raise AssertionError(f"{what}: {error}") from error
        assert damaged or not found.damage, f"{what}: {found.damage}"
        verify(found, must, what, pruned=pruned)

    changed = True
    for count in range(len(recorded) + 1):
        if count:
            medium.apply(recorded[count - 1])
            changed = medium.changed
        must = (known or {}) | by_mark.get(count, must)
        if changed:
            medium.after_kill(state)
            look_at(f"killed after operation {count}")
        while cuts and cuts[0] == count:
            cuts.pop(0)
            medium.after_power_cut(state, rng)
            look_at(f"power cut after operation {count}")
    return tried


def test_first_start_load_checkpoint_and_stop(shim: Path, scratch: Path) -> None:
    """No instant of a journal's life loses an accepted row: creation, commits, checkpoints, stop and second start."""
    torn = TORN // 2
    assert try_all(record(shim, scratch, "live"), scratch, torn) > torn


def test_migration(shim: Path, scratch: Path) -> None:
    """A file is whole at every instant of its way to a newer schema, and so is the copy made of it."""
    directory = scratch / "journal"
    directory.mkdir()
    first_schema(directory)
    recording = record(shim, scratch, "migrate")
    old = {name: row for name, row in look(directory, to_come).rows.items() if name[2] <= 20}
    assert len(old) == 60
    try_all(recording, scratch, TORN // 6, old, start=to_come)


def test_pruning(shim: Path, scratch: Path) -> None:
    """Rows go in the transaction of the gap record that says so, or because the centre has had them long enough."""
    recording = record(shim, scratch, "prune")
    final = look(scratch / "journal")
    everything = [
        row for operation in recording.operations if operation.kind == "!" for row in json.loads(operation.text)["new"]
    ]
    assert len(final.rows) < len(everything) - 50
    assert {gap[0] for gap in final.gaps} >= {"tele"}
    try_all(recording, scratch, TORN // 6, pruned=True)


def test_quarantine(shim: Path, scratch: Path) -> None:
    """A salvage that is cut off at any instant is made good by the next start: nothing readable is lost by it."""
    record(shim, scratch, "live")
    directory = scratch / "journal"
    damage(directory / FILE)
    shutil.copytree(directory, scratch / "copy")
    salvaged = {name: row for name, row in look(scratch / "copy").rows.items() if row[4] != "gap"}
    recording = record(shim, scratch, "start")
    assert len(salvaged) > 40
    try_all(recording, scratch, TORN // 6, salvaged, damaged=True)


def test_a_journal_that_does_not_wait_for_the_medium_is_found_out(shim: Path, scratch: Path) -> None:
    """The states tried are hostile enough to lose rows of the same journal with synchronous=NORMAL."""
    recording = record(shim, scratch, "careless")
    with pytest.raises(AssertionError, match="power cut"):
        try_all(recording, scratch, TORN // 6)


OLD_EPOCH = "00000000000000e1"


def first_schema(directory: Path) -> None:
    """Write a journal as the first release did."""
    db = sqlite3.connect(directory / FILE, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(f"BEGIN; {MIGRATIONS[0]} PRAGMA user_version = 1; COMMIT;")
    db.execute("INSERT INTO epoch (name, why) VALUES (?, 'first start')", (OLD_EPOCH,))
    db.execute("INSERT INTO boot (id) VALUES ('00000000-0000-4000-8000-0000000000e1')")
    for stream in STREAMS:
        for seq in range(1, 21):
            kind = "visit" if stream == "usage" else "sos" if stream == "alarm" else "sample"
            values = (pack(1, seq), "door", kind, seq * 1000, 1_780_000_000_000 + seq, json.dumps({"n": seq}))
            db.execute(f"INSERT INTO {stream} VALUES (?, ?, ?, 1, ?, ?, 1, ?)", values)  # noqa: S608
    db.execute("INSERT INTO ledger VALUES ('life', 'visits', 20)")
    db.close()


def damage(path: Path) -> None:
    """Overwrite one page in the middle of the telemetry."""
    db = sqlite3.connect(path)
    root, size = (
        db.execute(q).fetchone()[0]
        for q in ("SELECT rootpage FROM sqlite_master WHERE name = 'tele'", "PRAGMA page_size")
    )
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray(path.read_bytes())
    at = (root - 1) * size
    content[at : at + size] = bytes(size)
    path.write_bytes(content)
