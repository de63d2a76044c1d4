"""What is sent next: the contract's order, what is late, what is retained, and how much is still to come."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.journal.journal import Batch
from edge_agent.journal.row import Row
from edge_agent.ranges import Ranges
from edge_agent.records import Event, Reading
from edge_agent.uplink.connection import Message
from edge_agent.uplink.outbox import Outbox, Outgoing
from edge_agent.uplink.refusals import Refusals
from edge_agent.uplink.replays import Replay
from tests.uplink.rig import BASE, TOPICS, Store

LARGE = 1 << 20


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> Iterator[Store]:
    """A journal with its recorder."""
    with Store(tmp_path) as store:
        yield store


@contextmanager
def outbox(store: Store, *, pace: float = 0.0, refusals: Refusals | None = None) -> Iterator[Outbox]:
    """An outbox of `store`, not connected yet: nothing is sent before `begin`."""
    reader = store.reader()
    made = Outbox(reader, TOPICS, store.picture, refusals or Refusals(), info=lambda: {"station": "s1"}, pace=pace)
    store.picture.subscribe(made.changed)
    try:
        yield made
    finally:
        store.picture.unsubscribe(made.changed)
        reader.close()


def all_of(box: Outbox, *, confirm: bool = True, now: float = 0.0) -> list[Outgoing]:
    """Everything there is to send now."""
    sent: list[Outgoing] = []
    while (found := box.next(now, 0)) is not None:
        if isinstance(found, Outgoing):
            sent.append(found)
            if confirm:
                for row in found.rows:
                    box.delivery.confirm(row)
        elif found > 0:
            break
    return sent


def classes(sent: list[Outgoing]) -> list[str]:
    """The class level of each topic; what only takes back a retained message is left out."""
    told = [outgoing.message for outgoing in sent if outgoing.message.payload]
    return [message.topic.removeprefix(BASE + "/").split("/")[0] for message in told]


def body(outgoing: Outgoing) -> Any:
    """The payload."""
    return json.loads(outgoing.message.payload)


def seqs(sent: list[Outgoing], stream: str) -> list[int]:
    """The seqs of one stream in order of sending."""
    return [row.seq for outgoing in sent for row in outgoing.rows if row.stream == stream]


def test_order_of_classes(store: Store) -> None:
    """Who we are, then alarms, pictures, live telemetry; behind them the backlog, visits before telemetry."""
    store.samples(1)
    store.visits(1)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        store.visits(1)
        store.samples(1)
        store.alarm("smoke")
        sent = all_of(box)
        order = ["status", "info", "alarm", "usage", "state", "tele", "event", "event", "tele"]
        assert classes(sent) == order


def test_usage_is_strictly_by_seq(store: Store) -> None:
    """A live visit does not overtake the backlog of its own stream."""
    store.visits(3)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        store.visits(2)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert seqs(sent, "usage") == [1, 2, 3, 4, 5]
        assert [body(outgoing)["late"] for outgoing in sent] == [True] * 3 + [False] * 2


def test_live_telemetry_precedes_backlog(store: Store) -> None:
    """Live samples go first, each part in seq order, the backlog marked late."""
    store.samples(3)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        store.samples(2)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert seqs(sent, "tele") == [4, 5, 1, 2, 3]
        assert [body(outgoing).get("late", False) for outgoing in sent] == [False, True]
        assert {outgoing.message.expiry for outgoing in sent} == {7 * 86_400}


def test_batches(store: Store) -> None:
    """A batch is of one device, in seq order, and at most 8 kB; what does not fit comes in the next."""
    for n in range(300):
        store.recorder.submit("room", [Reading("temperature_c", float(n)), Reading("note", "温" * 20)])
        store.recorder.submit("hall", [Reading("temperature_c", float(n))])
    store.recorder.flush()
    with outbox(store) as box:
        box.begin("abc", LARGE)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert sorted(seqs(sent, "tele")) == list(range(1, 601))
        for outgoing in sent:
            assert len(outgoing.message.payload) <= 8192
            assert len({row.device for row in outgoing.rows}) == 1
        for device in ("room", "hall"):
            of_device = [row.seq for outgoing in sent for row in outgoing.rows if row.device == device]
            assert of_device == sorted(of_device)
        assert len(sent) < 30


def test_a_row_that_does_not_fit_is_not_overtaken(store: Store) -> None:
    """When a large sample does not fit into the batch, smaller ones behind it wait too."""
    for size in (10, 8000, 10, 10):
        store.recorder.submit("room", [Reading("note", "x" * size + str(store.clock.monotonic()))])
        store.clock.advance(1)
    store.recorder.flush()
    with outbox(store) as box:
        box.begin("abc", LARGE)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert [[row.seq for row in outgoing.rows] for outgoing in sent] == [[1], [2], [3, 4]]


def test_small_packets(store: Store) -> None:
    """Batches keep below what the broker said it takes."""
    store.samples(50)
    with outbox(store) as box:
        box.begin("abc", 1000)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert max(outgoing.message.size for outgoing in sent) <= 1000
        assert seqs(sent, "tele") == list(range(1, 51))


def test_backlog_is_paced_live_is_not(store: Store) -> None:
    """Late messages keep to the rate; live ones and alarms go at once."""
    store.visits(30)
    with outbox(store, pace=20) as box:
        box.begin("abc", LARGE)
        assert seqs(all_of(box, now=100.0), "usage") == list(range(1, 21))
        wait = box.next(100.0, 0)
        assert isinstance(wait, float)
        assert wait == pytest.approx(0.05)
        store.alarm("water_leak")
        store.samples(1)
        assert classes(all_of(box, now=100.0))[0] == "alarm"
        assert seqs(all_of(box, now=100.06), "usage") == [21]


def test_only_the_newest_alarm_is_retained(store: Store) -> None:
    """Of one (device, code) only the newest record is retained; older ones go out unretained and late."""
    for active in (True, False, True):
        store.alarm("water_leak", active=active)
    store.alarm("link_lost", active=True)
    store.alarm("link_lost", active=False)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        told = [
            (outgoing.message.topic.rsplit("/")[-1], body(outgoing)["state"], outgoing.message.retain)
            for outgoing in sent
        ]
        assert told == [
            ("water_leak", "raised", False),
            ("water_leak", "cleared", False),
            ("water_leak", "raised", True),
            ("link_lost", "raised", False),
            ("link_lost", "cleared", True),
        ]
        assert [outgoing.message.expiry for outgoing in sent] == [None, 86_400, None, None, 86_400]
        assert body(sent[0])["late"] is True


def test_live_alarm_is_not_late(store: Store) -> None:
    """An alarm raised while connected is retained and not late."""
    with outbox(store) as box:
        box.begin("abc", LARGE)
        all_of(box)
        store.alarm("smoke")
        (alarm, *_) = all_of(box)
        assert (body(alarm)["late"], alarm.message.retain) == (False, True)


def test_active_alarms_are_said_again_on_connect(store: Store) -> None:
    """A broker that lost its state is told what is raised; what is cleared it need not know."""
    store.alarm("smoke")
    store.alarm("water_leak")
    store.alarm("water_leak", active=False)
    with outbox(store) as box:
        box.begin("a", LARGE)
        all_of(box)
        for session in ("b", "c"):
            box.begin(session, LARGE)
            again = [outgoing for outgoing in all_of(box) if outgoing.rows]
            assert [(row.type, outgoing.message.retain) for outgoing in again for row in outgoing.rows] == [
                ("smoke", True)
            ]
            assert all_of(box) == []


def test_pictures_are_told_when_they_change(store: Store) -> None:
    """A retained picture goes out once a connection and again when it has changed."""
    store.samples(1)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        first = all_of(box)
        assert classes(first) == ["status", "info", "usage", "state", "tele"]
        assert [outgoing.message.retain for outgoing in first] == [True, True, True, True, False]
        assert body(first[0])["session"] == "abc"
        assert all_of(box) == []
        store.samples(1)
        assert classes(all_of(box)) == ["state", "tele"]
        box.begin("def", LARGE)
        assert classes(all_of(box)) == ["status", "info", "usage", "state"]


def test_pending_counts_survive_a_restart(store: Store) -> None:
    """What waits is counted exactly, also when acknowledgements came out of order and the agent was restarted."""
    store.visits(10)
    store.samples(4)
    store.alarm("smoke")
    with outbox(store) as box:
        box.begin("abc", LARGE)
        assert box.delivery.pending() == {"alarm": 1, "usage": 10, "tele": 4}
        sent = [outgoing for outgoing in all_of(box, confirm=False) if outgoing.rows]
        for outgoing in sent:
            if outgoing.rows[0].seq in (2, 3, 7):
                box.delivery.confirm(outgoing.rows[0])
        assert box.delivery.pending() == {"alarm": 1, "usage": 7, "tele": 4}
        store.recorder.acknowledge(box.delivery.fresh())
        assert box.delivery.fresh() == {}
    store.restart()
    with outbox(store) as box:
        assert box.delivery.pending() == {"alarm": 1, "usage": 7, "tele": 4}
        box.begin("abc", LARGE)
        assert seqs(all_of(box), "usage") == [1, 4, 5, 6, 8, 9, 10]
        assert box.delivery.pending() == {"alarm": 0, "usage": 0, "tele": 0}


def test_confirming_twice_counts_once(store: Store) -> None:
    """An acknowledgement of what is already acknowledged changes nothing."""
    store.visits(1)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        (sent,) = [outgoing for outgoing in all_of(box) if outgoing.rows]
        box.delivery.confirm(sent.rows[0])
        assert box.delivery.acknowledged == 1
        assert box.delivery.pending()["usage"] == 0


def test_oldest(store: Store) -> None:
    """The oldest record that waits moves on as records are acknowledged."""
    store.visits(1)
    first = round(store.clock.wall() * 1000)
    store.clock.advance(60)
    store.visits(1)
    with outbox(store) as box:
        assert box.delivery.oldest_ms() == first
        box.begin("abc", LARGE)
        one, two = [outgoing for outgoing in all_of(box, confirm=False) if outgoing.rows]
        box.delivery.confirm(one.rows[0])
        assert box.delivery.oldest_ms() == first + 60_000
        assert box.delivery.oldest_ms() == first + 60_000
        box.delivery.confirm(two.rows[0])
        assert box.delivery.oldest_ms() is None


def test_epochs(store: Store) -> None:
    """Rows of an earlier epoch are sent under its name, before those of the present one."""
    store.visits(2)
    old = store.journal.epoch_name
    with outbox(store) as box:
        box.begin("abc", LARGE)
        all_of(box, confirm=False)
        store.journal.begin_epoch("test")
        store.visits(2)
        new = store.journal.epoch_name
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert [body(outgoing)["id"] for outgoing in sent] == [f"s1/{new}/usage/{n}" for n in (1, 2)]
        assert box.delivery.pending()["usage"] == 2
        box.begin("def", LARGE)
        sent = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert [body(outgoing)["epoch"] for outgoing in sent] == [old, old]
        assert box.delivery.pending()["usage"] == 0
        box.begin("ghi", LARGE)
        assert [outgoing for outgoing in all_of(box) if outgoing.rows] == []


def test_holes_are_not_waited_for(store: Store) -> None:
    """Numbers without a record, at the front, in the middle or before an epoch's first, are not counted as waiting."""
    store.journal.reserve("usage")
    store.journal.reserve("usage")
    store.visits(2)
    store.journal.reserve("usage")
    store.visits(1)
    store.journal.begin_epoch("test")
    store.journal.reserve("usage")
    store.visits(1)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        sent = [outgoing for outgoing in all_of(box, confirm=False) if outgoing.rows]
        assert seqs(sent, "usage") == [3, 4, 6, 2]
        assert box.delivery.pending()["usage"] == 4


def test_records_that_come_back_to_an_earlier_epoch(store: Store) -> None:
    """What is carried over from a damaged file in the background is noticed, counted, and sent after a rewind."""
    store.visits(2)
    old = store.journal.epoch
    store.journal.begin_epoch("test")
    store.visits(1)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        assert seqs(all_of(box), "usage") == [1, 2, 1]
        body = ("door", "visit", store.journal.boot, 0, 0, True, "{}")
        store.journal.commit(Batch(restored=[Row("usage", old, seq, *body) for seq in (3, 4)]))
        assert not box.delivery.grown
        assert box.delivery.pending()["usage"] == 2
        assert box.delivery.grown
        box.rewind()
        assert not box.delivery.grown
        assert seqs(all_of(box), "usage") == [3, 4]


def test_acknowledged_beyond_what_is_held(store: Store) -> None:
    """Acknowledgements of rows that a damaged file has lost do not make the count of what waits negative."""
    store.visits(2)
    store.recorder.acknowledge({("usage", store.journal.epoch): Ranges([(1, 50)])})
    store.recorder.flush()
    with outbox(store) as box:
        assert box.delivery.pending()["usage"] == 0


def test_a_held_topic_is_passed_over(store: Store) -> None:
    """While one topic is held, others keep their order; once it is free its rows come first again."""
    for n in range(6):
        store.visits(1, device="door" if n % 2 else "gate")
    refusals = Refusals()
    refusals.hold(f"{BASE}/event/gate", 0.0)
    with outbox(store, refusals=refusals) as box:
        box.begin("abc", LARGE)
        assert seqs(all_of(box), "usage") == [2, 4, 6]
        assert box.delivery.pending()["usage"] == 3
        assert refusals.due(3601.0)
        box.rewind()
        assert seqs(all_of(box), "usage") == [1, 3, 5]


def test_many_held_rows_are_passed_over_in_pages(store: Store) -> None:
    """A page that is held from end to end is not the end: the outbox asks to be called again at once."""
    store.record("gate", *[Event("visit", {}) for _ in range(450)])
    store.visits(1)
    refusals = Refusals()
    refusals.hold(f"{BASE}/event/gate", 0.0)
    with outbox(store, refusals=refusals) as box:
        box.begin("abc", LARGE)
        assert seqs(all_of(box), "usage") == [451]


def test_held_pictures_and_alarms(store: Store) -> None:
    """A held picture or announcement is told once its topic is free, with what is then true."""
    store.alarm("smoke")
    store.samples(1)
    refusals = Refusals()
    with outbox(store, refusals=refusals) as box:
        box.begin("a", LARGE)
        all_of(box)
        for topic in ("state/room", "alarm/room/smoke", "info"):
            refusals.hold(f"{BASE}/{topic}", 0.0)
        box.begin("b", LARGE)
        assert classes(all_of(box)) == ["status", "usage"]
        assert refusals.due(3600.0)
        box.rewind()
        assert classes(all_of(box)) == ["info", "alarm", "state"]


def test_taken_back(store: Store) -> None:
    """What the broker refused in passing is sent again: pictures and announcements at once, rows after a rewind."""
    store.alarm("smoke")
    store.visits(1)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        sent = all_of(box, confirm=False)
        assert classes(sent) == ["status", "info", "alarm", "usage", "event"]
        for outgoing in sent:
            box.take_back(outgoing)
        box.rewind()
        assert classes(all_of(box)) == ["status", "info", "alarm", "usage", "event"]


def test_split(store: Store) -> None:
    """A batch that was refused comes again in halves."""
    store.samples(3)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        (batch,) = [outgoing for outgoing in all_of(box, confirm=False) if outgoing.rows]
        box.split(batch)
        assert [[row.seq for row in outgoing.rows] for outgoing in all_of(box)] == [[1], [2, 3]]


def test_shrink(store: Store) -> None:
    """Batches stay below a size that was refused, in later connections too."""
    store.samples(40)
    with outbox(store) as box:
        box.begin("a", LARGE)
        box.shrink(600)
        box.shrink(900)
        sizes = [len(outgoing.message.payload) for outgoing in all_of(box, confirm=False) if outgoing.rows]
        assert max(sizes) <= 600
        box.begin("b", LARGE)
        assert max(len(outgoing.message.payload) for outgoing in all_of(box) if outgoing.rows) <= 600


def test_replay(store: Store) -> None:
    """A range asked for again is sent late and unretained with the same ids, whether or not the broker had it."""
    store.visits(5)
    store.samples(3)
    store.alarm("smoke")
    with outbox(store) as box:
        box.begin("abc", LARGE)
        first = {
            row.seq: body(outgoing)["id"] for outgoing in all_of(box) for row in outgoing.rows if row.stream == "usage"
        }
        epoch = store.journal.epoch
        for replay in (Replay("usage", epoch, 2, 4), Replay("tele", epoch, 2, 99), Replay("alarm", epoch, 1, 1)):
            assert box.replay(replay)
        again = all_of(box)
        assert seqs(again, "usage") == [2, 3, 4]
        assert seqs(again, "tele") == [2, 3]
        assert [body(outgoing)["id"] for outgoing in again[:3]] == [first[n] for n in (2, 3, 4)]
        assert all(body(outgoing)["late"] for outgoing in again)
        assert not any(outgoing.message.retain for outgoing in again)
        assert all_of(box) == []
        assert box.delivery.acknowledged == 9


def test_replay_is_paced_and_bounded(store: Store) -> None:
    """Replays keep to the rate of the backlog, and a hundred requests may wait."""
    store.visits(30)
    with outbox(store, pace=20) as box:
        box.begin("abc", LARGE)
        all_of(box, now=100.0)
        all_of(box, now=102.0)
        epoch = store.journal.epoch
        assert [box.replay(Replay("usage", epoch, 1, 30)) for _ in range(101)] == [True] * 100 + [False]
        assert len(all_of(box, now=104.0)) == 20


def test_replay_survives_a_lost_connection(store: Store) -> None:
    """What was in flight of a replay when the connection broke is sent again."""
    store.visits(3)
    with outbox(store) as box:
        box.begin("a", LARGE)
        all_of(box)
        box.replay(Replay("usage", store.journal.epoch, 1, 3))
        for outgoing in all_of(box):
            box.take_back(outgoing)
        box.begin("b", LARGE)
        assert sorted(seqs(all_of(box), "usage")) == [1, 2, 3]


def test_gaps_and_corrections(store: Store) -> None:
    """A declared loss and a clock correction go to their own topics, in the order of their stream."""
    store.samples(1)
    store.recorder.declare([("tele", {"from_seq": 5, "to_seq": 9, "reason": "test", "count": 5})])
    store.recorder.declare([("alarm", {"from_seq": 5, "to_seq": 9, "reason": "test", "count": 5})])
    store.recorder.declare([("usage", {"from_seq": 5, "to_seq": 9, "reason": "test", "count": 5})])
    store.recorder.flush()
    with outbox(store) as box:
        box.begin("abc", LARGE)
        topics = [outgoing.message.topic.removeprefix(BASE + "/") for outgoing in all_of(box) if outgoing.rows]
        assert topics == ["gap/alarm", "gap/usage", "tele/room", "gap/tele"]


def test_an_unsynced_boot_is_dated(store: Store) -> None:
    """Records of a clock that was not good are dated as soon as it is known how, and what was sent is corrected."""
    store.clock.set_wall(1000.0, good=False)
    store.visits(2)
    with outbox(store) as box:
        box.begin("abc", LARGE)
        sent = [body(outgoing) for outgoing in all_of(box) if outgoing.rows]
        assert [record["clock"] for record in sent] == ["unsynced", "unsynced"]
        store.visits(1)
        store.clock.set_wall(1_780_000_000.0)
        store.recorder.flush()
        store.clock.advance(60)
        store.recorder.flush()
        later = [outgoing for outgoing in all_of(box) if outgoing.rows]
        assert body(later[0])["clock"] == "corrected"
        corrections = [body(each) for each in later if each.message.topic == f"{BASE}/clock"]
        assert {(record["stream"], record["from_seq"], record["to_seq"]) for record in corrections} == {("usage", 1, 3)}
        assert body(later[0])["ts"].startswith("2026-05-28T20:26:40")


def test_no_more_replies_than_anybody_reads(store: Store) -> None:
    """Answers go before all else; of too many the oldest are dropped, and a new connection begins without any."""
    with outbox(store) as box:
        box.begin("abc", LARGE)
        for n in range(150):
            box.reply(Message(f"{BASE}/reply/{n}", b"{}"))
        sent = all_of(box)
        assert sent[0].message.topic == f"{BASE}/reply/50"
        assert classes(sent).count("reply") == 100
        box.reply(Message(f"{BASE}/reply/x", b"{}"))
        box.begin("def", LARGE)
        assert "reply" not in classes(all_of(box))


def test_nothing_recorded(store: Store) -> None:
    """An outbox on an empty journal has nothing but pictures to send."""
    with outbox(store) as box:
        box.begin("abc", LARGE)
        assert classes(all_of(box)) == ["status", "info", "usage"]
        assert box.delivery.oldest_ms() is None


def test_info_is_told_again_when_a_device_tells_new_points(store: Store) -> None:
    """At most once a minute, and not while nothing new came."""
    known = {"points": ["a"]}
    reader = store.reader()
    box = Outbox(reader, TOPICS, store.picture, Refusals(), info=lambda: dict(known), pace=0.0)

    def sent_at(now_ms: int) -> list[str]:
        store.record("room", Reading("a", float(now_ms)))
        found = []
        while isinstance(outgoing := box.next(0.0, now_ms), Outgoing):
            found.append(outgoing)
            for row in outgoing.rows:
                box.delivery.confirm(row)
        return [topic for topic in classes(found) if topic == "info"]

    box.begin("abc", LARGE)
    assert sent_at(1_000_000) == ["info"]
    known["points"] = ["a", "b"]
    assert sent_at(1_059_999) == []
    assert sent_at(1_060_000) == ["info"]
    assert sent_at(1_130_000) == []
    reader.close()
