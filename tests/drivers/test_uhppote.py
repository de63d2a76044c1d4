"""Door controllers: every event once, gaps declared, the controller left as it is, no card number anywhere."""

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uhppoted import decode as peer_decode  # type: ignore[import-untyped]
from uhppoted import encode as peer_encode
from uhppoted import uhppote as peer_client

from drivers.uhppote import DECODERS, DRIVER, Options, Simulator, codec, events
from drivers.uhppote.catch_up import MOST, Cursor, Gap, Reset, catch_up
from drivers.uhppote.simulator import Responder
from edge_agent.cards import CardKey
from edge_agent.clock import FakeClock, SystemClock
from edge_agent.driver import (
    Capture,
    Command,
    DeviceError,
    Event,
    LinkError,
    LinkTimeout,
    Memory,
    Reading,
    Record,
    Site,
)
from edge_agent.links import hostile
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.simulated import SimulatedPort
from edge_agent.links.udp import open_udp
from tests.drivers import vectors

SERIAL = 405419896
OTHER = 423187757
CARD = 8165537
KEY = CardKey("test", b"a secret of the tests, 32 bytes..")
NOON = datetime(2026, 11, 22, 12, 0, 0)  # noqa: DTZ001  (controllers know no zone)
VECTORS = vectors.of_driver("uhppote")
explain = DECODERS["uhppote"]


class Bench:
    """A driver and a simulated controller on a fake clock; `restart` builds the driver anew from what it remembered."""

    def __init__(self, *, local_time: datetime | None = None, **options: Any) -> None:
        self.options = Options.model_validate({"controller": SERIAL, "doors": ["front", "yard"]} | options)
        self.simulator = Simulator(self.options, Site())
        self.clock = FakeClock()
        self.wire = hostile.Wire(SimulatedPort([self.simulator], self.clock))
        self.link = ByteLink("net", lambda: self.wire, self.clock, Timing(guard=0, echo="no"))
        self.link.open()
        self.simulator.clock = lambda: NOON + timedelta(seconds=int(self.clock.monotonic() - 1000))
        self.memory: dict[str, str] = {}
        self._local_time = local_time
        self.restart()

    def restart(self) -> None:
        """Build the driver anew, as after a crash."""
        self.driver = DRIVER(self.options, Site(KEY, dict(self.memory), lambda: self._local_time))

    def poll(self) -> list[Record]:
        """Poll once and keep what is to be remembered, as the Recorder does: all of it or nothing."""
        records = list(self.driver.poll(self.link))
        self.memory |= {record.key: record.text for record in records if isinstance(record, Memory)}
        return records

    def told(self) -> list[Event]:
        """The events of one poll."""
        return [record for record in self.poll() if isinstance(record, Event)]


def readings(records: list[Record]) -> dict[str, Any]:
    """Point -> value."""
    return {record.point: record.value for record in records if isinstance(record, Reading)}


def indexes(told: list[Event]) -> list[Any]:
    """The controller's own numbers of events."""
    return [event.data.get("index") for event in told]


# ---- messages


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_both_ways(vector: vectors.Vector) -> None:
    """Every captured message means what its source says, and what it means makes the same message again."""
    if not vector.valid:
        with pytest.raises(DeviceError):
            explain(Capture(vector.frame, vector.direction))
        return
    meaning = explain(Capture(vector.frame, vector.direction))
    assert {name: meaning[name] for name in vector.decoded} == vector.decoded
    values: dict[str, Any] = codec.decode(vector.frame, vector.direction)
    function, controller = values.pop("function"), values.pop("controller")
    again = codec.encode(function, controller, values, vector.direction)
    if vector.frame[0] == codec.MAGIC and None not in values.values():
        assert again == vector.frame
    assert codec.decode(again, vector.direction) == codec.decode(vector.frame, vector.direction)


@given(st.binary(max_size=130) | st.binary(min_size=62, max_size=62).map(lambda rest: b"\x17\x20" + rest))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    """No bytes at all raise anything but DeviceError, and no error repeats them."""
    told: list[bytes] = []
    for direction in ("request", "response"):
        for request in (None, data):
            try:
                assert json.dumps(explain(Capture(data, direction, request=request)))
            except DeviceError as error:
                told.append(error.raw)
    assert not any(told)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (bytes(63), "63 bytes"),
        (bytes((0x18, 0x20)) + bytes(62), "begin with 18"),
        (bytes((0x19, 0xB0)) + bytes(62), "begin with 19"),
        (bytes((0x17, 0x21)) + bytes(62), "no function 21"),
    ],
)
def test_what_is_no_message_is_refused(frame: bytes, why: str) -> None:
    """Length, first byte and function must be right; 19 begins a status only. Such bytes answer nothing."""
    with pytest.raises(DeviceError, match=why):
        codec.decode(frame)
    assert not codec.answers(frame, frame[1], 0, None)


FUNCTIONS = sorted(codec._LAYOUTS)


@given(st.sampled_from(FUNCTIONS), st.sampled_from(["request", "response"]), st.binary(min_size=56, max_size=56))
def test_what_is_decoded_can_be_encoded(function: int, direction: codec.Direction, rest: bytes) -> None:
    """Decoding, encoding and decoding again loses nothing, for every function."""
    values: dict[str, Any] = codec.decode(
        bytes((codec.MAGIC, function, 0, 0)) + SERIAL.to_bytes(4, "little") + rest, direction
    )
    fields = {name: value for name, value in values.items() if name not in {"function", "controller"}}
    again = codec.encode(function, SERIAL, fields, direction)
    assert codec.decode(again, direction) == values


@given(
    st.binary(min_size=64, max_size=64),
    st.sampled_from([codec.GET_STATUS, codec.GET_EVENT, 0x32, 0x94, 0x5A, 0x82, 0x92, 0xB4, 0x58]),
)
def test_the_package_reads_answers_as_we_do(noise: bytes, function: int) -> None:
    """The decoder of the package `uhppoted` finds the same values in any answer."""
    frame = bytes((codec.MAGIC, function)) + noise[2:]
    ours: dict[str, Any] = explain(Capture(frame))
    theirs = PEER[function](frame)
    assert theirs.controller == ours["controller"]
    for name, attribute in PEER_NAMES.get(function, {}).items():
        if name in ours:
            value = getattr(theirs, attribute)
            value = value.isoformat() if isinstance(value, date) else value
            assert ours[name] == (value if isinstance(value, bool | int | None) else str(value)), name


PEER: dict[int, Callable[[bytes], Any]] = {
    codec.GET_STATUS: peer_decode.get_status_response,
    codec.GET_EVENT: peer_decode.get_event_response,
    0x32: peer_decode.get_time_response,
    0x94: peer_decode.get_controller_response,
    0x5A: peer_decode.get_card_response,
    0x82: peer_decode.get_door_control_response,
    0x92: peer_decode.get_listener_response,
    0xB4: peer_decode.get_event_index_response,
    0x58: peer_decode.get_cards_response,
}
PEER_NAMES: dict[int, dict[str, str]] = {
    codec.GET_STATUS: {
        "event_index": "event_index",
        "event_type": "event_type",
        "access_granted": "event_access_granted",
        "door": "event_door",
        "direction": "event_direction",
        "card": "event_card",
        "event_timestamp": "event_timestamp",
        "reason": "event_reason",
        "relays": "relays",
        "inputs": "inputs",
        "system_error": "system_error",
        "special_info": "special_info",
        "sequence": "sequence_no",
    },
    codec.GET_EVENT: {
        "event_index": "index",
        "event_type": "event_type",
        "access_granted": "access_granted",
        "door": "door",
        "direction": "direction",
        "card": "card",
        "event_timestamp": "timestamp",
        "reason": "reason",
    },
    0x32: {"datetime": "datetime"},
    0x94: {
        "ip": "ip_address",
        "netmask": "subnet_mask",
        "gateway": "gateway",
        "mac": "mac_address",
        "version": "version",
        "date": "date",
    },
    0x5A: {"card": "card_number", "start_date": "start_date", "end_date": "end_date", "pin": "pin"},
    0x82: {"door": "door", "mode": "mode", "delay": "delay"},
    0x92: {"interval": "interval"},
    0xB4: {"event_index": "event_index"},
    0x58: {"cards": "cards"},
}


def test_the_package_writes_requests_as_we_do() -> None:
    """The encoder of the package makes the same bytes."""
    assert codec.question(codec.GET_STATUS, SERIAL) == bytes(peer_encode.get_status_request(SERIAL))
    assert codec.question(codec.GET_EVENT, SERIAL, 77) == bytes(peer_encode.get_event_request(SERIAL, 77))
    assert codec.encode(0x40, SERIAL, {"door": 3}) == bytes(peer_encode.open_door_request(SERIAL, 3))
    assert codec.encode(0x32, SERIAL) == bytes(peer_encode.get_time_request(SERIAL))


def test_the_packages_client_understands_the_simulator() -> None:
    """An independent client on the loopback reads status and events of the simulated controller."""
    bench = Bench()
    bench.simulator.swipe(CARD, door=3)
    with Responder(bench.simulator) as responder:
        client = peer_client.Uhppote(bind="127.0.0.1", broadcast=f"127.0.0.1:{responder.port}")
        where = (SERIAL, f"127.0.0.1:{responder.port}")
        status = client.get_status(where)
        assert (status.event_index, status.event_card, status.event_door) == (1, CARD, 3)
        assert datetime.combine(status.system_date, status.system_time) == NOON
        event = client.get_event(where, 1)
        assert (event.index, event.card, event.access_granted, event.timestamp) == (1, CARD, True, NOON)
        assert client.get_event(where, 2).event_type == codec.NO_RECORD
        assert client.get_time(where).datetime == NOON
        assert str(client.get_listener(where).address) == "192.168.1.5"


# ---- events


def test_history_is_not_told_and_new_events_are_told_once() -> None:
    """The first look is the beginning; from there on each event is told in order, once."""
    bench = Bench()
    for _ in range(3):
        bench.simulator.swipe(CARD)
    assert bench.told() == []
    assert bench.told() == []
    bench.simulator.swipe(CARD)
    bench.simulator.swipe(CARD + 1, door=2)
    told = bench.told()
    assert [(event.type, event.data["index"], event.data["reader"]) for event in told] == [
        ("visit", 4, "front"),
        ("visit", 5, "yard"),
    ]
    assert told[0].card == KEY.reference("uhppote", f"{CARD:032b}")
    assert bench.told() == []


def test_a_restart_neither_repeats_nor_forgets() -> None:
    """What was remembered with the events is where the next start goes on, whatever happened meanwhile."""
    bench = Bench()
    bench.poll()
    bench.simulator.swipe(CARD)
    list(bench.driver.poll(bench.link))  # told, but lost in a crash before its commit
    bench.restart()
    assert indexes(bench.told()) == [1]
    bench.restart()
    assert bench.told() == []
    for _ in range(2):
        bench.simulator.swipe(CARD)
    bench.restart()
    assert indexes(bench.told()) == [2, 3]


def test_memory_of_another_controller_is_not_used() -> None:
    """A controller exchanged for another begins with its own newest event."""
    bench = Bench()
    bench.poll()
    bench.memory["cursor"] = Cursor(OTHER, 900, NOON.isoformat()).stored()
    bench.restart()
    assert bench.told() == []
    bench.simulator.swipe(CARD)
    assert indexes(bench.told()) == [1]


def test_time_is_that_of_the_swipe_not_of_the_poll() -> None:
    """What happened during an outage is told for when it happened, by how long ago it was on the controller's clock."""
    bench = Bench()
    bench.poll()
    bench.clock.advance(3600)
    bench.simulator.swipe(CARD)
    bench.clock.advance(7200)
    bench.simulator.happen(reason=23, event_timestamp=None)
    bench.simulator.happen(reason=23, event_timestamp="2099-01-01T00:00:00")
    now = bench.clock.monotonic()
    told = bench.told()
    assert told[0].at == pytest.approx(now - 7200, abs=1.5)
    assert told[0].data["controller_ts"] == "2026-11-22T13:00:00"
    assert [(event.at, event.data.get("controller_ts")) for event in told[1:]] == [
        (None, None),
        (None, "2099-01-01T00:00:00"),
    ]


def test_what_events_count_as() -> None:
    """Refusals, exits, doors and buttons each have their own kind; the reason of a refusal has a name."""
    bench = Bench()
    bench.poll()
    bench.simulator.swipe(CARD, denied=6)
    bench.simulator.swipe(CARD, denied=99)
    bench.simulator.swipe(CARD, direction=2)
    bench.simulator.happen(1, reason=8, access_granted=True, card=CARD)
    for reason in (20, 23, 24, 37, 38, 44, 77, 13):
        bench.simulator.happen(reason=reason, door=4)
    told = bench.told()
    assert [event.type for event in told] == [
        "denied",
        "denied",
        "exit_swipe",
        "denied",
        "exit_button",
        "door_opened",
        "door_closed",
        "door_held_open",
        "door_forced",
        "remote_opened",
        "controller_event",
        "denied",
    ]
    assert [event.data["reason"] for event in told if event.type == "denied"] == [
        "no_permission",
        "reason_99",
        "anti_passback",
        13,
    ]
    assert told[4].data["door"] == "door_4"
    assert [event.card is None for event in told] == [False] * 4 + [True] * 8
    both = Bench(visits="both")
    both.poll()
    both.simulator.swipe(0, direction=2)
    assert [(event.type, event.card) for event in both.told()] == [("visit", None)]


def test_overwritten_events_are_declared_lost() -> None:
    """A gap becomes an event with its first and last index, and what is left behind it is told."""
    bench = Bench()
    bench.poll()
    for _ in range(40):
        bench.simulator.swipe(CARD)
    bench.simulator.overwrite(33)
    told = bench.told()
    assert (told[0].type, dict(told[0].data)) == ("events_lost", {"from_index": 1, "to_index": 33, "count": 33})
    assert indexes(told[1:]) == list(range(34, 41))


def test_a_status_that_runs_ahead_of_the_store_loses_nothing() -> None:
    """An event that is counted but cannot be read yet is waited for, not declared lost."""
    bench = Bench()
    bench.poll()
    bench.simulator.swipe(CARD)
    hidden, bench.simulator._event = bench.simulator._event, lambda index: {}  # type: ignore[method-assign]
    records = bench.poll()
    assert readings(records)["waiting_events"] == 1
    assert not [record for record in records if isinstance(record, Event)]
    bench.simulator._event = hidden  # type: ignore[method-assign]
    assert indexes(bench.told()) == [1]


def test_a_store_that_begins_anew_is_recognised() -> None:
    """After a reset the new events from 1 on are told, and the reset is declared."""
    bench = Bench()
    for _ in range(9):
        bench.simulator.swipe(CARD)
    bench.poll()
    bench.simulator.clear()
    bench.clock.advance(60)
    bench.simulator.swipe(CARD)
    bench.simulator.swipe(CARD)
    told = bench.told()
    assert (told[0].type, dict(told[0].data)) == ("event_log_reset", {"last_index": 9, "index": 2})
    assert indexes(told[1:]) == [1, 2]
    bench.simulator.happen(reason=23, event_timestamp="2001-01-01T00:00:00")
    assert indexes(bench.told()) == [3]


def test_a_status_that_was_wrong_for_a_moment_counts_nothing_twice() -> None:
    """An index of 0 just after power-up looks like a reset; the old events behind it are not visits again."""
    bench = Bench()
    bench.poll()
    for _ in range(5):
        bench.clock.advance(10)
        bench.simulator.swipe(CARD)
    assert len(bench.told()) == 5
    stored = list(bench.simulator._events)
    bench.simulator.clear()
    assert [event.type for event in bench.told()] == ["event_log_reset"]
    bench.simulator._events[:] = stored
    bench.restart()
    told = bench.told()
    assert [(event.type, event.data.get("from_index"), event.data.get("to_index")) for event in told] == [
        ("events_skipped", 1, 5)
    ]
    bench.clock.advance(10)
    bench.simulator.swipe(CARD)
    assert indexes(bench.told()) == [6]


def test_a_reset_of_a_controller_without_a_clock_counts_nothing() -> None:
    """Where no time was ever known nothing tells old events from new ones: they are declared, not counted."""
    cursor = Cursor(SERIAL, 9)
    after, found = catch_up(cursor, 4, lambda index: None)
    assert found == [Reset(9, 4), Gap("skipped", 1, 4)]
    assert after == replace(cursor, index=4)
    assert catch_up(cursor, 0, lambda index: None)[1] == [Reset(9, 0)]


def test_a_long_backlog_comes_in_portions() -> None:
    """One poll fetches a bounded number of events, and the rest follows."""
    bench = Bench()
    bench.poll()
    for _ in range(2 * MOST + 5):
        bench.simulator.swipe(CARD)
    counts = []
    waiting = []
    for _ in range(4):
        records = bench.poll()
        counts.append(sum(isinstance(record, Event) for record in records))
        waiting.append(readings(records)["waiting_events"])
    assert counts == [MOST, MOST, 5, 0]
    assert waiting == [MOST + 5, 5, 0, 0]


class Lossy(hostile.Wire):
    """Swallows the answers whose number is listed."""

    def __init__(self, port: Any, lost: set[int]) -> None:
        super().__init__(port)
        self.lost = lost
        self.asked = 0

    def write(self, data: bytes) -> None:
        """Send, or lose, one datagram."""
        self.asked += 1
        if self.asked not in self.lost:
            self.port.write(data)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.sets(st.integers(1, 60)), st.sets(st.integers(0, 7)))
def test_every_event_is_told_exactly_once(swipes: list[int], lost: set[int], crashes: set[int]) -> None:
    """However many datagrams are lost and whenever the agent restarts, every swipe is told once, in order."""
    bench = Bench()
    bench.poll()
    bench.wire.port = lossy = Lossy(bench.wire.port, lost)
    told: list[Any] = []
    for turn, count in enumerate([*swipes, *[0] * 62]):
        for _ in range(count):
            bench.simulator.swipe(CARD)
        if turn in crashes:
            bench.restart()
        try:
            told += indexes(bench.told())
        except LinkTimeout:
            assert lossy.asked in lost
        bench.clock.advance(5)
    assert told == list(range(1, sum(swipes) + 1))


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 70), st.integers(0, 70))
def test_told_and_lost_add_up(begin: int, more: int, overwritten: int, hole: int) -> None:
    """Every index up to the newest stored one is either told or declared lost, in order, without overlap."""
    newest = begin + more

    def fetch(index: int) -> events.Stored | None:
        assert begin < index <= newest
        there = index > overwritten and index != hole
        return events.Stored(index, 1, True, 1, 1, NOON, 1, CARD) if there else None

    cursor = Cursor(SERIAL, begin, NOON.isoformat())
    covered: list[int] = []
    for _ in range(4):
        cursor, found = catch_up(cursor, newest, fetch)
        for one in found:
            assert not isinstance(one, Reset)
            covered += range(one.first, one.last + 1) if isinstance(one, Gap) else [one.index]
    assert covered == list(range(begin + 1, cursor.index + 1))
    assert not any(fetch(index) for index in range(cursor.index + 1, newest + 1))


def test_a_failure_midway_keeps_what_was_found() -> None:
    """Events fetched before the wire fails are told; the others come with the next poll."""
    bench = Bench()
    bench.poll()
    for _ in range(3):
        bench.simulator.swipe(CARD)
    bench.wire.port = Lossy(bench.wire.port, {4})
    assert indexes(bench.told()) == [1, 2]
    assert indexes(bench.told()) == [3]


def test_a_controller_that_never_gives_its_events_is_a_fault() -> None:
    """With a good status but no event ever to be had the poll fails: it must become visible."""
    bench = Bench()
    bench.poll()
    bench.simulator.swipe(CARD)
    bench.wire.port = Lossy(bench.wire.port, set(range(2, 99, 2)))
    for _ in range(3):
        with pytest.raises(LinkTimeout):
            bench.poll()


# ---- status, wire, privacy


def test_status_readings() -> None:
    """Doors, errors and the clocks' difference are points; without a good clock the difference is absent."""
    bench = Bench(local_time=NOON - timedelta(seconds=90))
    bench.simulator.doors_open[1] = True
    bench.simulator.system_error = 3
    assert readings(bench.poll()) == {
        "front": "closed",
        "yard": "open",
        "system_error": 3,
        "waiting_events": 0,
        "clock_difference_s": 90,
    }
    assert "clock_difference_s" not in readings(Bench().poll())


def test_firmware_6_62_and_other_controllers() -> None:
    """A first byte of 19 in a status is understood; an answer of another controller, or of another event, is not."""
    bench = Bench()
    bench.simulator.magic = codec.MAGIC_V6_62
    assert bench.poll()
    bench.simulator.controller = OTHER
    with pytest.raises(LinkTimeout):
        bench.poll()
    frame = codec.encode(codec.GET_EVENT, SERIAL, {"event_index": 5, "event_type": 1}, "response")
    assert codec.answers(frame, codec.GET_EVENT, SERIAL, 5)
    assert not codec.answers(frame, codec.GET_EVENT, SERIAL, 6)
    assert not codec.answers(frame, codec.GET_EVENT, OTHER, 5)
    with pytest.raises(DeviceError, match="does not answer"):
        explain(Capture(frame, request=codec.question(codec.GET_EVENT, SERIAL, 6)))
    assert explain(Capture(frame, request=codec.question(codec.GET_EVENT, SERIAL, 5)))["event_index"] == 5


def test_a_status_without_events_tells_none() -> None:
    """With index 0 the event fields mean nothing: each is told to be none."""
    frame = codec.encode(codec.GET_STATUS, SERIAL, {"system_time": "10:00:00"}, "response")
    meaning = explain(Capture(frame))
    assert meaning["event_index"] == 0
    assert meaning["system_datetime"] is None
    assert meaning["card"] is None


def test_over_the_real_loopback_with_every_answer_twice() -> None:
    """A real socket and duplicated datagrams: each swipe is told once, and the listener stays the site's."""
    bench = Bench()
    with Responder(bench.simulator, delivers=2) as responder:
        link = ByteLink("net", lambda: open_udp("127.0.0.1", responder.port), SystemClock(), Timing(guard=0, echo="no"))
        link.open()
        try:
            list(bench.driver.poll(link))
            bench.simulator.swipe(CARD)
            bench.simulator.swipe(CARD + 1)
            told = [record for _ in range(3) for record in bench.driver.poll(link) if isinstance(record, Event)]
        finally:
            link.close()
    assert indexes(told) == [1, 2]
    assert bench.simulator.listener == "192.168.1.5:60001"


def test_polls_only_read() -> None:
    """Whatever happens a poll asks for the status and for events, never anything that changes the controller."""
    bench = Bench()
    asked: set[int] = set()
    bench.link.tap = lambda direction, data: asked.add(data[1]) if direction == ">" else None
    bench.poll()
    for _ in range(5):
        bench.simulator.swipe(CARD)
    bench.simulator.overwrite(2)
    bench.poll()
    bench.simulator.clear()
    bench.poll()
    assert asked == {codec.GET_STATUS, codec.GET_EVENT}


@pytest.mark.parametrize(("door", "number"), [("front", 1), ("yard", 2)])
def test_a_door_is_opened_once_by_its_name(door: str, number: int) -> None:
    """The request is the one of the independent package, sent once; the controller's own event tells that it opened."""
    bench = Bench()
    bench.poll()
    sent: list[bytes] = []
    bench.link.tap = lambda direction, data: sent.append(data) if direction == ">" else None
    assert list(bench.driver.act(bench.link, Command("open", {"door": door}))) == []
    assert sent == [bytes(peer_encode.open_door_request(SERIAL, number))]
    (opened,) = [record for record in bench.poll() if isinstance(record, Event)]
    assert (opened.type, opened.data["door"]) == ("remote_opened", door)


def test_a_door_that_is_not_opened_is_an_error() -> None:
    """A controller that refuses, or says nothing, is not asked again."""
    bench = Bench()
    bench.simulator.refuses = True
    with pytest.raises(DeviceError, match="did not open door 2"):
        list(bench.driver.act(bench.link, Command("open", {"door": "yard"})))
    sent: list[bytes] = []
    bench.link.tap = lambda direction, data: sent.append(data) if direction == ">" else None
    bench.wire.port = hostile.Silence(bench.wire.port)
    with pytest.raises(LinkTimeout):
        list(bench.driver.act(bench.link, Command("open", {"door": "yard"})))
    assert len(sent) == 1


@pytest.mark.parametrize("command", [Command("open"), Command("open", {"door": "cellar"}), Command("lock")])
def test_what_is_no_door_is_not_opened(command: Command) -> None:
    """Unknown doors and verbs are refused before anything is sent."""
    bench = Bench()
    bench.wire.port = hostile.Hang(bench.wire.port, bench.clock)
    with pytest.raises(DeviceError):
        list(bench.driver.act(bench.link, command))


@pytest.mark.parametrize(
    ("identity", "card", "expected"),
    [
        ("own", 6154410, ("uhppote", f"{6154410:032b}")),
        ("w26", 6154410, ("w26", f"{61:08b}{54410:016b}")),
        ("w26", 25565535, ("w26", "1" * 24)),
        ("w26", 25600000, ("uhppote", f"{25600000:032b}")),
        ("w26", 165536, ("uhppote", f"{165536:032b}")),
        ("w34", 0xFFFFFFFF, ("w34", "1" * 32)),
    ],
)
def test_a_mapped_card_equals_the_wiegand_readers(identity: Any, card: int, expected: tuple[str, str]) -> None:
    """With `identity` set, the card has the bits it has at a Wiegand reader; impossible numbers keep their own."""
    assert codec.card_bits(card, identity) == expected


def test_without_a_card_key_nothing_counts() -> None:
    """The driver refuses to invent a reference and fetches the swipe again when there is a key."""
    bench = Bench()
    bench.driver = DRIVER(bench.options, Site())
    bench.poll()
    bench.simulator.swipe(CARD)
    for _ in range(2):
        with pytest.raises(DeviceError, match="no card key"):
            bench.poll()
    bench.restart()
    assert indexes(bench.told()) == [1]


def test_card_numbers_appear_nowhere() -> None:
    """Records, memory, reprs and errors show no form of the number."""
    bench = Bench()
    bench.poll()
    bench.simulator.swipe(CARD)
    texts = [repr(record) for record in bench.poll()] + [repr(vars(bench.driver)["_cursor"]), *bench.memory.values()]
    frame = bench.simulator.answer(codec.question(codec.GET_EVENT, SERIAL, 1))
    texts.append(repr(events.stored_of(frame)))
    half = frame[:40]
    bench.wire.port = Half(bench.wire.port)
    with pytest.raises(DeviceError) as caught:
        bench.poll()
    texts += [str(caught.value), repr(caught.value)]
    assert caught.value.raw == b""
    for text in texts:
        for form in (str(CARD), f"{CARD:x}", f"{CARD:032b}", CARD.to_bytes(4, "little").hex(), half.hex()):
            assert form not in text.lower()


class Half(hostile.Wire):
    """Cuts every answer short."""

    def read(self, within: float) -> bytes:
        """Return the first 40 bytes."""
        return self.port.read(within)[:40]


def test_a_name_given_twice_is_refused() -> None:
    """Two doors of one name could not be told apart."""
    with pytest.raises(ValueError, match="a name twice"):
        Options.model_validate({"controller": SERIAL, "doors": ["front", "front"]})


def test_the_simulator_is_a_careful_controller() -> None:
    """It is silent to what is no request, is meant for others or is not simulated; it pushes nothing to us."""
    simulator = Bench().simulator
    assert simulator.answer(b"\x17" * 10) == b""
    assert simulator.answer(codec.question(codec.GET_STATUS, OTHER)) == b""
    assert simulator.answer(codec.encode(0x50, SERIAL, {"card": 1})) == b""
    assert simulator.answer(codec.encode(0x90, SERIAL, {"listener": "10.0.0.1:9"})) != b""
    assert simulator.listener == "10.0.0.1:9"
    assert codec.decode(simulator.answer(codec.encode(0x94, 0)))["version"] == "v8.92"
    assert list(simulator.play()) == []


def test_errors_of_the_link_keep_their_kind() -> None:
    """A lost network is the link's fault, not the controller's."""
    bench = Bench()
    bench.link.close()
    with pytest.raises(LinkError) as caught:
        bench.poll()
    assert caught.value.gone
    assert inspect.isgenerator(bench.driver.poll(bench.link))


def test_the_readme_names_every_kind_of_event() -> None:
    """What can be told is documented."""
    text = (Path(__file__).parents[2] / "drivers/uhppote/README.md").read_text(encoding="utf-8")
    for kind in {*events._KINDS.values(), "visit", "denied", "exit_swipe", "controller_event"}:
        assert f"`{kind}`" in text
