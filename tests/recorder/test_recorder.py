"""The single door into the journal: what is accepted, when it becomes visible, and what happens if it cannot be."""

import json
import threading
from pathlib import Path

import pytest

from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.cabinet.layout import CabinetLayout, SlotLayout
from edge_agent.errors import JournalDamaged
from edge_agent.records import Alarm, CardRef, Event, Quality, Reading
from tests.journals import Bench, bench, coded, visits


def body(it: Bench, stream: str, kind: str | None = None) -> dict[str, object]:
    """Return the body of the newest row."""
    found: dict[str, object] = json.loads(it.rows(stream, kind)[-1].body)
    return found


def test_an_event_commits_at_once_and_telemetry_with_the_group(tmp_path: Path) -> None:
    """A sample waits up to the group commit, and goes with an event that commits earlier."""
    with bench(tmp_path) as it:
        while it.step() < it.settings.group_commit / 2:
            it.step(0.1)
        it.measure(20.0, seconds=1.0)
        assert it.rows("tele") == []
        it.swipe("a")
        assert (len(it.rows("usage")), len(it.rows("tele"))) == (1, 1)
        it.recorder.submit("climate", [Reading("temperature_c", 25.0)])
        it.clock.advance(9.0)
        it.recorder.submit("climate", [Reading("temperature_c", 25.0)])
        rest = it.step()
        assert len(it.rows("tele")) == 1
        it.step(rest)
        assert len(it.rows("tele")) == 2
        assert it.view.commits.accepted == {"alarm": 0, "usage": 1, "tele": 2}


def test_what_waits_together_shares_a_commit(tmp_path: Path) -> None:
    """Ten swipes in one step are ten rows, gap-free, and one transaction."""
    with bench(tmp_path) as it:
        before = it.view.commits.count
        it.recorder.submit("door", [Event("visit", card=CardRef(str(n), "k")) for n in range(10)])
        it.step()
        assert it.seqs("usage") == list(range(1, 11))
        assert it.view.commits.count == before + 1


def test_nothing_is_visible_before_it_is_durable(tmp_path: Path) -> None:
    """While the disk fails neither totals, alarms, the visit nor a value are shown; afterwards all at once."""
    with bench(tmp_path) as it:
        it.script.fail("COMMIT", times=3)
        polled: list[str] = []
        it.recorder.poll_now = polled.append
        it.recorder.submit("door", [Event("visit"), Alarm("smoke", active=True), Reading("door", "open", prompt=True)])
        for _ in range(3):
            assert it.step(1.0) == 1.0
            assert it.view.totals.lifetime == {}
            assert it.view.alarms == {}
            assert "door" not in it.view.devices
            assert it.view.last_visit_mono is None
            assert "disk I/O error" in it.view.storage.trouble
        it.step(1.0)
        assert it.view.totals.lifetime == {"visits": 1}
        assert it.view.totals.seq == 1
        assert list(it.view.alarms) == [("door", "smoke")]
        assert it.view.devices["door"].points["door"].reading.value == "open"
        assert it.view.storage.trouble == ""


@pytest.mark.parametrize("statement", ["BEGIN", "INTO usage", "INTO ledger", "INTO state", "COMMIT"])
@pytest.mark.parametrize("after", [False, True])
def test_a_commit_of_unknown_outcome_counts_once(tmp_path: Path, statement: str, after: bool) -> None:
    """Whatever statement fails, done or not done: after the retry there is one row and one count, also on disk."""
    with bench(tmp_path) as it:
        it.script.fail(statement, after=after)
        it.swipe("a")
        it.swipe("b", seconds=1.0)
        it.step(1.0)
        assert it.seqs("usage") == [1, 2]
        assert it.view.totals.lifetime == {"visits": 2}
        it.crash()
        it.open()
        assert it.view.totals.lifetime == {"visits": 2}
        assert visits(it.rows("usage")) == 2


def test_a_retry_is_not_hurried_by_what_arrives(tmp_path: Path) -> None:
    """A sick card is tried once a second, whoever knocks."""
    with bench(tmp_path) as it:
        it.script.fail("COMMIT", times=100)
        it.swipe("a")
        tries = it.script.seen.count("COMMIT")
        for _ in range(10):
            it.swipe("b")
        assert it.step(0.5) == pytest.approx(0.5)
        assert it.script.seen.count("COMMIT") == tries
        it.step(0.5)
        assert it.script.seen.count("COMMIT") == tries + 1
        it.script.times = 0


def test_a_killed_agent_loses_only_what_was_not_accepted(tmp_path: Path) -> None:
    """A batch that was never committed leaves no trace: neither seq nor count."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.script.fail("COMMIT", times=1)
        it.swipe("b")
        assert it.view.totals.lifetime == {"visits": 1}
        it.crash()
        it.script.times = 0
        it.open()
        it.swipe("c")
        assert it.seqs("usage") == [1, 2]
        assert it.view.totals.lifetime == {"visits": 2}


def test_a_file_that_breaks_in_use_ends_the_thread(tmp_path: Path) -> None:
    """Only a new start can set it aside: the error leaves `run`, the next start looks at every page."""
    with bench(tmp_path) as it:
        it.script.fail("COMMIT", error=coded(11, "malformed"))
        it.recorder.submit("door", [Event("visit")])
        with pytest.raises(JournalDamaged, match="malformed"):
            it.recorder.run(lambda _deadline: None)
        assert (it.directory / "journal.suspect").exists()
        assert "malformed" in it.view.storage.trouble


def test_double_swipes_across_a_restart(tmp_path: Path) -> None:
    """The window holds over a restart within the boot, for each card apart; not over a reboot."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.swipe("b", seconds=1.0)
        it.swipe("a", seconds=1.0)
        it.crash()
        it.open()
        it.swipe("a", seconds=1.0)
        it.swipe("b", seconds=1.0)
        assert it.view.totals.lifetime == {"visits": 2}
        it.swipe("a", seconds=10.0)
        assert it.view.totals.lifetime == {"visits": 2}
        it.swipe("a")
        assert it.view.totals.lifetime == {"visits": 3}
        it.crash()
        it.clock.reboot("another boot", monotonic=it.clock.monotonic())
        it.open()
        it.swipe("a")
        assert it.view.totals.lifetime == {"visits": 4}


def test_denied_cards_are_counted_apart_and_every_time(tmp_path: Path) -> None:
    """A refusal has no window; maintenance is told and counted nowhere."""
    with bench(tmp_path) as it:
        card = CardRef("a", "k")
        it.recorder.submit("door", [Event("denied", card=card), Event("denied", card=card), Event("maintenance")])
        it.step()
        assert it.view.totals.lifetime == {"denied": 2}
        assert it.view.totals.today == {"denied": 2}
        assert len(it.rows("usage")) == 3


@pytest.mark.parametrize("publish", [False, True])
def test_the_card_leaves_only_if_the_station_says_so(tmp_path: Path, publish: bool) -> None:
    """Without `publish_card_ref` no stored record holds the reference."""
    with bench(tmp_path, publish_card_ref=publish) as it:
        it.swipe("0123456789abcdef")
        found = body(it, "usage")
        assert found == ({"card_ref": "0123456789abcdef", "key_id": "k1"} if publish else {})


def test_a_driver_may_know_the_moment_better(tmp_path: Path) -> None:
    """`Event.at` moves both times of the record by the same amount."""
    with bench(tmp_path) as it:
        now, wall = it.clock.monotonic(), it.clock.wall()
        it.recorder.submit("door", [Event("visit", at=now - 2.5)], at=now - 1.0)
        it.step()
        row = it.rows("usage")[-1]
        assert row.mono_ms == round((now - 2.5) * 1000)
        assert row.wall_ms == round((wall - 2.5) * 1000)
        assert it.view.last_visit_mono == now - 2.5


def test_alarms_are_raised_once_and_cleared_once(tmp_path: Path) -> None:
    """Also across a restart; the view shows what is raised now."""
    smoke, clear = Alarm("water_leak", active=True), Alarm("water_leak", active=False)
    with bench(tmp_path) as it:
        for alarm in (clear, smoke, smoke):
            it.recorder.submit("hall", [alarm])
            it.step()
        assert it.seqs("alarm") == [1]
        it.crash()
        it.open()
        assert [alarm.seq for alarm in it.view.alarms.values()] == [1]
        it.recorder.submit("hall", [smoke, clear, clear, smoke])
        it.step()
        assert [json.loads(row.body)["state"] for row in it.rows("alarm")] == ["raised", "cleared", "raised"]
        assert it.view.alarms["hall", "water_leak"].seq == 3


def test_an_unknown_alarm_is_the_mistake_of_its_maker(tmp_path: Path) -> None:
    """It fails where it is made, and the journal's thread goes on."""
    with bench(tmp_path) as it:
        with pytest.raises(KeyError, match="nonsense"):
            it.recorder.submit("x", [Event("visit"), Alarm("nonsense", active=True)])
        with pytest.raises(KeyError):
            it.recorder.unreachable("x", "why", [Alarm("nonsense", active=True)])
        it.step()
        assert it.rows("usage") == []


def test_a_device_that_does_not_answer(tmp_path: Path) -> None:
    """Its last values turn bad with the reason, the centre is told, the alarm that came along is raised."""
    with bench(tmp_path) as it:
        it.measure(21.0)
        it.recorder.unreachable("climate", "timeout", [Alarm("device_silent", active=True)])
        it.step(10.0)
        point = it.view.devices["climate"].points["temperature_c"]
        assert (point.reading.quality, point.reading.why) == (Quality.BAD, "timeout")
        assert body(it, "tele") == {"quality": {"temperature_c": "bad"}}
        assert ("climate", "device_silent") in it.view.alarms
        it.recorder.unreachable("stranger", "timeout")
        it.step(10.0)
        assert "stranger" not in it.view.devices


def test_an_absent_value_is_no_row(tmp_path: Path) -> None:
    """A row that would say nothing is not written; the picture changes all the same."""
    with bench(tmp_path) as it:
        it.measure(21.0)
        told = it.view.devices["climate"].told
        it.recorder.submit("climate", [Reading("temperature_c", None)])
        it.step(10.0)
        it.step(10.0)
        assert len(it.rows("tele")) == 1
        assert it.view.devices["climate"].points == {}
        assert it.view.devices["climate"].told == told + 1


def test_what_json_cannot_say(tmp_path: Path) -> None:
    """Numbers and texts that no JSON reader takes are made harmless; the thread lives."""
    with bench(tmp_path) as it:
        it.recorder.submit("x", [Event("visit", {"a": float("nan"), "b": [1, float("inf")], "c": "\ud800!"})])
        it.step()
        assert body(it, "usage") == {"a": None, "b": [1, None], "c": "?!"}


def test_acknowledgements_go_with_the_group_commit(tmp_path: Path) -> None:
    """They never cost a commit of their own, and survive as ranges."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.step(10.0)
        commits = it.script.seen.count("COMMIT")
        it.acknowledge("usage", 1, 1)
        it.acknowledge("usage", 2, 4)
        it.step(1.0)
        assert it.script.seen.count("COMMIT") == commits
        it.step(10.0)
        assert it.script.seen.count("COMMIT") == commits + 1
        with it.reader() as reader:
            assert list(reader.delivered()["usage", 1]) == [(1, 4)]


def test_texts_are_remembered_and_forgotten(tmp_path: Path) -> None:
    """The newest under a key holds; None forgets."""
    with bench(tmp_path) as it:
        it.recorder.remember("a", "1")
        it.recorder.remember("a", "2")
        it.recorder.remember("b", "3")
        it.recorder.commit_soon()
        it.step()
        it.recorder.remember("b", None)
        it.step(10.0)
        with it.reader() as reader:
            assert reader.remembered("a") == {"a": "2"}
            assert reader.remembered("b") == {}


def test_losses_of_others_are_declared(tmp_path: Path) -> None:
    """The uplink's gap record and what it remembers share a transaction, and find room in a full queue."""
    with bench(tmp_path, queue=4) as it:
        for _ in range(9):
            it.recorder.submit("x", [Event("visit")])
        it.recorder.declare([("tele", {"from_seq": 1, "to_seq": 1, "reason": "refused"})], {"aside": "[]"})
        it.step()
        assert body(it, "tele", "gap") == {"from_seq": 1, "to_seq": 1, "reason": "refused"}
        with it.reader() as reader:
            assert reader.remembered("aside") == {"aside": "[]"}


def test_waiting_for_durability(tmp_path: Path) -> None:
    """A command is on record before it acts; a dead disk or a full queue is told within the time allowed."""
    with bench(tmp_path, queue=4) as it:
        done: list[bool] = []

        def command() -> None:
            done.append(it.recorder.submit_durably("station", [Event("audit")], {"commands": "[1]"}, 5.0))

        thread = threading.Thread(target=command)
        thread.start()
        while thread.is_alive():
            it.recorder._queue.wait(0.05, patiently=False)
            it.step()
        assert done == [True]
        assert len(it.rows("usage", "audit")) == 1
        assert not it.recorder.submit_durably("station", [Event("audit")], {}, 0.0)
        for _ in range(3):
            it.recorder.submit("x", [Event("visit")])
        assert not it.recorder.submit_durably("station", [Event("audit")], {}, 5.0)


def test_days_are_closed_once(tmp_path: Path) -> None:
    """At the first step of a new day the day before is closed with its hours, also after a night without power."""
    with bench(tmp_path) as it:
        for _ in range(3):
            it.swipe("a", seconds=100.0)
        it.clock.advance(30 * 3600.0)
        it.crash()
        it.open()
        it.step(10.0)
        closed = body(it, "usage", "day_closed")
        assert closed["day"] == "2026-05-29"
        assert closed["totals"] == {"visits": 3}
        hours = closed["hours"]
        assert isinstance(hours, dict)
        assert sum(hours["visits"]) == 3
        it.crash()
        it.open()
        it.step(10.0)
        assert len(it.rows("usage", "day_closed")) == 1
        assert it.view.totals.yesterday == {"visits": 3}
        assert it.view.totals.today == {}


def test_the_hour_moves_on_without_visits(tmp_path: Path) -> None:
    """The totals are shown anew when the hour changes."""
    with bench(tmp_path) as it:
        it.step()
        changes, hour = it.view.totals.changes, it.view.totals.hour
        it.step(3600.0)
        assert it.view.totals.changes == changes + 1
        assert it.view.totals.hour == (hour + 1) % 24


def test_a_closed_day_counted_into_is_closed_again(tmp_path: Path) -> None:
    """A good clock that is set back an hour lets visits fall into yesterday: its record is written anew, marked."""
    with bench(tmp_path) as it:
        it.swipe("a")
        midnight = 1_780_070_400.0
        it.clock.set_wall(midnight + 60)
        it.step(10.0)
        assert body(it, "usage", "day_closed")["totals"] == {"visits": 1}
        it.clock.set_wall(midnight - 1800)
        it.swipe("b", seconds=20.0)
        closed = body(it, "usage", "day_closed")
        assert (closed["totals"], closed["revised"]) == ({"visits": 2}, True)
        it.clock.set_wall(midnight + 600)
        it.step(10.0)
        assert len(it.rows("usage", "day_closed")) == 2


def layout() -> CabinetLayout:
    """One slot whose battery is seen by a switch."""
    return CabinetLayout("cabinet", (SlotLayout(1, presence=("contacts", "slot_1")),))


def test_the_cabinet_is_stored_with_its_events(tmp_path: Path) -> None:
    """Picture and event share a transaction; after a restart a difference is an event that nobody observed."""

    def see(it: Bench, *, inside: bool) -> None:
        it.recorder.submit("contacts", [Reading("slot_1", inside)])
        it.step()

    it = Bench(tmp_path)
    it.cabinets = [Cabinet(layout(), None)]
    it.open()
    see(it, inside=True)
    see(it, inside=False)
    assert [row.type for row in it.rows("usage")] == ["battery_out"]
    with it.reader() as reader:
        stored = json.loads(reader.remembered("cabinet/")["cabinet/cabinet"])
    it.script.fail("INTO state")
    see(it, inside=True)
    with it.reader() as reader:
        assert json.loads(reader.remembered("cabinet/")["cabinet/cabinet"]) == stored
    assert [row.type for row in it.rows("usage")] == ["battery_out"]
    it.crash()
    it.cabinets = [Cabinet(layout(), stored)]
    it.open()
    see(it, inside=True)
    found = it.rows("usage")[-1]
    assert found.type == "battery_in"
    assert json.loads(found.body)["observed"] is False
    assert it.view.totals.lifetime == {"batteries_out": 1, "batteries_in_inferred": 1}
    assert it.view.devices["cabinet-01"].points["battery_present"].reading.value == "yes"
    it.crash()


def test_devices_are_asked_after_the_commit(tmp_path: Path) -> None:
    """What the cabinet wants to know at once is asked when the event that made it curious is durable."""
    slot = SlotLayout(1, battery="bms-01", lock=("locks", "lock_01"))
    it = Bench(tmp_path)
    it.cabinets = [Cabinet(CabinetLayout("cabinet", (slot,)), None)]
    it.open()
    polled: list[str] = []
    it.recorder.poll_now = polled.append
    it.recorder.submit("locks", [Reading("lock_01", "closed")])
    it.step()
    it.script.fail("COMMIT")
    it.recorder.submit("locks", [Reading("lock_01", "open"), Event("door_opened")])
    it.step()
    assert polled == []
    it.step(1.0)
    assert polled == ["bms-01"]
    it.crash()


def test_run_works_until_stopped(tmp_path: Path) -> None:
    """The thread commits what arrives, promises ahead, and takes everything along at the end."""
    with bench(tmp_path) as it:
        promised: list[float] = []
        accepted = threading.Event()
        it.picture.subscribe(accepted.set)
        thread = threading.Thread(target=it.recorder.run, args=(promised.append,))
        thread.start()
        it.recorder.submit("door", [Event("visit")])
        assert accepted.wait(5.0)
        it.recorder.submit("climate", [Reading("temperature_c", 20.0)])
        it.acknowledge("usage", 1, 1)
        it.recorder.stop()
        thread.join(5.0)
        assert not thread.is_alive()
        assert (len(it.rows("usage")), len(it.rows("tele"))) == (1, 1)
        assert min(promised) >= it.clock.monotonic() + 15.0
        with it.reader() as reader:
            assert list(reader.delivered()["usage", 1]) == [(1, 1)]


def test_stopping_with_a_sick_disk_tries_once_more(tmp_path: Path) -> None:
    """What failed before is given again, and then what waited behind it; a disk that stays dead does not hold it."""
    with bench(tmp_path) as it:
        it.script.fail("COMMIT", times=1)
        it.swipe("a")
        it.recorder.submit("door", [Event("visit")])
        it.recorder.flush()
        assert it.seqs("usage") == [1, 2]
        it.script.fail("COMMIT", times=99)
        it.swipe("b")
        it.recorder.flush()
        assert it.seqs("usage") == [1, 2]
        it.script.times = 0


def test_the_journal_is_a_device_of_its_own(tmp_path: Path) -> None:
    """Its figures are told from the first minute on, its trouble at once; nothing of it is ever stored."""
    with bench(tmp_path) as it:
        it.step(10.0)
        assert "journal" not in it.view.devices
        it.step(60.0)
        told = it.view.devices["journal"].told
        points = it.view.devices["journal"].points
        assert points["telemetry_stored"].reading.value is True
        assert points["used_bytes"].reading.value == 0
        assert "trouble" not in points
        it.script.fail("COMMIT")
        it.swipe("a")
        assert "disk I/O error" in str(it.view.devices["journal"].points["trouble"].reading.value)
        it.step(1.0)
        assert "trouble" not in it.view.devices["journal"].points
        assert it.view.devices["journal"].told == told + 2
        it.step(600.0)
        assert it.rows("tele") == []


def test_a_new_epoch_on_request(tmp_path: Path) -> None:
    """The centre knows more than the journal: the old epoch is declared over, and nothing is numbered twice."""
    with bench(tmp_path) as it:
        it.swipe("a")
        it.measure(1.0, seconds=0.5)
        name = it.journal.epoch_name
        it.recorder.distrust("the centre knows more")
        it.script.fail("COMMIT")
        it.step()
        assert it.journal.epoch_name == name
        it.script.fail("INTO epoch")
        it.step(1.0)
        it.step(1.0)
        assert it.journal.epoch_name == name
        it.step(1.0)
        it.step(1.0)
        assert it.journal.epoch_name != name
        it.swipe("b")
        assert it.seqs("usage") == [1, 2]
        gap = body(it, "usage", "gap")
        assert (gap["of_epoch"], gap["from_seq"], gap["reason"]) == (name, 2, "damage")
        assert it.view.totals.epoch_name == it.journal.epoch_name
        assert it.view.totals.lifetime == {"visits": 2}


def test_losses_of_a_damaged_file_are_declared_first(tmp_path: Path) -> None:
    """They stand at the beginning of the new epoch, before anything new."""
    with bench(tmp_path) as it:
        it.swipe("a", seconds=61.0)
        it.swipe("b", seconds=61.0)
        it.crash()
        (it.directory / "journal.db").write_bytes(b"")
        it.open()
        it.settle()
        it.swipe("c")
        assert [row.type for row in it.rows("usage")] == ["gap", "visit"]
