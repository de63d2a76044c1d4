"""What waits at the door is bounded; what finds no room is counted, an alarm never is lost."""

import json
import threading
from pathlib import Path

from edge_agent.ranges import Ranges
from edge_agent.recorder.queue import Queue, Submission
from edge_agent.records import Alarm, Event, Reading, Record, Stamp
from tests.journals import Bench, bench


def said(number: int, *records: Record, unreachable: str | None = None) -> Submission:
    """Return a submission of the `number`-th second."""
    return Submission("x", Stamp(1, number * 1000, number * 1000, good=True), records, unreachable)


def test_telemetry_leaves_room_for_events() -> None:
    """A quarter of the queue is kept for events and alarms."""
    queue = Queue(8)
    for number in range(10):
        queue.put(said(number, Reading("a", number)))
    queue.put(said(10, Event("visit"), Reading("a", 1)))
    queue.put(said(11, Alarm("smoke", active=True)))
    assert len(queue) == 8
    taken = queue.take()
    assert [len(taken.submissions), taken.overflow["tele"].count] == [8, 4]
    assert taken.overflow["tele"].first.mono_ms == 6000
    assert taken.overflow["tele"].last.mono_ms == 9000
    assert len(queue) == 0
    assert queue.take().overflow == {}


def test_every_event_that_is_lost_is_counted() -> None:
    """A submission without room counts each event, and its readings as the one row they would have been."""
    queue = Queue(0)
    queue.put(said(1, Event("visit"), Event("door_opened"), Reading("a", 1), Reading("b", 2)))
    queue.put(said(2, unreachable="timeout"))
    overflow = queue.take().overflow
    assert {stream: lost.count for stream, lost in overflow.items()} == {"usage": 2, "tele": 2}


def test_the_newest_word_about_an_alarm_always_finds_room() -> None:
    """Beyond the queue one word for each alarm is kept; one that it replaces is counted if it said otherwise."""
    queue = Queue(0)
    up, down = Alarm("smoke", active=True), Alarm("smoke", active=False)
    for number, alarm in enumerate((up, up, down, up)):
        queue.put(said(number, alarm))
    queue.put(said(9, Alarm("sos", active=True)))
    assert len(queue) == 2
    taken = queue.take()
    assert [submission.records for submission in taken.submissions] == [(up,), (Alarm("sos", active=True),)]
    assert taken.overflow["alarm"].count == 2


def test_waiting_ends_for_a_reason() -> None:
    """Something to do, a hurry or the end; while the disk is sick only the end counts."""
    queue = Queue(4)
    queue.put(said(1))
    queue.wait(60.0, patiently=False)
    queue.wait(0.01, patiently=True)
    queue.take()
    queue.wait(0.01, patiently=False)
    queue.hurry()
    queue.wait(60.0, patiently=False)
    assert queue.take().hurry
    queue.stop()
    queue.wait(60.0, patiently=True)
    assert queue.stopping


def test_acknowledgements_add_up() -> None:
    """Whatever comes between two commits is one set of ranges."""
    queue = Queue(4)
    queue.acknowledge({("usage", 1): Ranges([(1, 3)]), ("tele", 1): Ranges([(9, 9)])})
    queue.acknowledge({("usage", 1): Ranges([(4, 5)])})
    assert queue.take_delivered() == {("usage", 1): Ranges([(1, 5)]), ("tele", 1): Ranges([(9, 9)])}
    assert queue.take_delivered() == {}


def test_who_waits_for_durability_is_told() -> None:
    """Only a submission that was taken before the commit is durable after it."""
    queue = Queue(4)
    result: list[bool] = []
    thread = threading.Thread(target=lambda: result.append(queue.put_durably(said(1, Event("audit")), 10.0)))
    thread.start()
    queue.wait(10.0, patiently=False)
    queue.durable()
    assert thread.is_alive()
    queue.take()
    queue.durable()
    thread.join(10.0)
    assert result == [True]


def gap(it: Bench, stream: str) -> dict[str, object]:
    """Return the body of the only gap record."""
    (row,) = it.rows(stream, "gap")
    found: dict[str, object] = json.loads(row.body)
    return found


def test_an_overflow_becomes_a_gap_record(tmp_path: Path) -> None:
    """Lost records get seqs that stay empty and one record that says so, behind what had found room."""
    with bench(tmp_path, queue=4) as it:
        it.script.fail("COMMIT", times=1)
        it.swipe("first")
        for number in range(10):
            it.recorder.submit("door", [Event("visit")])
            it.recorder.submit("climate", [Reading("temperature_c", float(number))])
            it.recorder.submit("hall", [Alarm("water_leak", active=number % 2 == 0)])
            it.clock.advance(1.0)
        it.step()
        it.step()
        assert it.view.totals.lifetime == {"visits": 3}
        assert it.seqs("usage") == [1, 2, 3, 12]
        found = gap(it, "usage")
        assert (found["from_seq"], found["to_seq"], found["count"], found["reason"]) == (4, 11, 8, "overflow")
        first, last = found["from"], found["to"]
        assert isinstance(first, list)
        assert isinstance(last, list)
        assert 0 < last[1] - first[1] < 10_000
        assert gap(it, "tele")["count"] == 9
        assert gap(it, "alarm")["count"] == 8
        assert [json.loads(row.body)["state"] for row in it.rows("alarm", "water_leak")] == ["raised", "cleared"]
        assert it.view.alarms == {}
        it.crash()
        it.open()
        it.swipe("second")
        assert it.seqs("usage")[-1] == 13
