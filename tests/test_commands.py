"""The one gate for everything that acts: what passes, what is refused and why, and what is on record before it acts."""

import json
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from edge_agent.clock import FakeClock
from edge_agent.commands import SEEN, Answer, Command, CommandRefused, Gate, Request
from edge_agent.records import Event, Json, Record

DAY = 86_400.0


class Open(Command):
    """A verb of this test."""

    seconds: int


class Book:
    """Keeps what is handed over in the order in which it came."""

    def __init__(self) -> None:
        self.audit: list[dict[str, Json]] = []
        self.kept: dict[str, str] = {}
        self.works = True

    def submit(self, device: str, records: Iterable[Record], at: float | None = None) -> None:
        """See Recorder."""
        assert device == "station"
        for record in records:
            assert isinstance(record, Event)
            assert record.type == "audit"
            self.audit.append(dict(record.data))

    def submit_durably(
        self, device: str, records: Iterable[Record], state: Mapping[str, str | None], within: float
    ) -> bool:
        """See Recorder."""
        if self.works:
            self.submit(device, records)
            for key, text in state.items():
                self.kept.pop(key, None)
                if text is not None:
                    self.kept[key] = text
        return self.works


class Rig:
    """A gate with one verb."""

    def __init__(self, kept: Mapping[str, str] | None = None, clock: FakeClock | None = None) -> None:
        self.book = Book()
        self.book.kept = dict(kept or {})
        self.clock = clock or FakeClock()
        self.acted: list[Open] = []
        self.gate = Gate(self.book, self.clock, ["door/open", "journal/*"], self.book.kept)
        self.gate.register("door/open", Open, self._act)

    def _act(self, command: Open) -> Mapping[str, Json]:
        assert SEEN + command.id in self.book.kept
        self.acted.append(command)
        return {"opened": command.seconds}

    def ask(self, name: str = "c1", *, verb: str = "door/open", expiry: float | None = 30.0, **changes: Any) -> Answer:
        """Send a command that is right but for `changes`."""
        retained = changes.pop("retained", False)
        ts = datetime.fromtimestamp(self.clock.wall(), tz=UTC).isoformat()
        body = {"id": name, "by": "tester", "ts": ts, "seconds": 5} | changes
        body = {key: value for key, value in body.items() if value is not None}
        return self.gate.handle(Request(verb, json.dumps(body).encode(), expiry, retained))


def test_passes() -> None:
    """A command that is right is on record before it acts, and is answered with the result."""
    rig = Rig()
    assert rig.ask() == Answer("c1", ok=True, result={"opened": 5})
    assert [command.seconds for command in rig.acted] == [5]
    assert rig.book.audit == [{"command": "door/open", "command_id": "c1", "by": "tester", "decision": "accepted"}]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"retained": True}, "retained: a command is for now, not for whoever comes later"),
        ({"expiry": None}, "needs a message expiry of at most 60 s"),
        ({"expiry": 0}, "expired while it waited for others"),
        ({"expiry": 61}, "needs a message expiry of at most 60 s"),
        ({"verb": "door/close"}, "not on this station's allow-list"),
        ({"verb": "journal/nothing"}, "unknown here"),
        ({"verb": "journal"}, "unknown here"),
        ({"seconds": "5"}, "seconds: Input should be a valid integer"),
        ({"seconds": None}, "seconds: Field required"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"by": ""}, "by: String should have at least 1 character"),
        ({"ts": "2026-05-28T20:26:40"}, "ts: Input should have timezone info"),
        ({"ts": "2020-01-01T00:00:00Z"}, "its time is more than 60 s from the station's: "),
        ({"ts": "2030-01-01T00:00:00Z"}, "its time is more than 60 s from the station's: "),
        ({"padding": "x" * 5000}, "larger than 4096 bytes"),
    ],
)
def test_refused(changes: dict[str, Any], reason: str) -> None:
    """What is not right does not act, is answered with the reason, and audited."""
    rig = Rig()
    answer = rig.ask(**changes)
    assert (answer.id, answer.ok) == ("c1", False)
    assert answer.reason.startswith(reason)
    assert not rig.acted
    (audit,) = rig.book.audit
    assert (audit["decision"], audit["reason"], audit["command_id"]) == ("refused", answer.reason, "c1")
    assert not rig.book.kept


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"id":"../x"}', b'{"id":5}', b"\xff" * 100, b"x" * 100_000])
def test_nonsense(payload: bytes) -> None:
    """Nonsense has no id that could be answered; it is refused and audited."""
    rig = Rig()
    answer = rig.gate.handle(Request("door/open", payload, 30.0))
    assert (answer.id, answer.ok) == ("", False)
    assert rig.book.audit[0]["command_id"] == ""


def test_a_bad_clock_refuses_no_command() -> None:
    """A station that does not know the time judges by the message expiry alone."""
    rig = Rig(clock=FakeClock(wall=0.0, good=False))
    assert rig.ask(ts="2026-05-28T20:26:40Z").ok


def test_seen_before() -> None:
    """An id acts once, also after a restart; after a week it is forgotten, in the transaction of another."""
    rig = Rig()
    assert rig.ask().ok
    assert rig.ask().reason == "seen before"
    again = Rig(rig.book.kept, rig.clock)
    assert again.ask().reason == "seen before"
    rig.clock.advance(7 * DAY - 1)
    assert again.ask().reason == "seen before"
    rig.clock.advance(2)
    assert again.ask("c2").ok
    assert set(again.book.kept) == {SEEN + "c2"}
    assert again.ask().ok


@pytest.mark.parametrize(("good", "forgotten"), [(True, True), (False, False)])
def test_age_across_boots(*, good: bool, forgotten: bool) -> None:
    """What an earlier boot saw grows old by the wall clock, but only by a good one."""
    rig = Rig()
    assert rig.ask().ok
    rig.clock.reboot("another")
    rig.clock.set_wall(rig.clock.wall() + 8 * DAY, good=good)
    again = Rig(rig.book.kept, rig.clock)
    assert again.ask("c2").ok
    assert (SEEN + "c1" not in again.book.kept) is forgotten


def test_not_on_record_does_not_act() -> None:
    """If the journal cannot take it down, a command does not act, and may be tried again."""
    rig = Rig()
    rig.book.works = False
    assert rig.ask().reason == "the journal cannot take it down just now"
    assert not rig.acted
    rig.book.works = True
    assert rig.ask().ok


def test_failed() -> None:
    """A verb that cannot do it says why; the audit has both that it was accepted and that it failed."""
    rig = Rig()

    def act(_command: Open) -> Mapping[str, Json]:
        raise CommandRefused("locked from inside")

    rig.gate.register("door/open", Open, act)
    assert rig.ask() == Answer("c1", ok=False, reason="locked from inside")
    assert [audit["decision"] for audit in rig.book.audit] == ["accepted", "failed"]
    assert rig.ask().reason == "seen before"


def test_too_many() -> None:
    """Sixty may come at once, then two a minute; whoever floods the station does not fill its journal."""
    rig = Rig()
    answers = [rig.ask(f"c{n}") for n in range(100)]
    assert [answer.ok for answer in answers] == [True] * 60 + [False] * 40
    assert {answer.reason for answer in answers[60:]} == {"too many commands"}
    assert len(rig.book.audit) == 60
    rig.clock.advance(60)
    assert [rig.ask(f"d{n}").ok for n in range(3)] == [True, True, False]


def test_from_several_threads() -> None:
    """Page and uplink may ask at once: one id still acts once."""
    rig = Rig()
    threads = [threading.Thread(target=rig.ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rig.acted) == 1


def test_turned_away() -> None:
    """What there is no room for is refused and on record, and may be asked again; a flood of it fills no journal."""
    rig = Rig()
    asked = Request("door/open", b'{"id":"c1","by":"tester"}', 30.0)
    assert rig.gate.turn_away(asked, "busy") == Answer("c1", ok=False, reason="busy")
    assert rig.book.audit == [
        {"command": "door/open", "command_id": "c1", "by": "tester", "decision": "refused", "reason": "busy"}
    ]
    assert rig.ask().ok
    for _ in range(100):
        assert not rig.gate.turn_away(asked, "busy").ok
    assert len(rig.book.audit) == 60


def test_a_device_that_is_stuck_holds_up_no_other() -> None:
    """While one act does not end, another device obeys, and more is turned away; one device acts in turn."""
    rig = Rig()
    entered, free = threading.Event(), threading.Event()

    def hang(_command: Open) -> Mapping[str, Json]:
        entered.set()
        assert free.wait(20)
        return {}

    rig.gate.register("journal/hang", Open, hang)
    rig.gate.register("journal/next", Open, lambda _command: {"after": free.is_set()})
    with ThreadPoolExecutor(2) as pool:
        try:
            stuck = pool.submit(rig.ask, "c1", verb="journal/hang")
            assert entered.wait(20)
            behind = pool.submit(rig.ask, "c2", verb="journal/next")
            assert rig.ask("c3").ok
            assert not rig.gate.turn_away(Request("door/open", b"", 30.0), "busy").ok
            assert not stuck.done()
        finally:
            free.set()
        assert stuck.result().ok
        assert behind.result().result == {"after": True}
