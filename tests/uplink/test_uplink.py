"""The uplink against the embedded broker over real sockets: what it says, and how it comes and goes."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.demo.broker import Broker, Message
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.mqtt_wire import ReasonCode
from edge_agent.uplink.backoff import Pauses
from tests.uplink.rig import BASE, DEADLINE_S, Rig, ids


def test_delivers_and_remembers(tmp_path: Path) -> None:
    """Everything accepted arrives once, in order, is acknowledged in the journal, and is not sent again."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(50)
        rig.store.samples(20)
        rig.store.alarm("smoke")
        rig.drained()
        assert rig.seqs("event/") == list(range(1, 51))
        assert [s["seq"] for batch in rig.bodies("tele/") for s in batch["samples"]] == list(range(1, 21))
        assert rig.link.acknowledged == 71
        rig.messages.clear()
        rig.restart_agent()
        rig.drained()
        assert rig.bodies("event/") == []
        assert rig.bodies("tele/") == []
        assert len(rig.bodies("alarm/")) == 1


def test_first_words(tmp_path: Path) -> None:
    """The first messages of a connection say who is there, retained; the will says `lost` with the same session."""
    with Rig.of(tmp_path) as rig:
        rig.drained()
        first, second = rig.messages[:2]
        assert (first.topic, second.topic) == (f"{BASE}/status", f"{BASE}/info")
        assert first.retain
        assert second.retain
        online = json.loads(first.payload)
        assert online["state"] == "online"
        rig.broker.call(lambda broker: broker.disconnect_all(None))
        rig.until(lambda: rig.bodies("status")[-1]["state"] == "offline")
        assert rig.bodies("status")[-1] == {"state": "offline", "reason": "lost", "session": online["session"]}
        rig.until(lambda: rig.bodies("status")[-1]["state"] == "online")
        assert rig.bodies("status")[-1]["session"] != online["session"]


def test_live_record_leaves_at_once(tmp_path: Path) -> None:
    """In its own threads, a record is at the broker as soon as it is committed, and stopping says good-bye."""
    with Rig.of(tmp_path) as rig:
        online, arrived = threading.Event(), threading.Event()

        def listen(broker: Broker) -> None:
            def see(message: Message) -> None:
                rig.messages.append(message)
                if message.topic == f"{BASE}/event/door":
                    arrived.set()

            broker.on_publish = see

        def look() -> None:
            if rig.link.online:
                online.set()

        rig.broker.call(listen)
        rig.store.picture.subscribe(look)
        thread = threading.Thread(target=rig.uplink.run, args=(lambda _deadline: None,))
        thread.start()
        assert online.wait(DEADLINE_S)
        rig.store.visits(1)
        assert arrived.wait(DEADLINE_S)
        rig.uplink.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        last = rig.bodies("status")[-1]
        assert (last["state"], last["reason"]) == ("offline", "stopped")
        assert rig.broker.call(lambda broker: json.loads(broker.retained[f"{BASE}/status"].payload)) == last
        rig.store.recorder.flush()
        reader = rig.store.reader()
        assert reader.delivered()["usage", 1].total() == 1
        reader.close()


def test_broker_restart(tmp_path: Path) -> None:
    """What is recorded while the broker is away arrives when it is back, marked late; active alarms are said again."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(3)
        rig.store.alarm("smoke")
        rig.drained()
        rig.broker.stop(abrupt=True)
        rig.until(lambda: not rig.link.online)
        rig.store.visits(4)
        rig.store.samples(2)
        rig.messages.clear()
        rig.until(lambda: rig.pending["usage"] == 4, advance=1.0)
        rig.broker.start()
        rig.drained()
        assert rig.seqs("event/") == [4, 5, 6, 7]
        assert all(body["late"] for body in rig.bodies("event/"))
        assert rig.seqs("alarm/") == [1]
        assert rig.link.connections == 2


def test_offline_is_told_with_the_reason(tmp_path: Path) -> None:
    """While nobody listens the picture says since when and why."""
    with Rig.of(tmp_path) as rig:
        rig.broker.stop()
        rig.store.visits(2)
        rig.until(lambda: rig.link.why)
        assert "refused" in rig.link.why
        assert not rig.link.online
        since = rig.link.since_mono
        rig.until(lambda: rig.clock.monotonic() > since + 20, advance=1.0)
        assert rig.link.since_mono == since
        assert rig.pending["usage"] == 2


def test_pauses_between_attempts(tmp_path: Path) -> None:
    """After a failure the next attempt waits its pause, also for another kick; a critical alarm may jump it."""
    with Rig.of(tmp_path, pauses=Pauses(1000.0, 1000.0)) as rig:
        rig.broker.stop()
        assert rig.step() == 0.0
        rest = rig.step()
        assert 0 < rest <= 1000
        rig.store.alarm("link_lost")
        assert rig.step() > 0
        rig.store.alarm("smoke")
        assert rig.step() == 0.0
        assert rig.step() > 0


def test_first_attempt_waits_after_a_power_cut(tmp_path: Path) -> None:
    """Right after boot, with a backlog, the very first attempt is spread like a reconnect."""
    with Rig.of(tmp_path, pauses=Pauses(1000.0, 1000.0)) as rig:
        rig.store.visits(1)
        rig.clock.reboot("after-the-cut", monotonic=10.0)
        assert rig.step() > 0
        assert rig.link.connections == 0


@pytest.mark.parametrize("code", [ReasonCode.NOT_AUTHORIZED, ReasonCode.BAD_USER_NAME_OR_PASSWORD])
def test_not_authorised(tmp_path: Path, code: ReasonCode) -> None:
    """A broker that does not know us is not asked again for minutes."""
    with Rig.of(tmp_path, pauses=Pauses(1.0, 300.0)) as rig:
        rig.behave(refuse_connect=code)
        rig.until(lambda: rig.link.why)
        assert "authorized" in rig.link.why or "password" in rig.link.why
        assert rig.step() == pytest.approx(300.0)


def test_busy_broker_is_asked_again_soon(tmp_path: Path) -> None:
    """A broker that refuses for the moment is asked again after the ordinary pause."""
    with Rig.of(tmp_path) as rig:
        rig.behave(refuse_connect=ReasonCode.SERVER_BUSY)
        rig.until(lambda: rig.link.why)
        rig.behave()
        rig.drained()


def test_takeover(tmp_path: Path) -> None:
    """Another client with our identity raises an alarm once, cleared after ten quiet minutes; we do not fight it."""
    with Rig.of(tmp_path) as rig, Rig.of(tmp_path / "clone") as clone:
        rig.online()
        clone.address = rig.address
        clone.online()
        rig.until(lambda: not rig.link.online)
        assert "taken over" in rig.link.why.lower()
        assert rig.step() >= 60 - 1
        assert rig.store.alarms() == [("identity_conflict", "raised")]
        rig.drained()
        rig.clock.advance(590)
        rig.step()
        assert rig.store.alarms()[1:] == []
        rig.clock.advance(11)
        rig.step()
        rig.step()
        assert rig.store.alarms() == [("identity_conflict", "raised"), ("identity_conflict", "cleared")]


def test_user_and_password(tmp_path: Path) -> None:
    """User name and password reach the broker; the password is read afresh for each connection."""
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    with Rig.of(tmp_path) as rig, BrokerThread(Broker(users={"s1": "right"}, on_publish=rig.messages.append)) as strict:
        rig.address = replace(rig.address, port=strict.port, username="s1", password_file=secret)
        rig.until(lambda: rig.link.why)
        assert "password" in rig.link.why.lower()
        secret.write_text("right\n")
        rig.drained()
        secret.unlink()
        strict.call(lambda broker: broker.disconnect_all())
        rig.until(lambda: "No such file" in rig.link.why)


def test_ids_never_change(tmp_path: Path) -> None:
    """A record sent again, after any restart of either side, has the same id and content."""
    with Rig.of(tmp_path) as rig:
        rig.behave(never_ack=True)
        rig.store.visits(5)
        rig.until(lambda: len(rig.bodies("event/")) == 5)
        first = rig.bodies("event/")
        rig.restart_agent()
        rig.behave()
        rig.messages.clear()
        rig.drained()
        assert ids(rig.bodies("event/")) == ids(first)


def test_will_after_giving_up(tmp_path: Path) -> None:
    """When the uplink itself gives a connection up, the broker still tells everyone that the station is lost."""
    with Rig.of(tmp_path) as rig:
        rig.online()
        rig.behave(never_ack=True)
        rig.store.visits(1)
        rig.until(lambda: not rig.link.online, advance=1.0, patient=False)
        rig.until(lambda: any(body.get("reason") == "lost" for body in rig.bodies("status")), patient=False)
