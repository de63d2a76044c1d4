"""From the start of the process to its first published value, with an empty journal and with a million rows."""

import compileall
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge_agent.journal.journal import Batch
from edge_agent.journal.open import open_journal
from edge_agent.journal.row import Row
from edge_agent.ranges import Ranges
from tests.benchmarks.agent_process import ROOT, agent, surroundings
from tests.benchmarks.machine import processor_time
from tests.stations import HEAD, ROOM, wait_for

ROWS = 1_000_000
UNSENT = 100_000
"""Visits among them that the centre does not have yet."""
RUNS = 5
_PIECE = 20_000
_SAMPLE = json.dumps({f"point_{point}_v": 230.0 + point for point in range(4)}, separators=(",", ":"))
_VISIT = '{"reader":"door"}'


def fill(directory: Path) -> None:
    """Write a journal of `ROWS` rows: telemetry that has been delivered, and visits that have not."""
    journal = open_journal(directory, "00000000-0000-4000-8000-000000000001").journal
    now = round(time.time() * 1000)

    def row(stream: str, number: int) -> Row:
        kind, body = ("visit", _VISIT) if stream == "usage" else ("sample", _SAMPLE)
        device = "door" if stream == "usage" else f"meter-{number % 8}"
        stamp = (journal.boot, number * 100, now - (ROWS - number) * 100, True)
        return Row(stream, journal.epoch, journal.reserve(stream), device, kind, *stamp, body)

    for stream, count in (("usage", UNSENT), ("tele", ROWS - UNSENT)):
        for begin in range(0, count, _PIECE):
            journal.commit(Batch([row(stream, begin + i) for i in range(min(_PIECE, count - begin))]))
    journal.commit(
        Batch(ledger={("life", "visits"): UNSENT}, delivered={("tele", journal.epoch): Ranges([(1, ROWS - UNSENT)])})
    )
    journal.close()


def first_value(directory: Path) -> tuple[float, float, float]:
    """Return seconds from the start of the process to its first message and first value, and of processor time."""
    with surroundings(directory, HEAD + ROOM) as (simulated, broker):
        began = time.monotonic()
        with agent(simulated) as process:
            wait_for(lambda: broker.sink.messages, "first message", within=60)
            greeted = time.monotonic() - began
            wait_for(lambda: broker.last("state/room") or broker.sink.of("tele"), "first value", within=60)
            return greeted, time.monotonic() - began, processor_time(process.pid)


def libraries() -> float:
    """Return seconds of a Python that only loads the libraries that every agent needs."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import pydantic, paho.mqtt.client, serial, sqlite3"], check=True)
    return time.monotonic() - began


def run(directory: Path) -> dict[str, Any]:
    """Measure both; seconds."""
    # As an installed agent is: pip compiles what it installs.
    for package in ("edge_agent", "drivers"):
        compileall.compile_dir(ROOT / package, quiet=1)
    bare = [libraries() for _ in range(RUNS)]
    empty = [first_value(directory / f"empty-{number}") for number in range(RUNS)]
    fill(directory / "full" / "journal")
    full = [first_value(directory / "full") for _ in range(RUNS)]
    size = (directory / "full" / "journal" / "journal.db").stat().st_size
    return {
        "bare Python with pydantic, paho and pyserial, s": round(statistics.median(bare), 2),
        "empty journal: first value, s": _median(empty, 1),
        "empty journal: processor time until then, s": _median(empty, 2),
        f"{ROWS:,} rows ({size >> 20} MiB, {UNSENT:,} unsent): first message, s": _median(full, 0),
        f"{ROWS:,} rows: first value, s": _median(full, 1),
        f"{ROWS:,} rows: processor time until then, s": _median(full, 2),
    }


def _median(runs: list[tuple[float, float, float]], which: int) -> float:
    return round(statistics.median(run[which] for run in runs), 2)
