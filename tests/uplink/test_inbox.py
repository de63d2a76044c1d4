"""Commands on their way: a device that is stuck holds up nobody but those who want something of it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from edge_agent.actors import Actors
from edge_agent.driver import Command, Link, Reading, Record, Verbs, takes
from edge_agent.orders import Acted
from edge_agent.records import Alarm, Event
from edge_agent.uplink.connection import Received
from tests.uplink.rig import BASE, DEADLINE_S, Rig


class Lockers:
    """A lock board, and the Worker of a wire that hangs until the test lets go of it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.free = threading.Event()
        self.opened: list[object] = []

    def verbs(self) -> Verbs:
        """See Actor."""
        return {"open": takes(lock=Annotated[int, Field(ge=1, le=4)])}

    def act(self, link: Link, command: Command) -> list[Record]:
        """See Actor; an order goes to `hang`, which is the wire."""
        raise AssertionError(f"{command.name} came past the wire")

    def hang(self, _device: str, command: Command, _within: float) -> Acted:
        """Take an order that the wire keeps."""
        self.entered.set()
        assert self.free.wait(2 * DEADLINE_S)
        self.opened.append(command.args["lock"])
        return Acted.of([Reading(f"lock_{command.args['lock']:02}", "open")])


class Hand:
    """The Worker of the lockers."""

    def __init__(self, lockers: Lockers) -> None:
        self.act = lockers.hang


@pytest.fixture(name="rig")
def _rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig.of(tmp_path) as rig:
        rig.drained()
        with rig.recorder_running():
            yield rig


@pytest.fixture(name="lockers")
def _lockers(rig: Rig) -> Iterator[Lockers]:
    """Lockers whose wire hangs, and commands carried out in their own thread."""
    lockers = Lockers()
    Actors(rig.gate).offer("lockers", lockers, Hand(lockers))
    with rig.commands_running():
        try:
            yield lockers
        finally:
            lockers.free.set()


def received(rig: Rig, name: str, verb: str = "lockers/open", expiry: int | None = 30) -> Received:
    """A command as the connection gives it."""
    body = {"id": name, "by": "tester", "ts": datetime.fromtimestamp(rig.clock.wall(), tz=UTC).isoformat(), "lock": 1}
    return Received(f"{BASE}/cmd/{verb}", json.dumps(body).encode(), False, expiry, None, None)


def told(rig: Rig) -> list[tuple[str, object]]:
    """Every answer that waits to be sent, as (id, reason)."""
    bodies = [json.loads(message.payload) for message in rig.inbox.answers()]
    return [(body["id"], body.get("reason")) for body in bodies]


def test_what_is_published_does_not_wait_for_a_device_that_is_stuck(rig: Rig, lockers: Lockers) -> None:
    """An SOS and three visits are at the broker while the command is still open; its answer follows when it is done."""
    rig.command("lockers/open", lock=3)
    rig.until(lockers.entered.is_set)
    rig.store.recorder.submit("hall", [Alarm("sos", active=True)])
    rig.store.recorder.submit("door", [Event("visit", {"n": n}) for n in range(3)])
    rig.until(lambda: rig.bodies("alarm/hall/sos") and len(rig.bodies("event/door")) == 3)
    assert not lockers.opened
    assert not rig.bodies("reply/")
    lockers.free.set()
    rig.until(lambda: rig.bodies("reply/c1"))
    assert rig.bodies("reply/c1") == [{"id": "c1", "ok": True, "observed": {"lock_03": "open"}}]


def test_commands_are_carried_out_and_answered_in_their_order(rig: Rig, lockers: Lockers) -> None:
    """Those behind one that is stuck wait for it."""
    for lock in (2, 1, 4):
        rig.command("lockers/open", id=f"c{lock}", lock=lock)
    rig.command("journal/committed", stream="usage", epoch=rig.store.journal.epoch_name, upto=0, id="c9")
    rig.until(lockers.entered.is_set)
    lockers.free.set()
    rig.until(lambda: len(rig.bodies("reply/")) == 4)
    assert [body["id"] for body in rig.bodies("reply/")] == ["c2", "c1", "c4", "c9"]
    assert lockers.opened == [2, 1, 4]


def test_what_finds_no_room_is_answered_at_once(rig: Rig) -> None:
    """It is told that the station is busy, on record, and may be asked again; what waits is not pushed out."""
    for number in range(101):
        rig.inbox.put(received(rig, f"c{number}", "lockers/close"))
    assert told(rig) == [("c100", "busy: too many commands wait here")]
    for _ in range(100):
        assert rig.inbox.step()
    assert [name for name, _ in told(rig)] == [f"c{number}" for number in range(100)]
    rig.inbox.put(received(rig, "c100", "lockers/close"))
    assert rig.inbox.step()
    assert not rig.inbox.step()
    assert told(rig)[0][0] == "c100"
    rig.until(lambda: rig.bodies("event/station"))
    busy = rig.bodies("event/station")[0]
    assert (busy["type"], busy["command_id"], busy["decision"]) == ("audit", "c100", "refused")


def test_a_command_that_expires_in_the_queue_does_not_act(rig: Rig) -> None:
    """Its life goes on while it waits: whoever asked has given it up."""
    rig.inbox.put(received(rig, "c1", expiry=30))
    rig.clock.advance(30)
    assert rig.inbox.step()
    assert told(rig) == [("c1", "expired while it waited for others")]


def test_an_answer_lives_for_a_minute(rig: Rig) -> None:
    """It goes out with what is left of that after an outage of the network; then nobody waits for it any more."""
    for wait, left in ((0, [60]), (59, [1]), (60, [])):
        rig.inbox.put(received(rig, "c1", "lockers/close"))
        assert rig.inbox.step()
        rig.clock.advance(wait)
        assert [message.expiry for message in rig.inbox.answers()] == left
