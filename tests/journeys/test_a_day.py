"""A day of station time in seconds: one device is dead, every seventh answer is garbled, and nothing else suffers."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import time
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import ModbusOptions
from drivers.modbus.profile import load_profile
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.clock import FakeClock
from edge_agent.driver import Site
from edge_agent.journal.open import open_journal
from edge_agent.journal.reader import Reader
from edge_agent.ledger import Calendar
from edge_agent.links.bytelink import ByteLink, Port, Timing
from edge_agent.links.hostile import Wire
from edge_agent.links.simulated import SimulatedPort
from edge_agent.picture import Picture
from edge_agent.recorder.recorder import Recorder, Settings
from edge_agent.records import Record
from edge_agent.slot import Slot
from edge_agent.worker import Worker

DAY = 86_400.0
EVERY = 10.0
TIMEOUT = 0.5
MAX_REPLY_DELAY = 0.5
"""How long a wire stays quiet after a doubtful answer, s: as long as the slowest device here may take to answer."""
RETRY = 0.2
"""Seconds a garbled answer and its repetition take at 9600 baud."""
PROFILES = {"room": ("xy-md02", 1), "aircon": ("rs-ktc-n01", 3), "shed": ("xy-md02", 4)}
DEAD = "dead"


class Garbled(Wire):
    """Every `one_in`th answer arrives with up to three bits turned over, as near to each other as a spark is short."""

    def __init__(self, port: Port, *, one_in: int, seed: int) -> None:
        super().__init__(port)
        self._one_in = one_in
        self._rng = random.Random(seed)
        self.answers = self.garbled = 0

    def read(self, within: float) -> bytes:
        """Return what came, or what is left of it."""
        data = self.port.read(within)
        if not data:
            return data
        self.answers += 1
        if self.answers % self._one_in:
            return data
        self.garbled += 1
        first = self._rng.randrange(len(data) * 8 - 16)
        spark = {first, first + self._rng.randrange(16), first + self._rng.randrange(16)}
        number = int.from_bytes(data)
        for bit in spark:
            number ^= 1 << bit
        return number.to_bytes(len(data))


@dataclass(slots=True)
class Witness:
    """Hands on what the Worker says to the Recorder, and notes when each device answered."""

    recorder: Recorder
    clock: FakeClock
    heard: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """Note and hand on."""
        self.heard[device].append(self.clock.monotonic())
        self.recorder.submit(device, records, at)

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """Hand on."""
        return self.recorder.submit_durably(device, records, state, within)

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        """Hand on."""
        self.recorder.unreachable(device, why, records)


def options(name: str) -> ModbusOptions:
    """Return the options of a device; the dead one has an address nobody answers to."""
    profile, address = PROFILES.get(name, ("xy-md02", 9))
    return ModbusOptions(profile=profile, address=address, timeout=f"{TIMEOUT}s")


def pass_a_day(worker: Worker, recorder: Recorder, clock: FakeClock, until: float) -> None:
    """Let worker and recorder do what is due, and the clock run in between."""
    recorder_due = clock.monotonic()
    while clock.monotonic() < until:
        rest = worker.step()
        if clock.monotonic() >= recorder_due:
            recorder_due = clock.monotonic() + recorder.step()
        clock.advance(max(0.001, min(rest, recorder_due - clock.monotonic())))


def test_a_day_with_a_dead_device_and_a_noisy_wire(memory: Path) -> None:
    """The neighbours' period never grows by more than one timeout, and no value is stored that no device ever had."""
    clock = FakeClock()
    opened = open_journal(memory / "journal", clock.boot_id)
    settings = Settings(Calendar(ZoneInfo("Asia/Shanghai"), time(0)), group_commit=60.0)
    recorder = Recorder(opened.journal, clock, settings, Picture())
    simulators = [ModbusSimulator(options(name), Site(), clock.monotonic) for name in PROFILES]
    wire = Garbled(SimulatedPort(simulators, clock), one_in=7, seed=7)
    witness = Witness(recorder, clock)
    slots = [Slot(name, ModbusDriver(options(name), Site()), EVERY) for name in (*PROFILES, DEAD)]
    begin = clock.monotonic()
    worker = Worker(
        ByteLink("rs485", lambda: wire, clock, Timing(max_reply_delay=MAX_REPLY_DELAY)), slots, witness, clock
    )
    pass_a_day(worker, recorder, clock, begin + DAY)
    recorder.flush()
    reader = Reader(memory / "journal")
    samples = [row for row in reader.rows("tele", (0, 0), 1_000_000) if row.type == "sample"]
    alarms = [(row.device, row.type, json.loads(row.body)["state"]) for row in reader.rows("alarm", (0, 0), 1000)]
    reader.close()
    opened.journal.close()

    assert wire.garbled > 3000
    for name in PROFILES:
        pauses = [later - earlier for earlier, later in pairwise(witness.heard[name])]
        assert max(pauses) < EVERY + TIMEOUT + RETRY * len(PROFILES), max(pauses)
        assert abs(sum(pauses) / len(pauses) - EVERY) < 0.01
        stats = worker.statistics()[name]
        assert stats.failed == 0
        assert stats.polls >= DAY / EVERY - 2
    assert alarms == [(DEAD, "device_silent", "raised")]
    # One timeout a probe, at first once a minute and then once in five minutes.
    assert worker.statistics()[DEAD].failed < 3 + 6 + DAY / 300
    assert len(samples) > 300
    for row in samples:
        for point, value in json.loads(row.body).items():
            assert true(row.device, point, value, row.mono_ms / 1000), f"{row.device} never had {point} = {value}"


def true(device: str, point: str, value: object, at: float) -> bool:
    """Tell whether the device had that value within the two polls before monotonic time `at` (s)."""
    sim = next(p.sim for p in load_profile(PROFILES[device][0]).point if p.name == point)
    for before in (0.0, EVERY / 2, EVERY, 2 * EVERY):
        had = sim.at(at - before)
        if value == had or (isinstance(value, float) and isinstance(had, float | int) and abs(value - had) < 0.06):
            return True
    return False
