"""The Worker: one link, its devices in turn, failures kept at home. All on a fake clock."""

import math
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from edge_agent.clock import FakeClock
from edge_agent.driver import (
    Arguments,
    Chunk,
    Command,
    DeviceError,
    LineRequest,
    Link,
    LinkError,
    LinkTimeout,
    Reading,
    Record,
    Verbs,
    arguments,
)
from edge_agent.errors import AgentError
from edge_agent.orders import Acted
from edge_agent.records import Alarm, Event, Memory
from edge_agent.slot import Slot
from edge_agent.worker import SILENT_AFTER, Worker


@dataclass
class FakeLink:
    """A link whose state the test sets: what it hears, whether it can be opened."""

    clock: FakeClock
    name: str = "rs485"
    is_open: bool = False
    broken: str = ""
    heard: list[Chunk] = field(default_factory=list)
    opened: list[tuple[LineRequest, ...]] = field(default_factory=list)
    woken: threading.Event = field(default_factory=threading.Event)

    def open(self, lines: tuple[LineRequest, ...] = ()) -> None:
        if self.broken:
            raise LinkError(self.broken, gone=True)
        self.is_open = True
        self.opened.append(lines)

    def close(self) -> None:
        self.is_open = False

    def wake(self) -> None:
        self.woken.set()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def take(self) -> Chunk | None:
        if self.broken:
            raise LinkError(self.broken, gone=True)
        return self.heard.pop(0) if self.heard else None

    def ask(self, request: bytes, *, reply: object, within: float) -> bytes:
        raise AssertionError

    def monotonic(self) -> float:
        return self.clock.monotonic()


@dataclass
class Asked:
    """A polled device: answers, is silent (costing its timeout) or speaks nonsense, as the test says."""

    clock: FakeClock
    mood: str = "good"
    polled: list[float] = field(default_factory=list)
    timeout: float = 0.5

    def poll(self, link: Link) -> Iterable[Record]:
        self.polled.append(self.clock.monotonic())
        if self.mood == "silent":
            self.clock.advance(self.timeout)
            raise LinkTimeout("no answer on rs485")
        if self.mood == "garbage":
            raise DeviceError("no valid answer", raw=b"\x01\x02")
        if self.mood == "wire":
            raise LinkError("framing")
        if self.mood == "gone":
            raise LinkError("adapter is gone", gone=True)
        yield Reading("temperature_c", 21.5)


@dataclass
class Heard:
    """A listener that turns each chunk into a visit and settles half a second later."""

    settle: float = 0.5
    quiet_at: list[float] = field(default_factory=list)

    def lines(self) -> tuple[LineRequest, ...]:
        return (LineRequest(5),)

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        yield Event("visit")

    def quiet(self, now: float) -> Iterable[Record]:
        self.quiet_at.append(now)
        return ()


@dataclass
class FakeSink:
    """What was handed to the recorder."""

    said: list[tuple[str, Record]] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    durable: list[tuple[str, Record]] = field(default_factory=list)
    journal_works: bool = True

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        self.said += [(device, record) for record in records]

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        self.durable += [(device, record) for record in records]
        return self.journal_works

    def unreachable(self, device: str, why: str, records: Iterable[Record] = ()) -> None:
        self.gone.append((device, why))
        self.submit(device, records)

    def alarms(self, device: str, code: str) -> list[bool]:
        """Every raise (True) and clear (False) said of one alarm, repetitions dropped as the recorder drops them."""
        said = [r.active for d, r in self.said if d == device and isinstance(r, Alarm) and r.code == code]
        return [active for before, active in pairwise([False, *said]) if before != active]


@dataclass
class Bench:
    """A worker and everything around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    sink: FakeSink = field(default_factory=FakeSink)
    link: FakeLink = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.link = FakeLink(self.clock)

    def run(self, seconds: float) -> None:
        """Let the worker work and rest for so long."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.advance(max(self.worker.step(), 0.01))

    def build(self, *slots: Slot) -> "Bench":
        self.worker = Worker(self.link, slots, self.sink, self.clock)
        return self


@dataclass
class Lamp(Asked):
    """A polled device that can be switched on, and obeys, refuses or is silent as the test says."""

    on: bool = False
    told: list[Command] = field(default_factory=list)
    act_mood: str = "good"

    def verbs(self) -> Verbs:
        return {"on": Arguments}

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        arguments(self.verbs(), command)
        self.told.append(command)
        if self.act_mood == "refused":
            raise DeviceError("blown", op="on", raw=b"\x01", hint="change the bulb")
        if self.act_mood == "silent":
            raise LinkTimeout("no answer on rs485")
        if self.act_mood == "gone":
            raise LinkError("adapter is gone", gone=True)
        self.on = True
        yield Reading("commanded", "on")

    def poll(self, link: Link) -> Iterable[Record]:
        yield from Asked.poll(self, link)
        yield Reading("lit", self.on)


ON = Command("on")


def obeyed(bench: Bench, device: str = "lamp", command: Command = ON) -> Future[Acted]:
    """Give an order from another thread, let the worker look once at what waits, and return what came of it."""
    bench.link.woken.clear()
    with ThreadPoolExecutor(1) as pool:
        given = pool.submit(bench.worker.act, device, command, 10.0)
        assert bench.link.woken.wait(10)
        bench.worker.step()
        return given


def test_an_order_is_carried_out_at_once_and_the_device_is_asked() -> None:
    """It does not wait for the period; what was ordered and what is observed are told apart, and put on record."""
    bench = Bench()
    lamp = Lamp(bench.clock)
    bench.build(Slot("lamp", lamp, every=60.0)).run(1)
    asked = len(lamp.polled)
    acted = obeyed(bench).result()
    assert acted == Acted({"commanded": "on"}, {"temperature_c": 21.5, "lit": True})
    assert len(lamp.polled) == asked + 1
    assert ("lamp", Event("commanded", {"command": "on", "args": {}, "ok": True})) in bench.sink.said
    assert ("lamp", Reading("commanded", "on")) in bench.sink.said


@pytest.mark.parametrize(("mood", "reason"), [("refused", "blown"), ("silent", "no answer on rs485")])
def test_an_order_that_fails_is_not_tried_again(mood: str, reason: str) -> None:
    """The error goes to who asked and on record; the device is asked at once what is true."""
    bench = Bench()
    lamp = Lamp(bench.clock, act_mood=mood)
    bench.build(Slot("lamp", lamp, every=60.0)).run(1)
    asked = len(lamp.polled)
    with pytest.raises(AgentError, match=reason):
        obeyed(bench).result()
    assert lamp.told == [ON]
    assert len(lamp.polled) == asked + 1
    record = Event("commanded", {"command": "on", "args": {}, "ok": False, "reason": reason})
    assert ("lamp", record) in bench.sink.said


@pytest.mark.parametrize("journal_works", [True, False])
def test_what_must_be_known_again_is_durable_before_the_device_is_told(journal_works: bool) -> None:
    """A driver that goes on after a Memory finds it stored; a journal that fails keeps no siren from sounding."""
    bench = Bench(sink=FakeSink(journal_works=journal_works))
    note = Memory("to_be_ended", "1")

    class Careful(Lamp):
        """Says what must be ended before it begins it."""

        def act(self, link: Link, command: Command) -> Iterable[Record]:
            yield note
            assert bench.sink.durable == [("lamp", note)]
            yield from Lamp.act(self, link, command)

    bench.build(Slot("lamp", Careful(bench.clock), every=60.0)).run(1)
    assert obeyed(bench).result() == Acted({"commanded": "on"}, {"temperature_c": 21.5, "lit": True})


def test_an_order_whose_outcome_cannot_be_seen_says_so() -> None:
    """If the device does not answer the question behind the order, the order is done all the same."""
    bench = Bench()
    bench.build(Slot("lamp", Lamp(bench.clock, mood="silent"), every=60.0)).run(1)
    assert obeyed(bench).result() == Acted({"commanded": "on"}, {}, "no answer on rs485")


def test_a_port_lost_behind_an_order_leaves_the_order_done() -> None:
    """A port that vanishes before the device is looked at is the link's failure, not the order's."""
    bench = Bench()
    bench.build(Slot("lamp", Lamp(bench.clock, mood="gone"), every=60.0))
    assert obeyed(bench).result() == Acted({"commanded": "on"}, {}, "adapter is gone")
    assert bench.sink.alarms("rs485", "link_lost") == [True]


def test_orders_over_a_lost_link_are_refused_at_once() -> None:
    """Nothing waits for an adapter that is unplugged, nor is done when it returns."""
    bench = Bench()
    lamp = Lamp(bench.clock, act_mood="gone")
    bench.build(Slot("lamp", lamp, every=60.0)).run(1)
    with pytest.raises(LinkError, match="adapter is gone"):
        obeyed(bench).result()
    with pytest.raises(LinkError, match="nothing was sent: rs485 is lost"):
        obeyed(bench).result()
    bench.run(10)
    assert lamp.told == [ON]


@pytest.mark.parametrize(
    ("device", "command", "reason"),
    [("lamp", Command("dim"), "'dim' is not a command .*; it knows on"), ("room", ON, "room can be told nothing")],
)
def test_what_cannot_be_ordered(device: str, command: Command, reason: str) -> None:
    """An unknown verb, or a device that takes no orders, is refused without a word on the wire."""
    bench = Bench()
    bench.build(Slot("lamp", Lamp(bench.clock)), Slot("room", Asked(bench.clock)))
    with pytest.raises(DeviceError, match=reason):
        obeyed(bench, device, command).result()


def test_an_order_nobody_waits_for_is_never_begun() -> None:
    """A worker that is stuck holds whoever asks no longer than their deadline, and forgets the order."""
    bench = Bench()
    lamp = Lamp(bench.clock)
    bench.build(Slot("lamp", lamp, every=60.0))
    with pytest.raises(LinkTimeout, match="nothing was sent: the wire was not free"):
        bench.worker.act("lamp", ON, 0.01)
    bench.worker.step()
    assert lamp.told == []


def test_orders_to_a_worker_that_has_ended_are_refused() -> None:
    """What waits when the link is let go of fails, and so does what comes later."""
    bench = Bench()
    bench.build(Slot("lamp", Lamp(bench.clock), every=60.0))
    bench.worker.stop()
    bench.worker.run(lambda _deadline: None)
    with pytest.raises(LinkError, match="is being closed"):
        bench.worker.act("lamp", ON, 10.0)


def test_an_order_wakes_a_worker_that_waits_for_its_port() -> None:
    """While the link is lost the worker rests on no port; an order wakes it all the same."""
    bench = Bench()
    bench.build(Slot("lamp", Lamp(bench.clock)))
    bench.link.broken = "adapter is gone"
    thread = threading.Thread(target=bench.worker.run, args=(lambda _deadline: None,), daemon=True)
    thread.start()
    assert bench.worker.began.wait(10)
    with pytest.raises(LinkError, match="rs485 is lost"):
        bench.worker.act("lamp", ON, 10.0)
    bench.worker.stop()
    thread.join(10)
    assert not thread.is_alive()


@dataclass
class Strike(Lamp):
    """A lamp that must go off after two seconds."""

    ends: float = math.inf
    released: int = 0

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        self.ends = self.clock.monotonic() + 2.0
        yield from Lamp.act(self, link, command)

    def poll(self, link: Link) -> Iterable[Record]:
        yield from Lamp.poll(self, link)
        if self.clock.monotonic() >= self.ends:
            self.on, self.ends = False, math.inf

    def due(self) -> float:
        return self.ends

    def release(self, link: Link) -> Iterable[Record]:
        self.released += 1
        yield Reading("lit", value=False)


def test_a_device_is_polled_when_it_has_something_to_end() -> None:
    """A pulse ends on time, however long the device's period is, and also when that poll must be repeated."""
    bench = Bench()
    strike = Strike(bench.clock)
    bench.build(Slot("lamp", strike, every=600.0)).run(1)
    obeyed(bench).result()
    strike.mood = "silent"
    bench.run(2.5)
    strike.mood = "good"
    assert strike.on
    bench.run(1.5)
    assert not strike.on


@pytest.mark.parametrize("broken", ["", "adapter is gone"])
def test_pulses_are_ended_before_the_link_is_let_go_of(broken: str) -> None:
    """A driver with something to end is given the wire once more, if there is one."""
    bench = Bench()
    strike = Strike(bench.clock)
    bench.link.broken = broken
    bench.build(Slot("lamp", strike, every=600.0)).worker.step()
    bench.worker.stop()
    bench.worker.run(lambda _deadline: None)
    assert strike.released == (not broken)
    assert (("lamp", Reading("lit", value=False)) in bench.sink.said) == (not broken)


def test_polls_each_device_at_its_period() -> None:
    """Two devices with different periods are each asked in time."""
    bench = Bench()
    fast, slow = Asked(bench.clock), Asked(bench.clock)
    bench.build(Slot("fast", fast, every=1.0), Slot("slow", slow, every=5.0)).run(60)
    assert len(fast.polled) == pytest.approx(60, abs=1)
    assert len(slow.polled) == pytest.approx(12, abs=1)
    assert bench.worker.statistics()["fast"].good == len(fast.polled)


@pytest.mark.parametrize("mood", ["silent", "garbage", "wire"])
def test_third_failure_in_a_row_is_an_alarm_once_and_clears_once(mood: str) -> None:
    """Two failures are patience, the third says device_silent and turns the values bad; the first answer clears it."""
    bench = Bench()
    device = Asked(bench.clock, mood=mood)
    bench.build(Slot("room", device, every=1.0))
    while len(device.polled) < SILENT_AFTER - 1:
        bench.run(0.1)
    assert bench.sink.alarms("room", "device_silent") == []
    bench.run(600)
    assert bench.sink.alarms("room", "device_silent") == [True]
    assert [name for name, _ in bench.sink.gone] == ["room"]
    assert bench.worker.statistics()["room"].silent
    device.mood = "good"
    bench.run(600)
    assert bench.sink.alarms("room", "device_silent") == [True, False]
    assert not bench.worker.statistics()["room"].silent


def test_dead_device_is_probed_at_most_once_a_minute() -> None:
    """Once found dead a device costs its neighbours one timeout a probe, ever more rarely."""
    bench = Bench()
    dead, alive = Asked(bench.clock, mood="silent"), Asked(bench.clock)
    bench.build(Slot("dead", dead, every=1.0), Slot("alive", alive, every=1.0)).run(3600)
    probes = dead.polled[SILENT_AFTER:]
    assert all(later - earlier >= 60 for earlier, later in pairwise(probes))
    assert len(probes) >= 12
    gaps = [b - a for a, b in pairwise(alive.polled)]
    assert max(gaps) <= 1.0 + dead.timeout + 0.02


def test_empty_slot_is_a_value_and_not_an_alarm() -> None:
    """A device that may be absent says so with its `present` point and is asked on at its own period."""
    bench = Bench()
    battery = Asked(bench.clock, mood="silent")
    bench.build(Slot("battery-01", battery, every=2.0, may_be_absent=True)).run(30)
    assert bench.sink.alarms("battery-01", "device_silent") == []
    assert ("battery-01", Reading("present", value=False, prompt=True)) in bench.sink.said
    assert len(battery.polled) >= 12
    battery.mood = "good"
    bench.run(4)
    assert bench.sink.said[-1] == ("battery-01", Reading("present", value=True, prompt=True))
    before = len(bench.sink.said)
    battery.mood = "garbage"
    bench.run(4)
    assert len(bench.sink.said) == before


def test_a_door_makes_its_battery_be_asked_at_once() -> None:
    """`poll_now` does not wait for the period."""
    bench = Bench()
    battery = Asked(bench.clock)
    bench.build(Slot("battery-01", battery, every=60.0, may_be_absent=True)).run(1)
    count = len(battery.polled)
    bench.worker.poll_now("battery-01")
    bench.worker.step()
    assert len(battery.polled) == count + 1


def test_lost_port_is_closed_at_once_and_opened_again() -> None:
    """One alarm for the link, its devices' values turn bad, and it is back within 5 s of the adapter."""
    bench = Bench()
    device = Asked(bench.clock)
    bench.build(Slot("room", device, every=1.0), Slot("reader", Heard())).run(3)
    bench.link.broken = "adapter is gone"
    bench.run(120)
    assert not bench.link.is_open
    assert bench.sink.alarms("rs485", "link_lost") == [True]
    assert {name for name, _ in bench.sink.gone} == {"room", "reader"}
    bench.link.broken = ""
    count = len(device.polled)
    bench.run(5.1)
    assert len(device.polled) > count
    assert bench.sink.alarms("rs485", "link_lost") == [True, False]


def test_port_lost_in_the_middle_of_a_poll() -> None:
    """The error of a port that vanishes under a question is the link's and not the device's."""
    bench = Bench()
    device = Asked(bench.clock, mood="gone")
    bench.build(Slot("room", device, every=1.0)).run(2)
    assert bench.sink.alarms("rs485", "link_lost") == [True]
    assert bench.sink.alarms("room", "device_silent") == []


def test_listener_hears_and_is_told_of_silence() -> None:
    """Chunks become records with the chunk's time; silence is reported once it has settled."""
    bench = Bench()
    listener = Heard()
    bench.build(Slot("reader", listener))
    bench.worker.step()
    assert bench.link.opened == [(LineRequest(5),)]
    bench.link.heard.append(Chunk(at=bench.clock.monotonic(), data=b"x"))
    rest = bench.worker.step()
    assert ("reader", Event("visit")) in bench.sink.said
    assert 0 < rest <= listener.settle
    bench.clock.advance(rest)
    bench.worker.step()
    assert listener.quiet_at[-1] == bench.clock.monotonic()
    assert bench.worker.statistics()["reader"].good == 1


def test_swipe_between_two_polls_does_not_wait_for_the_round() -> None:
    """On a shared wire a listener is fed between the polls of its neighbours."""
    bench = Bench()
    first, second = Asked(bench.clock, mood="silent", timeout=2.0), Asked(bench.clock)
    bench.build(Slot("a", first, every=1.0), Slot("b", second, every=1.0), Slot("reader", Heard()))
    bench.worker.step()
    bench.clock.advance(3)
    bench.link.heard += [Chunk(at=0.0, data=b"x")]
    bench.worker.step()
    assert ("reader", Event("visit")) in bench.sink.said


def test_run_keeps_its_promises_and_lets_go_of_the_link() -> None:
    """`run` promises a deadline ahead of now, rests on the link, and closes it at the end."""
    bench = Bench()
    device = Asked(bench.clock)
    promises: list[float] = []
    bench.build(Slot("room", device, every=1.0))

    def promise(deadline: float) -> None:
        promises.append(deadline - bench.clock.monotonic())
        if len(device.polled) >= 3:
            bench.worker.stop()

    bench.worker.run(promise)
    assert min(promises) >= 30
    assert not bench.link.is_open
    assert bench.worker.began.is_set()


def test_run_survives_a_link_that_fails_while_resting() -> None:
    """A port that vanishes during the rest is lost like any other."""
    bench = Bench()
    bench.build(Slot("room", Asked(bench.clock), every=1.0))

    def wait(seconds: float) -> None:
        bench.clock.advance(seconds)
        bench.worker.stop()
        raise LinkError("adapter is gone", gone=True)

    bench.link.wait = wait  # type: ignore[method-assign]
    bench.worker.run(lambda _deadline: None)
    assert bench.sink.alarms("rs485", "link_lost") == [True]
