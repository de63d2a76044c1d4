"""One wire or one device in trouble: every other device keeps its period, every swipe counts, each alarm comes once."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from edge_agent.demo.station import SimulatedStation
from edge_agent.station import Station
from tests.faults.told import AlarmSink
from tests.stations import AIRCON, HEAD, READER, ROOM, centre, far_ends, running, wait_for

SHED = """
[[link]]
name = "far"
kind = "serial"
port = "/dev/serial/by-id/far"
max_reply_delay = "300ms"

[[device]]
name = "shed"
link = "far"
driver = "modbus"
profile = "xy-md02"
address = 1
timeout = "100ms"
every = "100ms"
"""
EVERY = 0.1
LATEST = 1.0
"""A poll may be late on a busy machine; never this much, s."""


@dataclass(slots=True)
class Bench:
    """A running station, with an ear at each simulated device."""

    ends: SimulatedStation
    station: Station
    told: AlarmSink
    asked: dict[str, list[float]] = field(default_factory=dict)
    """Device -> monotonic times of its answers."""
    cards: int = 0

    def swipe(self, times: int) -> None:
        """Let that many people in, one after the other, and wait until each counts."""
        for _ in range(times):
            self.cards += 1
            self.ends.simulators["door-reader"].swipe(self.cards, stay=0)
            wait_for(lambda: self.visits() == self.cards, f"visit {self.cards}")

    def visits(self) -> int:
        """Return how many visits the ledger has."""
        return self.station.picture.view.totals.lifetime.get("visits", 0)

    def see(self, device: str, code: str, *states: str) -> None:
        """Wait until an alarm has gone through exactly these states."""
        wanted = [(code, state) for state in states]
        wait_for(lambda: len(self.told.states(device)) >= len(wanted), f"{device} {wanted}")
        assert self.told.states(device) == wanted

    def undisturbed(self, *devices: str, since: float) -> None:
        """See that devices have been polled at their period since a monotonic time."""
        for device in devices:
            wait_for(partial(self._is_polled, device, since), f"{device} polled")
            pauses = [later - earlier for earlier, later in pairwise([since, *self.heard(device, since)])]
            assert max(pauses) < LATEST, f"{device} waited {max(pauses):.2f} s"
            assert statistics.median(pauses) < 2 * EVERY

    def _is_polled(self, device: str, since: float) -> bool:
        return len(self.heard(device, since)) >= 10

    def heard(self, device: str, since: float) -> list[float]:
        """Return when a device answered."""
        return [at for at in self.asked[device] if at > since]


@contextmanager
def bench(directory: Path) -> Iterator[Bench]:
    """Run a station of three wires: the reader, room and air conditioner on one pair, the shed on another."""
    text = HEAD + READER + ROOM + AIRCON + SHED
    with centre() as broker, far_ends(directory, text, broker.thread.port) as ends:
        told = broker.sink = AlarmSink()
        asked: dict[str, list[float]] = {}
        for name in ("room", "aircon", "shed"):
            listen(ends, name, asked.setdefault(name, []))
        with running(ends) as station:
            it = Bench(ends, station, told, asked)
            wait_for(lambda: station.picture.view.uplink.online, "online")
            wait_for(lambda: all(len(times) > 5 for times in asked.values()), "all polled")
            it.swipe(1)
            yield it


def listen(ends: SimulatedStation, name: str, times: list[float]) -> None:
    """Note when a simulated device answers."""
    simulator = ends.simulators[name]
    answer = simulator.answer

    def heard(request: bytes) -> bytes:
        reply: bytes = answer(request)
        if reply:
            times.append(time.monotonic())
        return reply

    simulator.answer = heard


def test_one_wire_hangs(tmp_path: Path) -> None:
    """A wire that stops without a sign costs its own devices their values, and nobody else anything."""
    with bench(tmp_path) as it:
        began = time.monotonic()
        it.ends.wires["far"].hang(hangs=True)
        it.see("shed", "device_silent", "raised")
        it.swipe(5)
        it.undisturbed("room", "aircon", since=began)
        it.ends.wires["far"].hang(hangs=False)
        # A dead device is asked once a minute; somebody who knows better need not wait.
        it.station.recorder.poll_now("shed")
        it.see("shed", "device_silent", "raised", "cleared")
        it.undisturbed("shed", "room", "aircon", since=time.monotonic())
        assert not it.station.picture.view.alarms


def test_one_device_answers_garbage(tmp_path: Path) -> None:
    """A device that answers nonsense shows no value and delays its neighbours on the same pair by a timeout at most."""
    with bench(tmp_path) as it:
        began = time.monotonic()
        aircon = it.ends.simulators["aircon"]
        sane = aircon.answer
        aircon.answer = lambda request: bytes(byte ^ 0x5A for byte in sane(request))
        it.see("aircon", "device_silent", "raised")
        it.swipe(5)
        it.undisturbed("room", "shed", since=began)
        points = it.station.picture.view.devices["aircon"].points
        assert all(point.reading.quality == "bad" for point in points.values())
        aircon.answer = sane
        it.station.recorder.poll_now("aircon")
        it.see("aircon", "device_silent", "raised", "cleared")
        assert not it.station.picture.view.alarms


def test_one_adapter_is_pulled_and_comes_back(tmp_path: Path) -> None:
    """An adapter that falls off is said once; it is back within 5 s of being plugged in, and swipes count again."""
    with bench(tmp_path) as it:
        began = time.monotonic()
        reader = it.ends.wires["reader"]
        reader.unplug()
        it.see("reader", "link_lost", "raised")
        it.undisturbed("room", "aircon", "shed", since=began)
        reader.plug()
        plugged = time.monotonic()
        wait_for(lambda: reader_is_open(it), "port open again", within=5.0)
        it.swipe(5)
        it.see("reader", "link_lost", "raised", "cleared")
        assert time.monotonic() - plugged < 8.0
        it.undisturbed("room", "aircon", "shed", since=began)


def reader_is_open(it: Bench) -> bool:
    """Return True once the reader's worker holds its port again."""
    return it.station.workers.by_link["reader"]._link.is_open


def test_sensor_adapter_is_pulled_while_people_come(tmp_path: Path) -> None:
    """Without its pair of wires the station still counts every person, and the values there are marked as bad."""
    with bench(tmp_path) as it:
        began = time.monotonic()
        it.ends.wires["rs485"].unplug()
        it.see("rs485", "link_lost", "raised")
        it.swipe(10)
        it.undisturbed("shed", since=began)
        view = it.station.picture.view.devices["room"]
        assert all(point.reading.quality == "bad" for point in view.points.values())
        it.ends.wires["rs485"].plug()
        it.see("rs485", "link_lost", "raised", "cleared")
        it.undisturbed("room", "aircon", "shed", since=time.monotonic())
