"""A full RS-485 pair: 12 batteries, 2 lock boards and 4 sensors at 9600 baud, the wire's time emulated on a fake clock.

The bare limit is what physics takes: every byte on the wire at 10 bits, and the devices' own time to answer. What the
agent adds are the pauses between frames and whatever it waits for without need.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.clock import FakeClock
from edge_agent.driver import DriverClass, Record, Simulator, Site, load_driver
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.serial import SerialSettings, timing_for
from edge_agent.links.simulated import SimulatedPort
from edge_agent.slot import Slot
from edge_agent.worker import Worker

LINE = SerialSettings("/dev/ttyEMULATED")
ANSWER_S = 0.015
"""Seconds a device takes before it answers."""
CYCLES = 20
MOST = 1.15
"""A poll cycle may take so many times the bare limit."""


@dataclass
class Sink:
    """Counts what the Worker hears."""

    heard: Counter[str] = field(default_factory=Counter)

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Count."""
        del at
        self.heard[device] += any(True for _ in records)

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """See Sink; nobody orders anything here."""
        raise AssertionError(f"{device} wants something to be durable")

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """Nothing: only good answers count here."""


@dataclass
class Pair:
    """The pair with its Worker; `dead` names devices that do not answer."""

    dead: frozenset[str] = frozenset()
    every: float = 0.05
    clock: FakeClock = field(default_factory=FakeClock)
    sink: Sink = field(default_factory=Sink)
    asked: list[tuple[float, bytes]] = field(default_factory=list)
    received: int = 0
    answers: int = 0
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        slots: list[Slot] = []
        simulators: list[Simulator] = []
        for name, driver, keys in devices():
            kind: DriverClass = load_driver(driver)
            options = kind.Options.model_validate(keys)
            slots.append(Slot(name, kind(options, Site()), self.every))
            if name not in self.dead:
                simulators.append(kind.Simulator(options, Site()))
        port = SimulatedPort(simulators, self.clock, char=LINE.character, delay=ANSWER_S)
        link = ByteLink("pair", lambda: port, self.clock, timing_for(LINE))
        link.tap = self._tap
        self.worker = Worker(link, slots, self.sink, self.clock)

    def _tap(self, direction: str, data: bytes) -> None:
        if direction == ">":
            self.asked.append((self.clock.monotonic(), data))
        else:
            self.received += len(data)
            self.answers += 1

    def limit(self) -> float:
        """Seconds that the bytes and the devices alone have taken so far."""
        sent = sum(len(data) for _, data in self.asked)
        return (sent + self.received) * LINE.character + self.answers * ANSWER_S

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()
        self.received = self.answers = 0

    def run(self, seconds: float) -> None:
        """Let the Worker work for so long on the fake clock."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.advance(self.worker.step())


def devices() -> Iterable[tuple[str, str, dict[str, object]]]:
    """Yield name, driver and options of every device on the pair."""
    for slot in range(1, 13):
        yield f"battery-{slot:02}", "bms", {"framing": "up", "address": slot}
    for board in (1, 2):
        yield f"locks-{board}", "lockboard", {"address": board}
    for sensor in range(1, 5):
        yield f"climate-{sensor}", "modbus", {"profile": "xy-md02", "address": 100 + sensor}


def cycle() -> tuple[float, float]:
    """Return what one poll of all devices takes, and the bare limit of it, in seconds."""
    pair = Pair()
    pair.worker.step()
    pair.clock.advance(1.0)
    pair.forget()
    begun = pair.clock.monotonic()
    for _ in range(CYCLES):
        pair.worker.step()
        pair.clock.advance(pair.every)
    return (pair.clock.monotonic() - begun) / CYCLES - pair.every, pair.limit() / CYCLES


def run(_directory: Path) -> dict[str, object]:
    """Measure on the fake clock: nothing here depends on the machine."""
    took, limit = cycle()
    return {
        "devices": sum(1 for _ in devices()),
        "poll cycle, s": round(took, 3),
        "wire and devices alone, s": round(limit, 3),
        "ratio (at most 1.15)": round(took / limit, 3),
    }
