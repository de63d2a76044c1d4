"""How many usage events a second become durable, one commit each, beside bare SQLite commits of the same size."""

import json
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from datetime import time as day_time
from pathlib import Path
from typing import Any
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

COMMITS = 400
RUNS = 9


def raw(directory: Path, size: int) -> tuple[float, float]:
    """Return commits a second and bytes written a commit of one INSERT of `size` bytes per WAL/FULL transaction."""
    db = sqlite3.connect(directory / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, body TEXT)")
    body = "x" * size
    return _measure(lambda _number: db.execute("INSERT INTO row (body) VALUES (?)", (body,)), db.close)


def ours(directory: Path) -> tuple[float, float]:
    """Return the same of visits handed to the Recorder, each waited for until it is accepted."""
    recorder, close = _recorder(directory)

    def one(number: int) -> None:
        recorder.submit("door", [Event("visit", {"reader": "door"}, card=CardRef(f"{number:032x}", "1"))])
        recorder.step()

    return _measure(one, close)


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


def _measure(one: Callable[[int], object], close: Callable[[], object]) -> tuple[float, float]:
    one(0)
    before = bytes_written()
    began = time.perf_counter()
    for number in range(1, COMMITS + 1):
        one(number)
    took = time.perf_counter() - began
    written = bytes_written() - before
    close()
    return COMMITS / took, written / COMMITS


def _recorder(directory: Path) -> tuple[Recorder, Callable[[], None]]:
    clock = SystemClock()
    journal = open_journal(directory, clock.boot_id).journal
    # Without the window: hundreds of people within ten seconds would make it remember more than a station ever does.
    settings = Settings(Calendar(ZoneInfo("Asia/Shanghai"), day_time(0)), min_interval=0.0)
    recorder = Recorder(journal, clock, settings, Picture(), rules=[Swipes(0.0, {}, DayKeys(None))])
    recorder.step()
    return recorder, journal.close


def run(directory: Path) -> dict[str, Any]:
    """Measure both in turn; the row of the bare table is as long as ours."""
    size = len(json.dumps({"reader": "door"})) + len("door") + len("visit") + 4 * 8
    runs = [(raw(directory / f"raw-{i}", size), ours(directory / f"ours-{i}")) for i in _fresh(directory)]
    bare, mine = (statistics.median(pair[i][0] for pair in runs) for i in (0, 1))
    return {
        "bare commits/s": round(bare),
        "accepted/s": round(mine),
        "share": round(statistics.median(pair[1][0] / pair[0][0] for pair in runs), 2),
        "accepted/s, not waited for": round(statistics.median(burst(directory / f"burst-{i}") for i in range(RUNS))),
        "bytes a bare commit": round(statistics.median(pair[0][1] for pair in runs)),
        "bytes an event": round(statistics.median(pair[1][1] for pair in runs)),
        "bytes a sample, 8 in a commit": round(telemetry(directory / "tele-8", 8)),
        "bytes a sample, 80 in a commit": round(telemetry(directory / "tele-80", 80)),
    }


def _fresh(directory: Path) -> list[int]:
    for i in range(RUNS):
        (directory / f"raw-{i}").mkdir(parents=True)
    return list(range(RUNS))
