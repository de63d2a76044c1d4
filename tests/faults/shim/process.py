"""A station whose agent is a process under the shim; its far ends and its broker live in the test."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from edge_agent.demo.station import SimulatedStation
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from tests.faults.shim.shim import Faults
from tests.faults.told import AlarmSink
from tests.stations import HEAD, READER, ROOM, Centre, centre, wait_for

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0


class Agent:
    """One life of the agent; `view` is its newest picture."""

    def __init__(self, station_file: Path, environment: dict[str, str], log: Path) -> None:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"\0edge-agent-test-{os.getpid()}-{time.monotonic_ns()}"
        self._notify.bind(address)
        self._notify.settimeout(PATIENCE)
        self.signs: list[float] = []
        """Monotonic times of the signs of life that systemd would have got."""
        self.view: dict[str, Any] = {}
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("agent.py")), str(station_file)],
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                env=environment
                | {"PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": f"@{address[1:]}", "WATCHDOG_USEC": "2000000"},
            )
        while b"READY=1" not in self._notify.recv(4096):
            pass
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._hear)]
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.view, "first picture", within=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._end()

    def kill(self) -> None:
        """As a power cut ends it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        """As systemd ends it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.view = json.loads(line)

    def _hear(self) -> None:
        while message := self._next():
            if b"WATCHDOG=1" in message:
                self.signs.append(time.monotonic())

    def _next(self) -> bytes:
        while True:
            with contextlib.suppress(TimeoutError):
                return self._notify.recv(4096)

    def _end(self) -> None:
        self._notify.sendto(b"", self._notify.getsockname())
        for thread in self._threads:
            thread.join(PATIENCE)
        self._notify.close()
        assert self.process.stdout
        self.process.stdout.close()


@dataclass(slots=True)
class Ground:
    """What surrounds the agent of a fault test."""

    directory: Path
    simulated: SimulatedStation
    broker: Centre
    told: AlarmSink
    faults: Faults
    polls: list[float] = field(default_factory=list)
    """Monotonic times at which the room's sensor was asked."""
    cards: int = 0

    @property
    def log(self) -> Path:
        """What the agent says to the system's journal."""
        return self.directory / "log"

    def agent(self) -> Agent:
        """Start the agent; returns when it is ready."""
        return Agent(self.simulated.path, self.faults.environment, self.log)

    def swipe(self, times: int = 1) -> None:
        """Let that many people come in, each with a card of their own."""
        wire = self.simulated.wires["reader"]
        for _ in range(times):
            self.cards += 1
            self.simulated.simulators["door-reader"].swipe(self.cards, stay=0)
        wait_for(lambda: wire.written >= 14 * self.cards, "swipes on the wire")

    def visits_at_sink(self) -> int:
        """Return how many visits have arrived, each id once."""
        return sum(body["type"] == "visit" for body in self.broker.sink.of("usage").values())

    def longest_pause(self, since: float) -> float:
        """Return the longest time the sensor was left alone since a monotonic time, s."""
        times = [since, *(at for at in self.polls if at > since), time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(times))

    def rows(self) -> list[Row]:
        """Return the usage rows of the journal, and see that no seq is missing."""
        reader = Reader(self.simulated.config.journal.dir)
        try:
            rows = reader.rows("usage", (0, 0), 100_000)
        finally:
            reader.close()
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        return rows

    def _told_total(self) -> int | None:
        total: int | None = self.broker.last("usage").get("lifetime", {}).get("visits")
        return total

    def settle_with_one_more(self, agent: Agent) -> None:
        """Let one more come in after a kill, whatever of the last commit had happened, and see that all agrees."""
        kept = sum(row.type == "visit" for row in self.rows())
        self.swipe()
        wait_for(lambda: agent.view.get("visits") == kept + 1, "new visit", within=PATIENCE)
        self.settle(kept + 1)

    def settle(self, visits: int) -> None:
        """Wait until all is told, and see that journal, totals and sink agree on `visits`."""
        wait_for(lambda: self.visits_at_sink() >= visits, f"{visits} visits at the sink", within=PATIENCE)
        wait_for(lambda: self._told_total() == visits, f"totals of {visits}", within=PATIENCE)
        assert self.visits_at_sink() == visits
        assert sum(row.type == "visit" for row in self.rows()) == visits
        assert self.broker.sink.conflicting == 0


@contextlib.contextmanager
def ground(shim: Path, directory: Path, *, journal: Path | None = None) -> Iterator[Ground]:
    """Build a station with a card reader and a sensor around an agent that is still to be started."""
    with tempfile.TemporaryDirectory(prefix="edge-agent-", dir="/dev/shm") as ports, centre() as broker:
        told = broker.sink = AlarmSink()
        text = (HEAD + READER + ROOM).replace("/dev/serial/by-id", ports)
        text = text.replace("DIRECTORY/journal", str(journal or directory / "journal"))
        simulated = SimulatedStation(
            directory, broker=f"127.0.0.1:{broker.thread.port}", page="127.0.0.1:8080", text=text, ports=Path(ports)
        )
        with Faults(shim, journal or directory / "journal", directory / "control") as faults:
            it = Ground(directory, simulated, broker, told, faults)
            room = simulated.simulators["room"]
            answer = room.answer

            def asked(request: bytes) -> bytes:
                it.polls.append(time.monotonic())
                found: bytes = answer(request)
                return found

            room.answer = asked
            simulated.start()
            try:
                yield it
            finally:
                simulated.stop()
