"""The uplink and mosquitto: a broker not of ours, with the sample configuration and rights that are shipped."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from edge_agent.records import Event
from edge_agent.uplink.topics import Topics
from tests.uplink.authority import Authority
from tests.uplink.rig import BASE, DEADLINE_S, Rig

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_sub", "mosquitto_pub")

DELAYED_ACK_S = 0.04
"""For so long Linux waits with the acknowledgement of a TCP segment."""
SAMPLES = Path(__file__).parents[2] / "config" / "broker"


@dataclass
class Mosquitto:
    """A mosquitto of this test."""

    port: int
    conf: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin")
        assert program
        self.process = subprocess.Popen([program, "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        deadline, pause = monotonic() + DEADLINE_S, threading.Event()
        while monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                pause.wait(0.01)
            else:
                return
        pytest.fail("mosquitto does not listen")

    def stop(self) -> None:
        """Stop it, as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def sub(self, topic: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run mosquitto_sub and return what it printed: one `retain topic payload` a line."""
        arguments = ["-V", "mqttv5", "-q", "1", "-p", str(self.port), "-F", "%r %t %p", "-t", topic, *options]
        return subprocess.run(["mosquitto_sub", *arguments], capture_output=True, text=True, timeout=30, check=False)

    def pub(self, topic: str, payload: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run mosquitto_pub."""
        arguments = ["-V", "mqttv5", "-q", "1", "-p", str(self.port), "-t", topic, "-m", payload, *options]
        return subprocess.run(["mosquitto_pub", *arguments], capture_output=True, text=True, timeout=30, check=False)

    def retained(self, topic: str, *options: str) -> dict[str, Any]:
        """Return the retained messages: topic -> payload."""
        lines = self.sub(topic, "--retained-only", "-W", "1", *options).stdout.splitlines()
        return {line.split(" ", 2)[1]: json.loads(line.split(" ", 2)[2]) for line in lines}


@contextmanager
def mosquitto(directory: Path, more: str = "") -> Iterator[Mosquitto]:
    """Run mosquitto on a free port with `more` in its configuration."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    conf = directory / "mosquitto.conf"
    listener = "" if "listener" in more else f"listener {port} 127.0.0.1\nallow_anonymous true\n"
    conf.write_text(listener + more.replace("PORT", str(port)))
    broker = Mosquitto(port, conf)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(name="rig")
def fixture_rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig whose own broker is not used."""
    with Rig.of(tmp_path) as rig:
        rig.broker.stop()
        yield rig


def test_a_plain_subscriber_sees_the_contract(rig: Rig, tmp_path: Path) -> None:
    """mosquitto_sub shows every class of topic with its values, and the retained ones to whoever comes later."""
    with mosquitto(tmp_path) as broker:
        rig.address = replace(rig.address, port=broker.port)
        broker.pub("ready", "{}", "-r")
        command = ["mosquitto_sub", "-V", "mqttv5", "-q", "1", "-p", str(broker.port), "-W", "20"]
        command += ["-F", "%t %p", "-t", "stations/v1/#", "-t", "ready"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber:
            assert subscriber.stdout is not None
            assert subscriber.stdout.readline() == "ready {}\n"
            rig.store.visits(1)
            rig.store.samples(1)
            rig.store.alarm("smoke")
            rig.drained()
            broker.pub("ready", "again")
            seen = list(iter(subscriber.stdout.readline, "ready again\n"))
            subscriber.terminate()
        told = [line.strip().split(" ", 1) for line in seen if " " in line.strip()]
        bodies = {topic.removeprefix(BASE + "/"): json.loads(payload) for topic, payload in told}
        assert set(bodies) == {
            "status",
            "info",
            "usage",
            "state/room",
            "event/door",
            "alarm/room/smoke",
            "tele/room",
        }
        assert bodies["event/door"]["type"] == "visit"
        assert bodies["usage"]["lifetime"]["visits"] == 1
        assert bodies["tele/room"]["samples"][0]["temperature_c"] > 0
        retained = broker.retained("stations/v1/#")
        assert {topic.removeprefix(BASE + "/") for topic in retained} == set(bodies) - {"event/door", "tele/room"}
        rig.connections[-1]._client.socket().close()  # type: ignore[attr-defined]
        rig.uplink.close()
        assert broker.retained(f"{BASE}/status")[f"{BASE}/status"]["reason"] == "lost"


def test_killed_and_restarted(rig: Rig, tmp_path: Path) -> None:
    """After kill -9 of the broker everything accepted meanwhile arrives, and what it had retained is told again."""
    with mosquitto(tmp_path) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.store.alarm("smoke")
        rig.drained()
        broker.stop()
        rig.until(lambda: not rig.link.online)
        rig.store.visits(50)
        broker.start()
        rig.drained()
        retained = broker.retained(f"{BASE}/#")
        assert retained[f"{BASE}/alarm/room/smoke"]["state"] == "raised"
        assert retained[f"{BASE}/usage"]["lifetime"]["visits"] == 50
        assert rig.link.acknowledged >= 51


def test_a_hole_at_the_centre_is_filled_on_request(rig: Rig, tmp_path: Path) -> None:
    """What a killed broker had acknowledged and then lost is held here, and comes again when it is asked for."""
    rig.store.visits(5)
    with mosquitto(tmp_path) as broker, rig.recorder_running():
        rig.address = replace(rig.address, port=broker.port)
        rig.drained()
        broker.stop()
        broker.start()
        rig.until(lambda: not rig.link.online)
        rig.drained()
        broker.pub("ready", "{}", "-r")
        command = ["mosquitto_sub", "-V", "mqttv5", "-q", "1", "-p", str(broker.port), "-W", "20", "-F", "%p"]
        command += ["-C", "6", "-t", f"{BASE}/event/door", "-t", "ready"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as centre:
            assert centre.stdout is not None
            assert centre.stdout.readline() == "{}\n"
            ts = datetime.fromtimestamp(rig.clock.wall(), tz=UTC).isoformat()
            asked = {"id": "c1", "by": "centre", "ts": ts, "stream": "usage", "epoch": rig.store.journal.epoch_name}
            order = json.dumps(asked | {"from": 1, "to": 5})
            broker.pub(f"{BASE}/cmd/journal/resend", order, "-D", "publish", "message-expiry-interval", "30")
            rig.until(lambda: centre.poll() is not None)
            assert [json.loads(line)["seq"] for line in centre.stdout] == [1, 2, 3, 4, 5]


def test_no_acknowledgement_waits_for_the_kernel(rig: Rig, tmp_path: Path) -> None:
    """One event after the other is acknowledged at once: mosquitto holds small packets back until ours is heard."""
    with mosquitto(tmp_path) as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.drained()
        took = []
        for number in range(1, 31):
            rig.store.visits(1)
            began = monotonic()
            rig.until(partial(_has_acknowledged, rig, number))
            took.append(monotonic() - began)
        assert sorted(took)[len(took) * 3 // 4] < DELAYED_ACK_S / 2


def _has_acknowledged(rig: Rig, number: int) -> bool:
    outbox = rig.uplink._outbox
    return outbox is not None and outbox.delivery.acknowledged == number


def test_size_limit(rig: Rig, tmp_path: Path) -> None:
    """What exceeds mosquitto's size limit is set aside, all else is delivered over the same connection."""
    with mosquitto(tmp_path, "message_size_limit 1000\n") as broker:
        rig.address = replace(rig.address, port=broker.port)
        rig.store.samples(200)
        rig.store.record("door", Event("visit", {"remark": "x" * 2000}))
        rig.store.visits(3)
        rig.drained_except({"usage": 1})
        assert rig.link.connections == 1
        assert rig.store.alarms() == [("publish_refused", "raised")]


ACL = f"acl_file {SAMPLES / 'acl'}\n"


def test_own_rights(rig: Rig, tmp_path: Path) -> None:
    """With the sample rights a station can say everything that it has to say."""
    with mosquitto(tmp_path, ACL) as broker:
        rig.address = replace(rig.address, port=broker.port, username="s1")
        rig.store.visits(1)
        rig.store.samples(1)
        rig.store.alarm("smoke")
        rig.store.recorder.declare([("tele", {"from_seq": 5, "to_seq": 9, "reason": "test", "count": 5})])
        rig.drained()
        assert rig.store.alarms() == [("smoke", "raised")]
        for user in ("collector", "operator-east"):
            assert f"{BASE}/state/room" in broker.retained("stations/v1/east/#", "-u", user)


def test_station_a_cannot_write_as_station_b(rig: Rig, tmp_path: Path) -> None:
    """Nothing that station s1 publishes below s2's prefix arrives; every record is kept."""
    with mosquitto(tmp_path, ACL) as broker:
        rig.address = replace(rig.address, port=broker.port, username="s1")
        rig.settings = replace(rig.settings, topics=Topics("stations", "east", "d1", "s2"))
        rig.uplink.close()
        rig.uplink = rig._make()
        rig.store.visits(3)
        rig.until(rig.store.alarms, advance=1.0)
        assert rig.store.alarms() == [("publish_refused", "raised")]
        for _ in range(20):
            rig.step()
        assert rig.link.acknowledged == 0
        assert broker.retained("stations/v1/#", "-u", "collector") == {}


def test_station_a_cannot_read_or_command_station_b(rig: Rig, tmp_path: Path) -> None:
    """s2 hears nothing of s1, and its command to s1 is refused; the operator's arrives."""
    with mosquitto(tmp_path, ACL) as broker:
        rig.address = replace(rig.address, port=broker.port, username="s1")
        rig.drained()
        assert broker.retained("stations/v1/#", "-u", "s2") == {}
        assert set(broker.retained("stations/v1/#", "-u", "collector")) >= {f"{BASE}/status"}
        assert "Not authorized" in broker.pub(f"{BASE}/cmd/journal/resend", "{}", "-u", "s2").stderr
        assert broker.pub(f"{BASE}/cmd/journal/resend", "{}", "-u", "operator-east").stderr == ""


@pytest.mark.needs("openssl")
def test_sample_configuration(rig: Rig, tmp_path: Path) -> None:
    """The sample configuration works as shipped: mutual TLS, the certificate's CN is the station."""
    authority = Authority(tmp_path).create()
    certificate, key = authority.sign("broker")
    sample = (SAMPLES / "mosquitto.conf").read_text()
    for line, actual in (
        ("listener 8883", "listener PORT 127.0.0.1"),
        ("/etc/mosquitto/certs/ca.pem", authority.certificate),
        ("/etc/mosquitto/certs/broker.pem", certificate),
        ("/etc/mosquitto/certs/broker.key", key),
        ("/etc/mosquitto/stations.acl", SAMPLES / "acl"),
        ("/var/lib/mosquitto/", f"{tmp_path}/"),
        ("log_dest syslog", "log_dest stderr\nuser root"),
    ):
        assert line in sample
        sample = sample.replace(line, str(actual))
    with mosquitto(tmp_path, sample) as broker:
        certificate, key = authority.sign("s1")
        rig.address = replace(
            rig.address,
            host="localhost",
            port=broker.port,
            tls=True,
            ca_file=authority.certificate,
            cert_file=certificate,
            key_file=key,
        )
        rig.store.visits(2)
        rig.drained()
        assert rig.link.acknowledged == 2
