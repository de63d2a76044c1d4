"""How many usage events a second become durable, one commit each, beside bare SQLite commits of the same size."""

import json
import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from datetime import time as day_time
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from edge_agent.clock import SystemClock
from edge_agent.journal.open import open_journal
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.recorder.recorder import Recorder, Settings
from edge_agent.records import CardRef, Event, Reading
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.swipes import Swipes
from tests.benchmarks.machine import bytes_written

COMMITS = 350
COUNTED = 50
RUNS = 9

_PAUSE = threading.Event()

Commit: TypeAlias = Callable[[int], object]


def raw(directory: Path, size: int, *, full_length: bool = False) -> tuple[Commit, Callable[[], None]]:
    """Return what inserts `size` bytes in a WAL/FULL transaction of its own, and what closes the file.

    `full_length`: into a WAL that has its length before it is needed, as ours has, and any has after some hours.
    """
    directory.mkdir(parents=True)
    db = sqlite3.connect(directory / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, body TEXT)")
    if full_length:
        with (directory / "raw.db-wal").open("ab") as wal:
            for _ in range(0, (4 << 20) - wal.tell(), 4096):
                os.write(wal.fileno(), bytes(4096))
            os.fsync(wal.fileno())
    body = "x" * size
    return lambda _number: db.execute("INSERT INTO row (body) VALUES (?)", (body,)), db.close


def ours(directory: Path) -> tuple[Commit, Callable[[], None]]:
    """Return what hands a visit to the Recorder and waits until it is accepted, and what closes the journal."""
    recorder, close = _recorder(directory)

    def one(number: int) -> None:
        recorder.submit("door", [Event("visit", {"reader": "door"}, card=CardRef(f"{number:032x}", "1"))])
        recorder.step()

    return one, close


def burst(directory: Path) -> float:
    """Return visits a second that are handed over without waiting: what waits together shares a commit."""
    recorder, close = _recorder(directory)
    thread = threading.Thread(target=recorder.run, args=(lambda _deadline: None,))
    thread.start()
    began = time.perf_counter()
    for number in range(1, COMMITS + 1):
        recorder.submit("door", [Event("visit", {"reader": "door"}, card=CardRef(f"{number:032x}", "1"))])
    # The promise of durability of the last one covers all before it.
    assert recorder.submit_durably("door", [Event("door_closed", {})], {}, within=60.0)
    took = time.perf_counter() - began
    recorder.stop()
    thread.join()
    close()
    return COMMITS / took


def telemetry(directory: Path, rows: int) -> float:
    """Return bytes written a row of `rows` samples of ten points that share one group commit."""
    recorder, close = _recorder(directory)
    before = bytes_written()
    for number in range(rows):
        points = [Reading(f"point_{point}_v", float(number + point)) for point in range(10)]
        recorder.submit(f"meter-{number}", points)
    recorder.commit_soon()
    recorder.step()
    close()
    return (bytes_written() - before) / rows


def _measure(*all_: tuple[Commit, Callable[[], None]]) -> list[tuple[float, float]]:
    """Return the median time (s) of one commit and its mean of bytes written, for each; they take turns.

    A disk that others use is not equally fast twice: what is compared must be neighbours in time. The bytes are those
    of commits before them: to ask the kernel in between would take time away from what follows.
    """
    times: list[list[float]] = [[] for _ in all_]
    written = [_bytes_each(one) for one, _ in all_]
    for number in range(COUNTED, COUNTED + COMMITS):
        for which, (one, _) in enumerate(all_):
            began = time.perf_counter()
            one(number)
            times[which].append(time.perf_counter() - began)
    for _, close in all_:
        close()
    return [(statistics.median(each), size) for each, size in zip(times, written, strict=True)]


def _bytes_each(one: Commit) -> float:
    one(0)
    before = bytes_written()
    for number in range(1, COUNTED):
        one(number)
    return (bytes_written() - before) / (COUNTED - 1)


def _recorder(directory: Path) -> tuple[Recorder, Callable[[], None]]:
    clock = SystemClock()
    journal = open_journal(directory, clock.boot_id).journal
    # Without the window: hundreds of people within ten seconds would make it remember more than a station ever does.
    settings = Settings(Calendar(ZoneInfo("Asia/Shanghai"), day_time(0)), min_interval=0.0)
    recorder = Recorder(journal, clock, settings, Picture(), rules=[Swipes(0.0, {}, DayKeys(None))])
    # What follows a start is over before the first swipe comes.
    while (rest := recorder.step()) < settings.group_commit / 2:
        _PAUSE.wait(rest)
    return recorder, journal.close


def run(directory: Path) -> dict[str, Any]:
    """Measure both in turn; the row of the bare table is as long as ours."""
    size = len(json.dumps({"reader": "door"})) + len("door") + len("visit") + 4 * 8
    runs = [
        _measure(
            raw(directory / f"raw-{i}", size),
            raw(directory / f"full-{i}", size, full_length=True),
            ours(directory / f"ours-{i}"),
        )
        for i in range(RUNS)
    ]
    (bare, bare_bytes), (full, _), (mine, bytes_each) = (
        [statistics.median(figures) for figures in zip(*each, strict=True)] for each in zip(*runs, strict=True)
    )
    return {
        "bare commits/s": round(1 / bare),
        "accepted/s": round(1 / mine),
        "share": round(statistics.median(one[0][0] / one[2][0] for one in runs), 2),
        "bare commits/s into a WAL of full length": round(1 / full),
        "share of those": round(statistics.median(one[1][0] / one[2][0] for one in runs), 2),
        "accepted/s, not waited for": round(statistics.median(burst(directory / f"burst-{i}") for i in range(RUNS))),
        "bytes a bare commit": round(bare_bytes),
        "bytes an event": round(bytes_each),
        "bytes a sample, 8 in a commit": round(telemetry(directory / "tele-8", 8)),
        "bytes a sample, 80 in a commit": round(telemetry(directory / "tele-80", 80)),
    }
