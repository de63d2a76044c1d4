"""The demo broker, in its thread, against clients that are not ours: paho-mqtt and mosquitto's."""

import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode as PahoReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.demo.broker import Behaviour, Broker, Message, ReasonCode, Refusal, Stats
from edge_agent.demo.broker_thread import BrokerThread

DEADLINE_S = 5.0


def without_delay(_client: paho.Client, _userdata: Any, connection: Any) -> None:
    """Spare each turn of a conversation the 40 ms that Nagle's algorithm may wait for a delayed acknowledgement."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class PahoPeer:
    """A paho client whose callbacks only fill queues."""

    def __init__(self, client_id: str = "paho", *, comes_back: bool = False) -> None:
        self.connected: queue.Queue[tuple[PahoReasonCode, PahoProperties | None]] = queue.Queue()
        self.disconnected: queue.Queue[PahoReasonCode] = queue.Queue()
        self.published: queue.Queue[tuple[int, int]] = queue.Queue()
        self.subscribed: queue.Queue[list[int]] = queue.Queue()
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, reconnect_on_failure=comes_back
        )
        self.client.on_socket_open = without_delay
        self.client.on_connect = lambda _c, _u, _f, reason, properties: self.connected.put((reason, properties))
        self.client.on_disconnect = lambda _c, _u, _f, reason, _p: self.disconnected.put(reason)
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self.published.put((mid, reason.value))
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.subscribed.put([each.value for each in reasons])
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)

    @contextmanager
    def running(self, port: int) -> Iterator[None]:
        """Connected, with paho's own thread."""
        self.client.connect("localhost", port, clean_start=True)
        self.client.loop_start()
        try:
            yield
        finally:
            self.client.disconnect()
            self.client.loop_stop()

    def subscribe(self, topic_filter: str, **options: Any) -> list[int]:
        """Subscribe and return the reason codes."""
        self.client.subscribe(topic_filter, options=SubscribeOptions(**options))
        return self.subscribed.get(timeout=DEADLINE_S)


def stats(served: BrokerThread) -> Stats:
    """The broker's counts."""
    return served.call(lambda broker: broker.stats)


def test_paho_round_trip() -> None:
    """Paho publishes a thousand messages at QoS 1 and gets each acknowledged and, once, back, properties included."""
    peer = PahoPeer()
    properties = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = 60
    properties.ResponseTopic = "reply"
    properties.CorrelationData = b"\x01"
    properties.UserProperty = [("a", "1")]
    with BrokerThread() as served, peer.running(served.port):
        reason, announced = peer.connected.get(timeout=DEADLINE_S)
        assert not reason.is_failure
        assert announced is not None
        assert announced.json()["MaximumQoS"] == 1  # type: ignore[no-untyped-call]
        assert peer.subscribe("stations/#", qos=2) == [1]
        sent = [b"%d" % number for number in range(1000)]
        for payload in sent:
            peer.client.publish("stations/v1/a", payload, qos=1, properties=properties)
        received = [peer.messages.get(timeout=DEADLINE_S) for _ in sent]
        assert [message.payload for message in received] == sent
        assert {peer.published.get(timeout=DEADLINE_S)[1] for _ in sent} == {0}
        last = received[-1].properties
        assert last is not None
        assert last.json() == {  # type: ignore[no-untyped-call]
            "MessageExpiryInterval": 60,
            "ResponseTopic": "reply",
            "CorrelationData": "01",
            "UserProperty": [("a", "1")],
        }
        assert stats(served).acked == 1000


def test_paho_sees_reason_codes() -> None:
    """A refusal reaches paho as the PUBACK's reason code."""
    peer = PahoPeer()
    broker = Broker(behaviour=Behaviour(refusals=(Refusal("bad/#", ReasonCode.QUOTA_EXCEEDED, times=1),)))
    with BrokerThread(broker) as served, peer.running(served.port):
        mids = [peer.client.publish("bad/x", b"", qos=1).mid for _ in range(2)]
        assert [peer.published.get(timeout=DEADLINE_S) for _ in mids] == [(mids[0], 0x97), (mids[1], 0)]


def test_paho_will_and_takeover() -> None:
    """A second paho client of the same identifier ends the first with 0x8E, whose will is retained."""
    first, second = PahoPeer("same"), PahoPeer("same")
    first.client.will_set("status", b"lost", qos=1, retain=True)
    with BrokerThread() as served, first.running(served.port):
        first.connected.get(timeout=DEADLINE_S)
        with second.running(served.port):
            second.connected.get(timeout=DEADLINE_S)
            assert first.disconnected.get(timeout=DEADLINE_S).value == ReasonCode.SESSION_TAKEN_OVER
            second.subscribe("status", qos=1)
            message = second.messages.get(timeout=DEADLINE_S)
            assert (message.payload, message.retain) == (b"lost", True)


def test_paho_comes_back_after_a_restart() -> None:
    """After stop() and start() on the same port paho reconnects by itself and finds the retained message kept."""
    peer = PahoPeer(comes_back=True)
    peer.client.reconnect_delay_set(0, 0)
    served = BrokerThread()
    served.start()
    port = served.port
    with peer.running(port):
        peer.connected.get(timeout=DEADLINE_S)
        peer.client.publish("t", b"x", qos=1, retain=True).wait_for_publish(DEADLINE_S)
        served.stop(keep_state=True)
        assert peer.disconnected.get(timeout=DEADLINE_S).value == ReasonCode.SERVER_SHUTTING_DOWN
        served.start()
        assert served.port == port
        peer.connected.get(timeout=DEADLINE_S)
        peer.subscribe("t", qos=1)
        assert peer.messages.get(timeout=DEADLINE_S).payload == b"x"
    served.stop()


def test_thread_is_owned() -> None:
    """The thread has a name, is gone after stop(), and both start() and stop() may be repeated."""
    served = BrokerThread()
    assert served.call(lambda broker: broker.stats) == Stats()
    for _ in range(2):
        for _ in range(2):
            served.start()
        assert [thread.name for thread in threading.enumerate()].count("demo-broker") == 1
        for _ in range(2):
            served.stop()
        assert "demo-broker" not in [thread.name for thread in threading.enumerate()]


def test_call_runs_in_the_thread() -> None:
    """call() runs in the broker's thread and hands back results and exceptions."""
    with BrokerThread() as served:
        assert served.call(lambda _: threading.current_thread().name) == "demo-broker"
        with pytest.raises(ZeroDivisionError):
            served.call(lambda _: 1 // 0)


def test_port_taken() -> None:
    """A taken port is an OSError from start(), which may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        served = BrokerThread(Broker(port=other.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            served.start()
    served.start()
    served.stop()


@pytest.mark.needs("openssl")
def test_tls(tmp_path: Path) -> None:
    """With an SSLContext paho connects over TLS, checks the certificate and has its message acknowledged."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)
    subprocess.run(["openssl", *request.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen: queue.Queue[Message] = queue.Queue()
    peer = PahoPeer()
    peer.client.tls_set(str(certificate))
    with BrokerThread(Broker(tls=context, on_publish=seen.put)) as served, peer.running(served.port):
        peer.client.publish("t", b"x", qos=1)
        assert peer.published.get(timeout=DEADLINE_S)[1] == 0
        assert seen.get(timeout=DEADLINE_S).client_id == "paho"


def mosquitto(program: str, served: BrokerThread, arguments: str) -> subprocess.Popen[str]:
    """A mosquitto client, started."""
    command = f"{program} -h 127.0.0.1 -p {served.port} {arguments}"
    return subprocess.Popen(command.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(client: subprocess.Popen[str]) -> str:
    """What it complained about, once it has ended."""
    return client.communicate(timeout=DEADLINE_S)[1]


def line(client: subprocess.Popen[str]) -> str:
    """The next line it writes."""
    assert client.stdout is not None
    return client.stdout.readline()


KEPT = "-V mqttv5 -q 1 -r -t a/b -m kept -D PUBLISH message-expiry-interval 60"


@pytest.mark.needs("mosquitto_sub", "mosquitto_pub")
def test_mosquitto_retained_and_live() -> None:
    """mosquitto_sub gets what mosquitto_pub retained, then what it publishes live, with QoS, flags and expiry."""
    with BrokerThread() as served:
        assert outcome(mosquitto("mosquitto_pub", served, KEPT)) == ""
        with mosquitto("mosquitto_sub", served, "-V mqttv5 -q 1 -t a/+ -C 2 -W 5 -F %t|%p|q%q|r%r|%E") as subscriber:
            assert line(subscriber) == "a/b|kept|q1|r1|60\n"
            assert outcome(mosquitto("mosquitto_pub", served, "-V mqttv5 -q 1 -t a/c -m live")) == ""
            assert line(subscriber) == "a/c|live|q1|r0|\n"
            assert subscriber.wait(DEADLINE_S) == 0


@pytest.mark.needs("mosquitto_sub", "mosquitto_pub")
def test_mosquitto_will() -> None:
    """The will of a killed mosquitto_sub is published."""
    seen: queue.Queue[Message] = queue.Queue()
    will = "--will-topic status --will-payload lost --will-qos 1 --will-retain"
    with BrokerThread(Broker(on_publish=seen.put)) as served:
        assert outcome(mosquitto("mosquitto_pub", served, KEPT)) == ""
        assert seen.get(timeout=DEADLINE_S).payload == b"kept"
        with mosquitto("mosquitto_sub", served, f"-V mqttv5 -i dying -t a/b -W 5 {will}") as dying:
            assert line(dying) == "kept\n"
            dying.kill()
        lost = seen.get(timeout=DEADLINE_S)
        assert (lost.topic, lost.payload, lost.client_id, lost.retain) == ("status", b"lost", "dying", True)


@pytest.mark.needs("mosquitto_pub")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [("-V mqttv5 -q 2 -t t -m x", "QoS not supported"), ("-V mqttv311 -t t -m x", "Connection Refused")],
)
def test_mosquitto_is_refused(arguments: str, complaint: str) -> None:
    """mosquitto_pub understands the refusal of QoS 2 and of MQTT 3.1.1, and nothing is published."""
    with BrokerThread() as served:
        assert complaint in outcome(mosquitto("mosquitto_pub", served, arguments))
        assert stats(served).publishes == 0
