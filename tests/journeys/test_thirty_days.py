"""Thirty days of a whole station in a minute, half of them without the broker, one power cut: every total is exact."""

import contextlib
import faulthandler
import json
import math
import random
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.clock import Clock, FakeClock
from edge_agent.config.file import load
from edge_agent.config.links import Link as LinkConfig
from edge_agent.demo.broker import Broker as Demo
from edge_agent.demo.broker import Message as Seen
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.cabinet_model import Battery, CabinetModel
from edge_agent.driver import Edge, Site, load_driver
from edge_agent.journal.reader import Reader
from edge_agent.journal.schema import STREAMS
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.edges import EdgeLink, SimulatedLines
from edge_agent.links.owned import OwnedLink
from edge_agent.links.simulated import SimulatedPort
from edge_agent.station import Station
from edge_agent.worker import Worker

DAYS = 30
DAY_S = 86_400
OUTAGE = (6.4, 21.4)
"""The broker is away from day to day: fifteen days."""
POWER_CUT = 13.0
PATIENCE_S = 60.0
TICK_S = 60.0
"""Station time between two looks, unless somebody comes."""
URGENT_S = 1.0
"""A Worker that rests less has something in hand, and is not made to wait for the others."""
ZONE = ZoneInfo("Asia/Shanghai")
FIRST_DAY = date(2026, 10, 20)
SLOTS = 2
FIRST_LINE = 5
VISITS_A_DAY = 19
SWAPS_A_DAY = 4
DOOR_OPEN_S = 90.0
PEAKS = [6, 5, 3, 2, 1, 1, 1, 1, 2, 2, 2, 3, 5, 4, 3, 2, 2, 2, 3, 3, 4, 6, 8, 8]
"""How likely a visit is in each hour of the day: people rest at noon and at night."""

STATION = f"""
[station]
id = "test-001"
name = {{ zh = "测试驿站", en = "Test station" }}
region = "north"
district = "d1"
timezone = "{ZONE}"

[cards]
key_file = "DIRECTORY/card-key"

[uplink]
broker = "mqtt://127.0.0.1:PORT"

[journal]
dir = "DIRECTORY/journal"
group_commit = "1m"

[page]
enabled = false

[[link]]
name = "reader"
kind = "serial"
port = "/dev/serial/by-id/reader"

[[link]]
name = "climate"
kind = "serial"
port = "/dev/serial/by-id/climate"

[[link]]
name = "doors"
kind = "gpiod"
chip = "simulated"

[[link]]
name = "cabinet-bus"
kind = "serial"
port = "/dev/serial/by-id/cabinet"

[[device]]
name = "door-reader"
link = "reader"
driver = "card_uart"

[[device]]
name = "room"
link = "climate"
driver = "modbus"
profile = "xy-md02"
address = 1
every = "5m"

[[device]]
name = "aircon"
link = "climate"
driver = "modbus"
profile = "rs-ktc-n01"
address = 3
every = "5m"

[[device]]
name = "contacts"
link = "doors"
driver = "contacts"
inputs = [
    {{ name = "door_01", role = "door", active = "open", line = {FIRST_LINE} }},
    {{ name = "door_02", role = "door", active = "open", line = {FIRST_LINE + 1} }},
]

[[device]]
name = "battery-{{n:02}}"
repeat = {SLOTS}
link = "cabinet-bus"
driver = "bms"
framing = "up"
address = "{{n}}"
timeout = "200ms"
every = "5m"
may_be_absent = true

[[cabinet]]
name = "cabinet"
slots = {SLOTS}
doors = "contacts.door_{{slot:02}}"
batteries = "battery-{{slot:02}}"
swap_window = "15m"
"""
"""Heartbeats, dead-bands, pace, window and pauses as shipped. Devices are asked at the heartbeat only, for the sake of
the test's time, so it takes up to ten minutes to see that a battery has gone."""


@dataclass(slots=True)
class Truth:
    """What happened, by business day, name and hour."""

    hours: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    burnt: int = 0
    """Batteries that became hot, each until it was taken."""

    def note(self, name: str, wall: float) -> None:
        """Something happened at `wall` (Unix seconds)."""
        local = datetime.fromtimestamp(wall, tz=ZONE)
        self.hours[str(local.date()), name, local.hour] += 1

    def total(self, day: str | None = None) -> dict[str, int]:
        """Return name -> count of one day, or of all."""
        totals: Counter[str] = Counter()
        for (on, name, _), count in self.hours.items():
            totals[name] += count if day in {None, on} else 0
        return {name: count for name, count in totals.items() if count}

    def of_hours(self, day: str) -> dict[str, list[int]]:
        """Return name -> 24 counts of one day."""
        return {name: [self.hours[day, name, hour] for hour in range(24)] for name in self.total(day)}


@dataclass(slots=True)
class Arrivals:
    """What the broker was given, without the bodies of telemetry: they would fill the memory."""

    seqs: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """(epoch, stream) -> seqs."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Usage events and alarms by id."""
    ledger: dict[str, Any] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    _contents: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def take(self, message: Seen) -> None:
        """Note one message, as the consumer at the centre does; one without a body takes a retained one back."""
        if not message.payload:
            return
        body = json.loads(message.payload)
        leaf = message.topic.split("/")[5]
        if leaf == "usage":
            self.ledger = body
        if leaf == "gap":
            self.gaps.append(body)
        for sample in body.get("samples", ()):
            self._note(body["epoch"], "tele", sample)
        if "id" in body:
            self._note(body["epoch"], body["id"].split("/")[2], body)
            self.records[body["id"]] = body | {"topic": message.topic}

    def _note(self, epoch: str, stream: str, content: dict[str, Any]) -> None:
        self.seqs[epoch, stream].add(content["seq"])
        name = (epoch, stream, content["seq"])
        mark = hash(json.dumps({key: value for key, value in content.items() if key not in {"late", "ts", "clock"}}))
        if self._contents.setdefault(name, mark) != mark:
            self.conflicts.append(f"{name}: {content}")


@dataclass(slots=True)
class Turn:
    """A Worker and when it wants to be stepped, in monotonic seconds; `urgent` if at once and not with the others."""

    worker: Worker
    due: float = 0.0
    urgent: bool = False


class Agent:
    """The agent from one power-up to the next, every thread's work done in turn by one."""

    def __init__(self, path: Path, clock: FakeClock, wires: dict[str, SimulatedPort | SimulatedLines]) -> None:
        def make(link: LinkConfig, clock: Clock) -> OwnedLink:
            wire = wires[link.name]
            return (
                EdgeLink(link.name, wire, clock)
                if isinstance(wire, SimulatedLines)
                else ByteLink(link.name, lambda: wire, clock)
            )

        config = load(path).config
        self.clock = clock
        self.station = station = Station(config, clock=clock, make=make)
        self.recorder = station.recorder
        self.recorder.poll_now = self._poll_now
        self.turns = {link.name: Turn(station.build_worker(link)) for link in config.link}
        self._changed = False
        self._uplink_due = 0.0
        station.picture.subscribe(self._on_change)
        self.uplink = station.build_uplink(random.Random(30))

    def _on_change(self) -> None:
        self._changed = True

    def _poll_now(self, device: str) -> None:
        for turn in self.turns.values():
            if device in turn.worker.statistics():
                turn.worker.poll_now(device)
                turn.due = self.clock.monotonic()

    def work(self, doors: "Doors") -> float:
        """Do all that is due now; return the seconds until something else is."""
        if doors.moved:
            doors.moved = False
            self.hear("doors")
        while True:
            for turn in self.turns.values():
                if turn.due <= self.clock.monotonic():
                    rest = turn.worker.step()
                    turn.due = self.clock.monotonic() + rest
                    turn.urgent = rest < URGENT_S
            rest = self.recorder.step()
            if all(turn.due > self.clock.monotonic() for turn in self.turns.values()):
                break
        self._send()
        now = self.clock.monotonic()
        at = min(turn.due for turn in self.turns.values())
        urgent = min((turn.due for turn in self.turns.values() if turn.urgent), default=math.inf)
        return min(urgent - now, max(TICK_S, min(rest, self._uplink_due - now, at - now)))

    def hear(self, link: str) -> None:
        """Bytes have arrived unasked."""
        self.turns[link].due = self.clock.monotonic()

    def _send(self) -> None:
        """Let the uplink work; the clock stands still as long as the broker owes an answer."""
        woken = self._changed and self.station.picture.view.uplink.online
        if not woken and self.clock.monotonic() < self._uplink_due:
            return
        while True:
            self._changed = False
            # Without an answer to wait for, `pump` is not to wait in real time for what only the fake clock brings.
            self.uplink.wake()
            rest = self.uplink.step()
            while self.owed:
                self.uplink.step()
            link = self.station.picture.view.uplink
            if rest > 0 or (link.online and not self._changed):
                break
        backlog = link.online and any(link.pending.values())
        self._uplink_due = self.clock.monotonic() + (rest or (1.0 if backlog else 600.0))

    @property
    def owed(self) -> bool:
        """True while the broker owes an answer."""
        uplink = self.uplink
        if uplink._connection is None:
            return False
        return not uplink._opened or (uplink._traffic is not None and uplink._traffic.in_flight > 0)

    def deliver(self) -> None:
        """Poll nothing more, and work until the broker has everything."""
        deadline = time.monotonic() + PATIENCE_S
        self.recorder.flush()
        link = self.station.picture.view.uplink
        before = None
        # What is shown of the uplink is brought up to date once a second.
        while link != before or not link.online or any(link.pending.values()):
            assert time.monotonic() < deadline, link
            before = link
            self.clock.advance(60.0)
            self._send()
            link = self.station.picture.view.uplink

    def end(self) -> None:
        """Lose power: nothing is flushed, nobody says good-bye."""
        self.uplink.close()
        self.station.stop()


class Doors:
    """The cabinet's doors, each with a contact that opens with it: a high line."""

    def __init__(self, lines: SimulatedLines, clock: FakeClock) -> None:
        self._lines = lines
        self._clock = clock
        self.moved = True
        for slot in range(1, SLOTS + 1):
            self.close_door(slot)

    def open_door(self, lock: int) -> None:
        self._move(lock, high=True)

    def close_door(self, lock: int) -> None:
        self._move(lock, high=False)

    def _move(self, lock: int, *, high: bool) -> None:
        self._lines.push([Edge(FIRST_LINE + lock - 1, high=high, at=self._clock.monotonic())])
        self.moved = True


class People:
    """Visitors and riders of thirty days, planned beforehand; seeded."""

    def __init__(self, begin: float, simulators: dict[str, Any], doors: Doors, truth: Truth) -> None:
        self._rng = random.Random(4)
        self._truth = truth
        self._reader = simulators["door-reader"]
        bays = [simulators[f"battery-{slot:02}"] for slot in range(1, SLOTS + 1)]
        stock = [Battery(f"SN{slot:06}", 100.0) for slot in range(1, SLOTS)]
        self.cabinet = CabinetModel(doors, bays, [*stock, None], door_open_s=DOOR_OPEN_S)
        self._batteries = len(stock)
        self.plan: list[tuple[float, str]] = sorted(
            errand for day in range(DAYS) for errand in self._day(begin + day * 86_400)
        )

    def _day(self, midnight: float) -> Iterator[tuple[float, str]]:
        """Yield the errands of a day: (Unix seconds, what)."""
        hours = self._rng.choices(range(24), PEAKS, k=VISITS_A_DAY - 2)
        # The last and the first seconds of a day belong to different days.
        minutes = self._rng.sample(range(1, 59), k=len(hours))
        yield midnight + 4, "visit"
        yield midnight + 86_395, "visit"
        for hour, minute in zip(hours, minutes, strict=True):
            moment = midnight + hour * 3600 + minute * 60 + self._rng.uniform(0, 40)
            yield moment, "visit"
            if self._rng.random() < 0.1:
                yield moment + 5, "again"
        hours = self._rng.sample(range(1, 23), k=SWAPS_A_DAY)
        yield midnight + hours[0] * 3600, "burn"
        for hour in hours:
            yield midnight + hour * 3600 + 1000, "bring"
            yield midnight + hour * 3600 + 1040, "take"

    def act(self, what: str, wall: float) -> None:
        """Do one errand at `wall` (Unix seconds)."""
        full = [slot for slot in range(1, SLOTS + 1) if self.cabinet.battery(slot)]
        if what == "visit":
            self._card = self._rng.randrange(1, 1 << 32)
            self._truth.note("visits", wall)
        if what in {"visit", "again"}:
            self._reader.swipe(self._card)
        elif what == "burn":
            self.cabinet.overheat(full[0])
            self._truth.burnt += 1
        elif what == "bring":
            self._slot = next(slot for slot in range(1, SLOTS + 1) if slot not in full)
            self._batteries += 1
            self.cabinet.return_(self._slot, Battery(f"SN{self._batteries:06}", 20.0))
            self._truth.note("door_openings", wall)
            self._truth.note("batteries_in", wall)
        else:
            self.cabinet.take(next(slot for slot in full if slot != self._slot))
            self._truth.note("door_openings", wall)
            self._truth.note("batteries_out", wall)
            self._truth.note("swaps", wall)


def test_thirty_days_with_fifteen_of_them_offline(memory: Path) -> None:
    """Ledger, closed days and what is at the centre agree with what happened, to the last visit."""
    # More than a minute is no hang here.
    faulthandler.cancel_dump_traceback_later()
    arrivals, truth = Arrivals(), Truth()
    with BrokerThread(Demo("127.0.0.1", _port(), on_publish=arrivals.take)) as broker:
        path = _installed(memory, broker.port)
        begin = datetime.combine(FIRST_DAY, datetime.min.time(), ZONE).timestamp()
        clock = FakeClock(wall=begin)
        config = load(path).config
        simulators = {d.name: load_driver(d.driver).Simulator(d.options, Site()) for d in config.device}
        lines = SimulatedLines(clock)
        wires: dict[str, SimulatedPort | SimulatedLines] = {
            link.name: SimulatedPort([simulators[d.name] for d in config.device if d.link == link.name], clock)
            for link in config.link
        } | {"doors": lines}
        doors = Doors(lines, clock)
        people = People(begin, simulators, doors, truth)
        agent = Agent(path, clock, wires)
        events = [(begin + OUTAGE[0] * 86_400, "broker goes"), (begin + OUTAGE[1] * 86_400, "broker is back")]
        events += [(begin + POWER_CUT * 86_400 + 7, "power cut"), (begin + DAYS * 86_400 + 60, "end")]
        for at, what in sorted(people.plan + events):
            while (left := at - clock.wall()) > 0:
                before = clock.wall()
                clock.advance(min(left, agent.work(doors)))
                people.cabinet.advance(clock.wall() - before)
            if what == "broker goes":
                broker.stop(abrupt=True)
            elif what == "broker is back":
                broker.start()
            elif what == "power cut":
                agent.end()
                clock.reboot("00000000-0000-4000-8000-000000000002")
                agent = Agent(path, clock, wires)
            elif what != "end":
                people.act(what, clock.wall())
                agent.hear("reader")
        agent.deliver()
        agent.end()
    _check_ledger(arrivals, truth)
    _check_days(arrivals, truth)
    _check_complete(memory / "journal", arrivals)


def _port() -> int:
    """Return a free port that no outgoing connection gets: an attempt to reach it when closed could meet itself."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(lowest // 2, lowest)))
            return int(probe.getsockname()[1])


def _installed(directory: Path, port: int) -> Path:
    key = directory / "card-key"
    key.touch(mode=0o600)
    key.write_text("5a" * 32, encoding="ascii")
    path = directory / "station.toml"
    path.write_text(STATION.replace("DIRECTORY", str(directory)).replace("PORT", str(port)), encoding="utf-8")
    return path


def _check_ledger(arrivals: Arrivals, truth: Truth) -> None:
    """The retained totals are the truth, and nothing was left without a date."""
    lifetime = dict(arrivals.ledger["lifetime"])
    lifetime.pop("epoch")
    # How long nothing was charged depends on when it was looked; what is told of it is tested with its rule.
    assert lifetime["no_charged_s"] > 0
    # The last look was less than a minute before the end.
    assert DAYS * DAY_S - 60 <= lifetime["agent_up_s"] + lifetime["agent_down_s"] <= DAYS * DAY_S
    assert (lifetime.pop("outages"), lifetime.pop("uplink_outages")) == (1, 1)
    assert _witnessed(lifetime) == truth.total()
    assert arrivals.ledger["undated"] == {}


def _check_days(arrivals: Arrivals, truth: Truth) -> None:
    """Each business day was closed once, with its totals by hour, and the single records say the same."""
    closed = [body for body in arrivals.records.values() if body.get("type") == "day_closed"]
    days = [str(FIRST_DAY + timedelta(days=day)) for day in range(DAYS)]
    assert sorted(body["day"] for body in closed) == days
    for body in closed:
        # Midnight lies within a whole second of the monotonic clock, which goes to one day or the other.
        assert abs(body["totals"]["agent_up_s"] + body["totals"].get("agent_down_s", 0) - DAY_S) <= 1
        for part, really in (("totals", truth.total), ("hours", truth.of_hours)):
            assert _witnessed(body[part]) == really(body["day"])
    told = Truth()
    names = {
        "visit": "visits",
        "battery_in": "batteries_in",
        "battery_out": "batteries_out",
        "swap": "swaps",
        "door_opened": "door_openings",
    }
    for body in arrivals.records.values():
        if body.get("type") in names:
            told.note(names[body["type"]], datetime.fromisoformat(body["ts"]).timestamp())
    assert told.hours == truth.hours
    hot = [body for body in arrivals.records.values() if body["topic"].endswith("/battery_over_temp")]
    alarms = Counter(body["state"] for body in hot)
    assert alarms == {"raised": truth.burnt, "cleared": truth.burnt}


def _witnessed(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures without seconds, and without what the station tells of itself."""
    return {name: one for name, one in figures.items() if not name.endswith("_s") and not name.endswith("outages")}


def _check_complete(journal: Path, arrivals: Arrivals) -> None:
    """Every seq that was given out is at the centre or declared lost, and none has two contents."""
    reader = Reader(journal)
    epochs = reader.epochs()
    last = {(name, stream): reader.last_of(stream, number) for number, name in epochs.items() for stream in STREAMS}
    reader.close()
    assert len(epochs) == 1
    lost: dict[tuple[str, str], set[int]] = defaultdict(set)
    for gap in arrivals.gaps:
        lost[gap.get("of_epoch", gap["epoch"]), gap["stream"]] |= set(range(gap["from_seq"], gap["to_seq"] + 1))
    for key, newest in last.items():
        assert arrivals.seqs[key] | lost[key] == set(range(1, newest + 1)), key
    assert arrivals.conflicts == []
