"""A real recorder, journal and uplink that a test steps by hand, and the embedded broker at the other end."""

import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from time import monotonic
from typing import Any, Self
from zoneinfo import ZoneInfo

from edge_agent.clock import FakeClock
from edge_agent.commands import Gate
from edge_agent.demo.broker import Behaviour, Broker
from edge_agent.demo.broker import Message as Seen
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.mqtt_properties import Properties
from edge_agent.journal.open import open_journal
from edge_agent.journal.reader import Reader
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.recorder.recorder import Recorder
from edge_agent.recorder.recorder import Settings as RecorderSettings
from edge_agent.records import Alarm, Event, Reading, Record
from edge_agent.uplink.backoff import Pauses
from edge_agent.uplink.clerk import Clerk
from edge_agent.uplink.connection import Broker as Address
from edge_agent.uplink.connection import Connection
from edge_agent.uplink.connection import Message as Sent
from edge_agent.uplink.inbox import Inbox
from edge_agent.uplink.paho_connection import PahoConnection
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink import Settings, Uplink

DEADLINE_S = 10.0
TOPICS = Topics("stations", "east", "d1", "s1")
BASE = "stations/v1/east/d1/s1"


class Store:
    """A journal with its recorder; `restart` is what a new process sees."""

    def __init__(self, directory: Path, clock: FakeClock | None = None) -> None:
        self.directory = directory / "journal"
        self.clock = clock or FakeClock()
        self.picture = Picture()
        self._open()

    def _open(self) -> None:
        self.journal = open_journal(self.directory, self.clock.boot_id).journal
        calendar = Calendar(ZoneInfo("Asia/Shanghai"), time())
        settings = RecorderSettings(calendar, min_interval=0.0)
        self.recorder = Recorder(self.journal, self.clock, settings, self.picture)

    def restart(self) -> None:
        """End this process and begin another."""
        self.close()
        self.picture = Picture()
        self._open()

    def close(self) -> None:
        """End orderly."""
        self.recorder.flush()
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reader(self) -> Reader:
        """Look into the journal."""
        return Reader(self.directory)

    def record(self, device: str, *records: Record) -> None:
        """Accept records at once."""
        self.recorder.submit(device, records)
        self.recorder.flush()

    def visits(self, count: int, device: str = "door") -> None:
        """Accept that many visits."""
        self.record(device, *[Event("visit", {"n": n}) for n in range(count)])

    def samples(self, count: int, device: str = "room") -> None:
        """Accept that many different temperatures."""
        for n in range(count):
            self.recorder.submit(device, [Reading("temperature_c", 20 + n / 10 + self.clock.monotonic())])
            self.clock.advance(0.001)
        self.recorder.flush()

    def alarm(self, code: str, *, active: bool = True, device: str = "room") -> None:
        """Accept that an alarm was raised or cleared."""
        self.record(device, Alarm(code, active=active))

    def alarms(self) -> list[tuple[str, str]]:
        """Return (code, raised or cleared) of every alarm record so far."""
        self.recorder.flush()
        reader = self.reader()
        try:
            return [(row.type, json.loads(row.body)["state"]) for row in reader.all_rows() if row.stream == "alarm"]
        finally:
            reader.close()


@dataclass
class Rig:
    """An uplink to an embedded broker, stepped with a fake clock; the sockets are real."""

    store: Store
    broker: BrokerThread
    messages: list[Seen]
    settings: Settings
    address: Address
    connections: list[Connection] = field(default_factory=list)
    connect: Callable[[Sent], Connection] | None = None
    recording: bool = False
    commanding: bool = False

    def __post_init__(self) -> None:
        self.uplink = self._make()

    @classmethod
    def of(cls, directory: Path, behaviour: Behaviour | None = None, **settings: Any) -> "Rig":
        """Make one; `settings` are the uplink's."""
        messages: list[Seen] = []
        broker = BrokerThread(Broker(behaviour=behaviour, on_publish=messages.append))
        broker.start()
        chosen = Settings(TOPICS, lambda: {"station": "s1"}, "test", pace=0, pauses=Pauses(1.0, 1.0))
        address = Address("127.0.0.1", broker.port, "s1")
        return cls(Store(directory), broker, messages, replace(chosen, **settings), address)

    def _make(self) -> Uplink:
        store = self.store
        self.gate = Gate(store.recorder, store.clock, ("journal/*", "lockers/*"), {})
        self.inbox = Inbox(self.settings.topics, self.gate, store.clock)
        uplink = Uplink(
            self.settings,
            reader=store.reader,
            connect=self.connect or self._connect,
            sink=store.recorder,
            gate=self.gate,
            inbox=self.inbox,
            picture=store.picture,
            clock=store.clock,
            rng=random.Random(1),
        )
        store.picture.subscribe(uplink.wake)
        return uplink

    def _connect(self, will: Sent) -> Connection:
        self.connections.append(PahoConnection(replace(self.address, window=self.settings.window), will))
        return self.connections[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.uplink.close()
        self.store.close()
        self.broker.stop()

    @property
    def clock(self) -> FakeClock:
        """The fake clock."""
        return self.store.clock

    def behave(self, **changes: Any) -> None:
        """Change how the broker misbehaves; without arguments it is good."""

        def change(broker: Broker) -> None:
            broker.behaviour = Behaviour(**changes)

        self.broker.call(change)

    def step(self) -> float:
        """One step without waiting for anything; both sides get their turn."""
        if not self.recording:
            self.store.recorder.step()
        if not self.commanding:
            self.inbox.step()
        self.uplink.wake()
        return self.uplink.step()

    @contextmanager
    def recorder_running(self) -> Iterator[None]:
        """Let the recorder work in its own thread: a command waits for it."""
        thread = threading.Thread(target=self.store.recorder.run, args=(lambda _deadline: None,))
        self.recording = True
        thread.start()
        try:
            yield
        finally:
            self.store.recorder.stop()
            thread.join()
            self.recording = False

    @contextmanager
    def commands_running(self) -> Iterator[None]:
        """Let commands be carried out in their own thread: one of them hangs."""
        clerk = Clerk(self.inbox, self.clock)
        thread = threading.Thread(target=clerk.run, args=(lambda _deadline: None,))
        self.commanding = True
        thread.start()
        try:
            yield
        finally:
            clerk.stop()
            thread.join()
            self.commanding = False

    def command(self, verb: str, *, reply_to: str | None = None, **body: Any) -> None:
        """Publish a command as an operator would; `id`, `by` and `ts` are filled in."""
        expiry = 30
        ts = datetime.fromtimestamp(self.clock.wall(), tz=UTC).isoformat()
        payload = json.dumps({"id": "c1", "by": "tester", "ts": ts} | body).encode()
        properties = Properties(message_expiry_interval=expiry, response_topic=reply_to, correlation_data=b"\x07")
        self.broker.call(
            lambda broker: broker.publish(
                Seen(f"{BASE}/cmd/{verb}", payload, 1, False, expiry, properties, "operator", broker.clock())
            )
        )

    def until(self, met: Callable[[], object], *, advance: float = 0.0, patient: bool = True) -> None:
        """Step until `met`, each time letting `advance` seconds of station time pass.

        `patient`: not while an answer of the broker is on its way, which takes real time.
        """
        deadline = monotonic() + DEADLINE_S
        while not met():
            assert monotonic() < deadline, f"not met: {self.link} {[m.topic for m in self.messages[-5:]]}"
            rest = self.step()
            if not (patient and self.waits):
                self.clock.advance(max(advance, rest))

    @property
    def waits(self) -> bool:
        """True while the broker owes an answer."""
        uplink = self.uplink
        opening = uplink._connection is not None and not uplink._opened
        return opening or (uplink._traffic is not None and uplink._traffic.in_flight > 0)

    def online(self) -> None:
        """Step until connected."""
        self.until(lambda: self.link.online)

    def drained(self) -> None:
        """Step until the broker has acknowledged everything and there is nothing more to say."""
        self.drained_except({})

    def drained_except(self, left: Mapping[str, int]) -> None:
        """Step until only that many records of each stream are left, and there is nothing more to say."""
        left = {"alarm": 0, "usage": 0, "tele": 0} | dict(left)
        self.until(lambda: self.link.online and self.pending == left and self._quiet(), advance=1.0)

    def _quiet(self) -> bool:
        traffic = self.uplink._traffic
        assert traffic is not None
        before = traffic.published
        self.step()
        return not traffic.in_flight and traffic.published == before

    def restart_agent(self) -> None:
        """End the agent without a word and start it again on the same journal."""
        self.uplink.close()
        self.store.restart()
        self.uplink = self._make()

    @property
    def link(self) -> Any:
        """What the page shows of the uplink."""
        return self.store.picture.view.uplink

    @property
    def pending(self) -> Mapping[str, int]:
        """Stream -> records not acknowledged; -1 as long as nothing is known."""
        return {"alarm": -1, "usage": -1, "tele": -1} | dict(self.link.pending)

    def bodies(self, part: str) -> list[dict[str, Any]]:
        """Payloads seen on topics whose rest after the base begins with `part`."""
        prefix = f"{BASE}/{part}"
        return [json.loads(m.payload) for m in list(self.messages) if m.topic.startswith(prefix) and m.payload]

    def seqs(self, part: str) -> list[int]:
        """Seqs seen, in order of arrival."""
        return [body["seq"] for body in self.bodies(part)]


def ids(bodies: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of records."""
    return [body["id"] for body in bodies]
