"""The agent as its own process beside far ends that live here, so that only its own costs are measured."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge_agent.demo.station import SimulatedStation
from tests.stations import Centre, centre

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def surroundings(directory: Path, text: str, page: str = "127.0.0.1:8080") -> Iterator[tuple[SimulatedStation, Centre]]:
    """Run the far ends of a station file and a broker with a sink; the station is `directory/station.toml`."""
    with tempfile.TemporaryDirectory(prefix="edge-agent-", dir="/dev/shm") as ports, centre() as broker:
        text = text.replace("/dev/serial/by-id", ports)
        simulated = SimulatedStation(
            directory, broker=f"127.0.0.1:{broker.thread.port}", page=page, text=text, ports=Path(ports)
        )
        simulated.start()
        try:
            yield simulated, broker
        finally:
            simulated.stop()


@contextlib.contextmanager
def agent(simulated: SimulatedStation) -> Iterator[subprocess.Popen[bytes]]:
    """Run `edge-agent run` on the station file."""
    with (simulated.directory / "log").open("ab") as log:
        command = [sys.executable, "-m", "edge_agent", "run", str(simulated.path)]
        process = subprocess.Popen(command, stderr=log, cwd=ROOT, env=dict(os.environ))
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def rest(seconds: float, process: subprocess.Popen[bytes]) -> None:
    """Let the agent work for a while; it must not end meanwhile."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, deadline - time.monotonic()))
    assert process.poll() is None
