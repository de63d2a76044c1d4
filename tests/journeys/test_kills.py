"""The agent as a process: killed at random, the broker restarted at random; no visit lost, none counted twice."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from edge_agent.demo.station import SimulatedStation
from edge_agent.demo.wire import PtyWire
from edge_agent.journal_reader import Reader
from tests.stations import HEAD, READER, Centre, centre, wait_for

KILLS = int(os.environ.get("KILLS", "30"))
ROOT = Path(__file__).parents[2]
_FRAME = 14
SAFE_S = 0.25
"""A swipe whose last byte was on the wire this long before a kill must have been accepted."""


@pytest.fixture(name="ports")
def _ports() -> Iterator[Path]:
    """A place below /dev for the links to the pseudo-terminals, so that the real command takes the file as it is."""
    path = Path(tempfile.mkdtemp(prefix="edge-agent-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


class Agent:
    """`edge-agent run` as systemd starts it; returns when it has said READY."""

    def __init__(self, station_file: Path, log: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, log.open("ab") as sink:
            notify.settimeout(20)
            address = f"\0edge-agent-test-{os.getpid()}-{time.monotonic_ns()}"
            notify.bind(address)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", "run", str(station_file)],
                stderr=sink,
                cwd=ROOT,
                env={**os.environ, "NOTIFY_SOCKET": address.replace("\0", "@")},
            )
            while b"READY=1" not in notify.recv(4096):
                pass

    def kill(self) -> None:
        """As a power cut ends it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """As systemd ends it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


def test_no_kill_loses_or_doubles_a_visit(tmp_path: Path, ports: Path) -> None:
    """After many kills and broker stops the totals equal the journal, the sink and the swipes that had to count."""
    rng = random.Random(20)
    with centre() as broker:
        text = (HEAD + READER).replace("/dev/serial/by-id", str(ports))
        simulated = SimulatedStation(
            tmp_path, broker=f"127.0.0.1:{broker.thread.port}", page="127.0.0.1:8080", text=text, ports=ports
        )
        simulated.start()
        try:
            must, swiped = _torment(simulated, broker, rng, tmp_path / "log")
            agent = Agent(simulated.path, tmp_path / "log")
            wait_for(lambda: _all_arrived(tmp_path, broker), "everything at the sink", within=30)
            agent.stop()
        finally:
            simulated.stop()
    reader = Reader(tmp_path / "journal")
    rows = [row for row in reader.rows("usage", (0, 0), 100_000) if row.type == "visit"]
    reader.close()
    seqs = [row.seq for row in rows]
    assert seqs == list(range(1, len(rows) + 1))
    visits = [body for body in broker.sink.of("usage").values() if body["type"] == "visit"]
    assert len(visits) == len(rows)
    assert broker.last("usage")["lifetime"]["visits"] == len(rows)
    assert broker.sink.conflicting == 0
    assert must <= len(rows) <= swiped
    assert "Traceback" not in (tmp_path / "log").read_text()


def _torment(simulated: SimulatedStation, broker: Centre, rng: random.Random, log: Path) -> tuple[int, int]:
    """Kill and restart; return how many swipes had to be accepted and how many there were."""
    must = swiped = card = 0
    down = False
    for _ in range(KILLS):
        agent = Agent(simulated.path, log)
        times = []
        until = time.monotonic() + rng.uniform(0.05, 0.8)
        while time.monotonic() < until:
            card += 1
            wire = simulated.wires["reader"]
            frame_end = wire.written + _FRAME
            simulated.simulators["door-reader"].swipe(card, stay=0)
            wait_for(partial(_said, wire, frame_end), "said")
            times.append(time.monotonic())
            if rng.random() < 0.1:
                down = _toggle(broker, down=down)
        killed = time.monotonic()
        agent.kill()
        must += sum(killed - said > SAFE_S for said in times)
        swiped += len(times)
    if down:
        _toggle(broker, down=True)
    return must, swiped


def _said(wire: PtyWire, end: int) -> bool:
    return wire.written >= end


def _toggle(broker: Centre, *, down: bool) -> bool:
    if down:
        broker.thread.start()
    else:
        broker.thread.stop(abrupt=True)
    return not down


def _all_arrived(directory: Path, broker: Centre) -> bool:
    reader = Reader(directory / "journal")
    try:
        rows = reader.rows("usage", (0, 0), 100_000)
    finally:
        reader.close()
    arrived = broker.sink.of("usage")
    total = broker.last("usage").get("lifetime", {}).get("visits")
    return len(arrived) == len(rows) and total == sum(row.type == "visit" for row in rows)
