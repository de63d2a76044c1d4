"""Corners of delivery that real sockets show too rarely, with a connection that does what the test says."""

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.errors import UplinkError
from edge_agent.uplink.connection import Acknowledged, Connection, Happening, Message, Opened, Received
from edge_agent.uplink.replays import Replay
from tests.uplink.rig import BASE, Rig


class Script:
    """A connection; what is put into `next` happens at the next pump."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.next: deque[Happening] = deque([Opened(20, 1 << 20)])
        self.broken = False
        self.closed = threading.Event()

    def send(self, message: Message) -> int:
        """See Connection."""
        if self.broken:
            raise UplinkError("gone")
        self.sent.append(message)
        return len(self.sent)

    def subscribe(self, topic_filter: str, *, retain_as_published: bool = True) -> None:
        """See Connection."""
        if self.broken:
            raise UplinkError("gone")

    def unsubscribe(self, topic_filter: str) -> None:
        """See Connection."""

    def pump(self, seconds: float) -> list[Happening]:
        """See Connection."""
        happened = list(self.next)
        self.next.clear()
        return happened

    def wake(self) -> None:
        """See Connection."""

    def close(self, *, in_peace: bool) -> None:
        """See Connection."""
        self.closed.set()

    def acknowledge(self, code: int = 0) -> None:
        """Let the broker answer everything sent."""
        self.next.extend(Acknowledged(mid + 1, code) for mid in range(len(self.sent)))

    def topics(self) -> list[str]:
        """What was sent where, below the station; what only takes back a retained message is left out."""
        return [message.topic.removeprefix(BASE + "/") for message in self.sent if message.payload]

    def refuse(self, topic: str, code: int) -> None:
        """Let the broker refuse the first message to `topic`."""
        mids = [mid for mid, message in enumerate(self.sent, 1) if message.topic == f"{BASE}/{topic}"]
        self.next.append(Acknowledged(mids[0], code))


class Scripted(Rig):
    """A rig over scripted connections."""

    scripts: list[Script]

    def start(self) -> Script:
        """Connect and let everything there is be sent."""
        self.scripts = []
        self.connect = self._scripted
        self.uplink.close()
        self.uplink = self._make()
        self.step()
        script = self.scripts[-1]
        self.step()
        self.step()
        return script

    def _scripted(self, _will: Message) -> Connection:
        self.scripts.append(Script())
        return self.scripts[-1]


@pytest.fixture(name="rig")
def fixture_rig(tmp_path: Path) -> Iterator[Scripted]:
    """A scripted rig."""
    with Scripted.of(tmp_path) as rig:
        assert isinstance(rig, Scripted)
        yield rig


def test_a_send_that_fails(rig: Scripted) -> None:
    """What could not be handed over is sent on the next connection, pictures included."""
    script = rig.start()
    script.acknowledge()
    rig.step()
    script.broken = True
    rig.store.visits(1)
    rig.step()
    assert script.closed.is_set()
    assert rig.link.why == "gone"
    rig.until(lambda: len(rig.scripts) == 2)
    rig.until(lambda: "event/door" in rig.scripts[1].topics(), patient=False)
    assert rig.scripts[1].topics() == ["status", "info", "usage", "event/door"]


def test_a_subscription_that_fails(rig: Scripted) -> None:
    """A connection that breaks while it opens is a lost one."""
    script = rig.start()
    script.broken = True
    script.next.append(Opened(20, 1 << 20))
    rig.step()
    assert rig.link.why == "gone"


def test_refused_while_others_are_in_flight(rig: Scripted) -> None:
    """After a refusal for the broker's sake nothing is sent until everything in flight is answered; then in order."""
    rig.store.visits(3)
    script = rig.start()
    assert script.topics()[-3:] == ["event/door"] * 3
    before = len(script.sent)
    script.next.append(Acknowledged(before - 2, 0x97))
    rig.step()
    rig.clock.advance(2.0)
    rig.store.visits(1)
    rig.step()
    assert len(script.sent) == before
    script.next.extend([Acknowledged(mid + 1, 0) for mid in range(before) if mid != before - 3])
    rig.step()
    rig.step()
    again = [message.payload for message in script.sent[before:] if message.topic.endswith("event/door")]
    assert [payload[payload.index(b'"seq":') + 6] for payload in again] == [ord("1"), ord("4")]


def test_an_acknowledgement_twice(rig: Scripted) -> None:
    """A second acknowledgement of the same packet id counts for nothing."""
    rig.store.visits(1)
    script = rig.start()
    script.acknowledge()
    script.acknowledge()
    rig.step()
    rig.step()
    assert rig.uplink._outbox is not None
    assert rig.uplink._outbox.delivery.acknowledged == 1


def test_a_replay_that_can_never_pass(rig: Scripted) -> None:
    """A row that the broker had once and refuses now is neither set aside nor declared as lost."""
    rig.store.visits(1)
    script = rig.start()
    script.acknowledge()
    rig.step()
    outbox = rig.uplink._outbox
    assert outbox is not None
    outbox.replay(Replay("usage", 1, 1, 1))
    before = len(script.sent)
    rig.step()
    script.next.append(Acknowledged(before + 1, 0x99))
    rig.step()
    rig.clock.advance(2)
    rig.step()
    assert rig.pending["usage"] == 0
    assert len([t for t in script.topics() if t == "event/door"]) == 2


def test_an_announcement_that_is_refused(rig: Scripted) -> None:
    """An alarm said again after a reconnect and refused as broken is not set aside: the broker had it."""
    rig.store.alarm("smoke")
    script = rig.start()
    script.acknowledge()
    rig.step()
    script.broken = True
    rig.store.visits(1)
    rig.until(lambda: len(rig.scripts) == 2)
    rig.until(lambda: "alarm/room/smoke" in rig.scripts[1].topics(), patient=False)
    again = rig.scripts[1]
    again.refuse("alarm/room/smoke", 0x99)
    rig.step()
    rig.clock.advance(2)
    rig.step()
    assert rig.pending["alarm"] == 1  # the alarm about the refusal itself
    assert again.topics().count("alarm/room/smoke") == 1


def test_a_page_of_neighbours(rig: Scripted) -> None:
    """While one device's samples are batched, what another connection has had acknowledged in between is left out."""
    rig.store.samples(4)
    rig.start()
    outbox = rig.uplink._outbox
    assert outbox is not None
    outbox.rewind()
    row = outbox._backlog.peek()
    assert row is not None
    outbox._backlog.take()
    outbox.delivery.settle("tele", row.epoch, 3, 3)
    assert [other.seq for other in outbox._backlog.take_like(row, lambda _row: 1, 100)] == [2, 4]


def test_a_replay_over_missing_rows(rig: Scripted) -> None:
    """A range of which nothing is left comes to its end."""
    rig.start()
    outbox = rig.uplink._outbox
    assert outbox is not None
    outbox.replay(Replay("usage", 1, 50, 60))
    for _ in range(3):
        rig.step()
    assert outbox.next(0.0, 0) is None


def test_set_aside_rows_that_have_gone(rig: Scripted) -> None:
    """A gap is declared also if the row itself has had to go meanwhile; its times are then left out."""
    rig.store.visits(1)
    script = rig.start()
    script.next.append(Acknowledged(len(script.sent), 0x99))
    rig.step()
    assert rig.pending["usage"] == 1
    rig.store.journal.db.execute("DELETE FROM usage WHERE device = 'door'")
    rig.store.journal.begin_epoch("test")
    rig.clock.advance(86_400)
    for _ in range(3):
        rig.step()
        rig.clock.advance(1)
    rig.store.recorder.flush()
    reader = rig.store.reader()
    (gap,) = [row for row in reader.all_rows() if row.type == "gap"]
    reader.close()
    assert '"reason":"refused"' in gap.body
    assert '"from"' not in gap.body
    assert '"of_epoch"' in gap.body


def test_farewell_to_a_broken_connection(rig: Scripted) -> None:
    """Stopping while the connection is breaking ends at once, without a good-bye."""
    script = rig.start()
    script.acknowledge()
    rig.step()
    script.broken = True
    rig.uplink.stop()
    rig.uplink.run(lambda _deadline: None)
    assert script.closed.is_set()


def test_farewell_before_the_connection(rig: Scripted) -> None:
    """Stopping before there is a connection ends at once."""
    rig.uplink.stop()
    rig.uplink.run(lambda _deadline: None)
    assert not rig.link.online


def test_a_broker_that_does_not_answer_the_farewell(rig: Scripted) -> None:
    """The good-bye is given two seconds."""
    script = rig.start()
    script.acknowledge()
    rig.step()
    pump = script.pump

    def slow(seconds: float) -> list[Happening]:
        rig.clock.advance(0.7)
        return pump(seconds)

    script.pump = slow  # type: ignore[method-assign]
    rig.uplink.stop()
    began = rig.clock.monotonic()
    rig.uplink.run(lambda _deadline: None)
    assert rig.clock.monotonic() - began < 5
    assert script.closed.is_set()


def test_a_message_that_is_no_command(rig: Scripted) -> None:
    """A broker that sends what was not asked for is not answered."""
    assert not rig.inbox.step()
    rig.inbox.put(Received("elsewhere", b"{}", False, 30, None, None))
    assert not rig.inbox.step()
    assert rig.inbox.answers() == []
