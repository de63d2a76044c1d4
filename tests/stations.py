"""Small whole stations for the journeys: simulated far ends, real near ends, a broker with a sink."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from edge_agent.demo.broker import Broker, Message
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.mqtt_properties import Properties
from edge_agent.demo.sink import Sink
from edge_agent.demo.station import SimulatedStation, TrustedClock
from edge_agent.station import Station

ROOT = Path(__file__).parents[1]
BASE = "stations/v1/north/d1/test-001"

HEAD = """
[station]
id = "test-001"
name = { zh = "测试驿站", en = "Test station" }
region = "north"
district = "d1"

[cards]
key_file = "DIRECTORY/card-key"
double_swipe = "1s"

[uplink]
broker = "mqtt://BROKER"
reconnect = { first = "50ms", ceiling = "200ms" }
pace = 0

[journal]
dir = "DIRECTORY/journal"
group_commit = "1s"

[telemetry]
min_interval = "100ms"
heartbeat = "5s"

[page]
enabled = false
listen = "PAGE"
"""

READER = """
[[link]]
name = "reader"
kind = "serial"
port = "/dev/serial/by-id/reader"

[[device]]
name = "door-reader"
link = "reader"
driver = "card_uart"
"""

ROOM = """
[[link]]
name = "rs485"
kind = "serial"
port = "/dev/serial/by-id/rs485"
max_reply_delay = "300ms"

[[device]]
name = "room"
link = "rs485"
driver = "modbus"
profile = "xy-md02"
address = 1
timeout = "100ms"
every = "100ms"
"""

AIRCON = """
[[device]]
name = "aircon"
link = "rs485"
driver = "modbus"
profile = "rs-ktc-n01"
address = 3
timeout = "100ms"
every = "100ms"
"""


def wait_for(condition: Callable[[], Any], what: str, *, within: float = 10.0) -> Any:
    """Return the first true value of `condition`; fails with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    look = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        look.wait(0.005)


@dataclass(slots=True)
class Centre:
    """A broker that remembers: the sink has every record, `arrivals` its monotonic time by id."""

    sink: Sink = field(default_factory=Sink)
    arrivals: dict[str, float] = field(default_factory=dict)
    thread: BrokerThread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = BrokerThread(Broker("127.0.0.1", 0, on_publish=self._take))

    def _take(self, message: Message) -> None:
        now = time.monotonic()
        before = len(self.sink.records)
        self.sink.take(message.topic, message.payload)
        if len(self.sink.records) > before:
            self.arrivals[next(reversed(self.sink.records))] = now

    def command(self, verb: str, name: str, **args: Any) -> None:
        """Publish a command with the id `name`, as an operator would."""
        body = {"id": name, "by": "tester", "ts": datetime.now(UTC).isoformat()} | args
        topic, payload = f"{BASE}/cmd/{verb}", json.dumps(body).encode()
        properties = Properties(message_expiry_interval=30)
        self.thread.call(
            lambda it: it.publish(Message(topic, payload, 1, False, 30, properties, "operator", it.clock()))
        )

    def last(self, leaf: str) -> Any:
        """Return the newest payload of `<base>/leaf`."""
        return self.sink.last.get(f"{BASE}/{leaf}", {})


@contextlib.contextmanager
def centre() -> Iterator[Centre]:
    """Run a broker with a sink."""
    it = Centre()
    with it.thread:
        yield it


@contextlib.contextmanager
def far_ends(directory: Path, text: str, port: int, ports: Path | None = None) -> Iterator[SimulatedStation]:
    """Run the simulators of a station file, with real ports below `ports` where the agent is another process."""
    if ports is not None:
        text = text.replace("/dev/serial/by-id", str(ports))
    simulated = SimulatedStation(directory, broker=f"127.0.0.1:{port}", page="127.0.0.1:8080", text=text, ports=ports)
    simulated.start()
    try:
        yield simulated
    finally:
        simulated.stop()


@contextlib.contextmanager
def running(simulated: SimulatedStation) -> Iterator[Station]:
    """Run the agent in this process."""
    with Station(simulated.config, clock=TrustedClock(), make=simulated.make) as station:
        yield station


class Agent:
    """`edge-agent run` as systemd starts it; returns when it has said READY. As a context, it never outlives a test."""

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
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except BaseException as error:
                self.kill()
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise AssertionError(f"the agent did not get ready, it said last:\n{said}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """As a power cut ends it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """As systemd ends it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


@contextlib.contextmanager
def mosquitto(directory: Path, extra: str = "allow_anonymous true\n") -> Iterator[int]:
    """Run Debian's mosquitto on a free loopback port; `extra` is added to its configuration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = directory / "mosquitto.conf"
    path.write_text(f"listener {port} 127.0.0.1\n{extra}")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    process = subprocess.Popen([program, "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(port), "mosquitto listens")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
