"""The demo broker keeps to MQTT 5 where it does not misbehave on request."""

import asyncio
import contextlib
import gc
import socket

import pytest

from edge_agent.clock import FakeClock
from edge_agent.demo.broker import Broker, Message, ReasonCode
from edge_agent.demo.connection import LINGER_S
from edge_agent.demo.mqtt_packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingresp,
    Puback,
    Publish,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from edge_agent.demo.mqtt_properties import Properties
from tests.demo.mqtt_peer import DEADLINE_S, Peer, numbered

pytestmark = pytest.mark.asyncio

SENDER = Connect("sender")
WILL = Will("status", b"lost", 1, retain=True)


async def test_announces_its_limits() -> None:
    """CONNACK names what is not offered, ends the session with the connection and names a nameless client."""
    async with Broker() as broker, await Peer.open(broker) as peer:
        peer.send(Connect("", properties=Properties(session_expiry_interval=3600)))
        answer = await peer.expect(Connack)
        assert not answer.session_present
        assert answer.properties.maximum_qos == 1
        assert answer.properties.session_expiry_interval == 0
        assert answer.properties.maximum_packet_size == 1 << 20
        assert answer.properties.shared_subscription_available is False
        assert answer.properties.assigned_client_identifier


async def test_other_versions_are_refused() -> None:
    """An MQTT 3.1.1 client gets CONNACK 0x84 and is closed."""
    async with Broker() as broker, await Peer.open(broker) as peer:
        peer.send(bytes.fromhex("10 0D 00044D515454 04 02 003C 000161"))
        assert (await peer.expect(Connack)).reason is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
        await peer.expect_closed()


async def test_nothing_before_connect() -> None:
    """A client that publishes before CONNECT is closed without a word."""
    async with Broker() as broker, await Peer.open(broker) as peer:
        peer.send(numbered(1))
        await peer.expect_closed()
        assert broker.stats.publishes == 0


@pytest.mark.parametrize(
    ("connect", "reason"),
    [
        (Connect("a", user_name="st-1", password=b"right"), ReasonCode.SUCCESS),
        (Connect("a", user_name="st-1", password=b"wrong"), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("a", user_name="st-2", password=b"right"), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("a"), ReasonCode.BAD_USER_NAME_OR_PASSWORD),
        (Connect("a", will=Will("t", qos=2)), ReasonCode.QOS_NOT_SUPPORTED),
        (Connect("a", properties=Properties(authentication_method="x")), ReasonCode.BAD_AUTHENTICATION_METHOD),
    ],
)
async def test_admission(connect: Connect, reason: ReasonCode) -> None:
    """Only a known user name with its password, and nothing the broker cannot do, is admitted."""
    async with Broker(users={"st-1": "right"}) as broker, await Peer.open(broker) as peer:
        peer.send(connect)
        assert (await peer.expect(Connack)).reason is reason
        if reason is not ReasonCode.SUCCESS:
            await peer.expect_closed()
        assert broker.stats.refused_connects == (reason is not ReasonCode.SUCCESS)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (Connect("peer"), ReasonCode.PROTOCOL_ERROR),
        (Pingresp(), ReasonCode.PROTOCOL_ERROR),
        (Publish("t", qos=2, packet_id=1), ReasonCode.QOS_NOT_SUPPORTED),
        (Publish("", properties=Properties(topic_alias=1)), ReasonCode.TOPIC_ALIAS_INVALID),
        (Publish("t", bytes(2000)), ReasonCode.PACKET_TOO_LARGE),
        (
            Subscribe(1, (Subscription("t"),), Properties(subscription_identifier=(1,))),
            ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        ),
        (b"\xf0\x00", ReasonCode.PROTOCOL_ERROR),
    ],
)
async def test_violations(packet: Packet | bytes, reason: ReasonCode) -> None:
    """What was announced as not offered, or is forbidden, ends in DISCONNECT with the reason the standard names."""
    async with Broker(maximum_packet_size=1000) as broker, await Peer.connect(broker) as peer:
        peer.send(packet)
        await peer.expect_disconnect(reason)
        assert broker.stats.protocol_errors == 1


async def test_acknowledges_what_the_sink_has_seen() -> None:
    """QoS 1 publishes are acknowledged in order, each after the sink has seen it with its properties."""
    seen: list[Message] = []
    clock = FakeClock()
    properties = Properties(message_expiry_interval=60, content_type="application/json")
    async with Broker(on_publish=seen.append, clock=clock.monotonic) as broker, await Peer.connect(broker) as peer:
        peer.send(Publish("t", b"0"), numbered(1), Publish("u", b"2", 1, packet_id=2, properties=properties))
        assert [(await peer.expect(Puback)).packet_id for _ in range(2)] == [1, 2]
        assert [message.payload for message in seen] == [b"0", b"1", b"2"]
        assert seen[2] == Message("u", b"2", 1, False, 60, properties, "peer", clock.monotonic())
        assert (broker.stats.publishes, broker.stats.acked) == (3, 2)


async def test_sink_failure_is_not_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    """A message the sink could not take is never acknowledged: the connection is cut instead, and the loop says why."""

    def fail(message: Message) -> None:
        raise ValueError("sink is full")

    async with Broker(on_publish=fail) as broker, await Peer.connect(broker) as peer:
        peer.send(numbered(1))
        await peer.expect_closed()
        assert broker.stats.acked == 0
    assert "sink is full" in caplog.text


async def test_delivers_once_at_the_lower_qos() -> None:
    """Overlapping subscriptions give one copy, at the lower of the QoS published and the highest granted."""
    async with Broker() as broker, await Peer.connect(broker) as peer, await Peer.connect(broker, SENDER) as sender:
        assert await peer.subscribe(Subscription("a/+", 0), Subscription("a/#", 2)) == (0, 1)
        sender.send(Publish("a/b", b"x", 1, packet_id=9), Publish("a/b", b"y"), Publish("b", b"z"))
        first, second = await peer.expect(Publish), await peer.expect(Publish)
        assert (first.payload, first.qos, second.payload, second.qos) == (b"x", 1, b"y", 0)
        await sender.expect(Puback)
        await peer.expect_nothing()
        assert broker.stats.delivered == 2


async def test_subscription_answers() -> None:
    """Each filter is answered by itself: impossible ones are refused, the others hold."""
    async with Broker() as broker, await Peer.connect(broker) as peer:
        assert await peer.subscribe("a/#/b", "$share/g/a", "ok") == (0x8F, 0x9E, 1)
        peer.send(Unsubscribe(2, ("ok", "never")))
        assert (await peer.expect(Unsuback)).reasons == (ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED)
        peer.send(Publish("ok"))
        await peer.expect_nothing()


async def test_passes_properties_on() -> None:
    """Response topic, correlation data, content type, payload format and user properties reach the subscriber."""
    sent = Properties(
        payload_is_text=True,
        content_type="text/plain",
        response_topic="reply/1",
        correlation_data=b"\x00\x01",
        user_property=(("a", "1"), ("a", "2")),
    )
    async with Broker() as broker, await Peer.connect(broker) as peer:
        await peer.subscribe("t")
        peer.send(Publish("t", b"x", properties=sent))
        assert (await peer.expect(Publish)).properties == sent


async def test_no_local_and_retain_as_published() -> None:
    """No Local hides a client's own messages; the retain flag survives only with Retain As Published."""
    async with Broker() as broker, await Peer.connect(broker) as peer, await Peer.connect(broker, SENDER) as sender:
        await peer.subscribe(Subscription("a", no_local=True), Subscription("b", retain_as_published=True), "c")
        peer.send(Publish("a", b"own"))
        sender.send(Publish("a", b"other"), Publish("b", retain=True, payload=b"b"), Publish("c", b"c", retain=True))
        received = [await peer.expect(Publish) for _ in range(3)]
        assert [(each.payload, each.retain) for each in received] == [(b"other", False), (b"b", True), (b"c", False)]


async def test_retained_messages_on_subscribe() -> None:
    """A subscription gets the newest retained messages as its retain handling asks; an empty payload removes one."""
    async with Broker() as broker, await Peer.connect(broker) as peer:
        for payload in (b"old", b"new"):
            peer.send(Publish("a", payload, retain=True), Publish("b", payload, retain=True))
        peer.send(Publish("b", b"", retain=True), Publish("c", b"passing"))
        await peer.expect_nothing()
        assert [(topic, message.payload) for topic, message in broker.retained.items()] == [("a", b"new")]
        always, if_new, never = (Subscription("#", 1, retain_handling=handling) for handling in (0, 1, 2))
        await peer.subscribe(never)
        await peer.expect_nothing()
        await peer.subscribe(if_new)
        await peer.expect_nothing()
        await peer.subscribe(always)
        retained = await peer.expect(Publish)
        assert (retained.topic, retained.payload, retained.qos, retained.retain) == ("a", b"new", 0, True)
        await peer.expect_nothing()


async def test_expiry_counts_down() -> None:
    """A retained message goes out with the time it has left, and not at all after that."""
    clock = FakeClock()
    async with Broker(clock=clock.monotonic) as broker, await Peer.connect(broker, Connect("a", keep_alive=0)) as peer:
        peer.send(Publish("t", b"x", retain=True, properties=Properties(message_expiry_interval=60)))
        await peer.expect_nothing()
        clock.advance(45.5)
        await peer.subscribe("t")
        assert (await peer.expect(Publish)).properties.message_expiry_interval == 15
        clock.advance(14.5)
        await peer.subscribe("t")
        await peer.expect_nothing()
        assert broker.retained == {}


async def test_respects_the_clients_limits() -> None:
    """A client has at most its Receive Maximum unacknowledged, and nothing larger than its Maximum Packet Size."""
    limits = Properties(receive_maximum=1, maximum_packet_size=100)
    async with Broker() as broker, await Peer.connect(broker, Connect("a", properties=limits)) as peer:
        await peer.subscribe("t")
        async with await Peer.connect(broker, SENDER) as sender:
            sender.send(numbered(1), Publish("t", bytes(100)), numbered(2))
            await sender.expect(Puback)
            await sender.expect(Puback)
        first = await peer.expect(Publish)
        await peer.expect_nothing()
        peer.send(Puback(first.packet_id or 0), Puback(999))
        assert await peer.expect_messages(1) == [b"2"]
        assert broker.stats.dropped == 1


async def test_queue_of_a_slow_client_is_bounded() -> None:
    """Past the queue's limit the newest messages for a client that does not acknowledge are dropped and counted."""
    slow = Connect("a", properties=Properties(receive_maximum=1))
    async with Broker(queue_limit=2) as broker, await Peer.connect(broker, slow) as peer:
        await peer.subscribe("t")
        peer.send(*map(numbered, range(1, 6)))
        assert await peer.expect_messages(1) == [b"1"]
        for number in range(1, 6):
            assert (await peer.expect(Puback)).packet_id == number
        peer.send(Puback(1), Puback(2), Puback(3))
        assert await peer.expect_messages(2) == [b"2", b"3"]
        assert (broker.stats.delivered, broker.stats.dropped) == (3, 2)


@pytest.mark.parametrize(
    ("leave", "lost"),
    [(None, True), (Disconnect(), False), (Disconnect(ReasonCode.DISCONNECT_WITH_WILL), True), (b"\x00\x00", True)],
)
async def test_will(leave: Packet | bytes | None, lost: bool) -> None:
    """The will is published when the client vanishes, errs or asks for it, not when it says goodbye."""
    async with Broker() as broker, await Peer.connect(broker) as peer:
        await peer.subscribe("#")
        async with await Peer.connect(broker, Connect("b", will=WILL)) as leaving:
            if leave is None:
                leaving.break_off()
            else:
                leaving.send(leave)
            if lost:
                assert await peer.expect_messages(1) == [b"lost"]
            else:
                await leaving.expect_closed()
        await peer.expect_nothing()
        assert ("status" in broker.retained) is lost


async def test_takeover() -> None:
    """A second client of the same identifier ends the first with 0x8E; the will precedes the newcomer's messages."""
    topics: list[bytes] = []
    broker = Broker(on_publish=lambda message: topics.append(message.payload))
    async with broker, await Peer.connect(broker, Connect("a", will=WILL)) as older:
        async with await Peer.connect(broker, Connect("a")) as newer:
            newer.send(Publish("status", b"online", 1, packet_id=1, retain=True))
            await newer.expect(Puback)
            await older.expect_disconnect(ReasonCode.SESSION_TAKEN_OVER)
            await newer.expect_nothing()
        assert topics == [b"lost", b"online"]
        assert broker.retained["status"].payload == b"online"


async def test_keep_alive() -> None:
    """After one and a half keep alive intervals without a packet the client is disconnected and its will published."""
    clock = FakeClock()
    connect = Connect("a", keep_alive=10, will=WILL)
    async with Broker(clock=clock.monotonic) as broker, await Peer.connect(broker, connect) as peer:
        clock.advance(14.9)
        broker.tick()
        await peer.expect_nothing()
        clock.advance(15.1)
        broker.tick()
        await peer.expect_disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT)
        assert "status" in broker.retained


async def test_connect_deadline() -> None:
    """A connection that never sends CONNECT is closed; one without keep alive may be quiet for ever."""
    clock = FakeClock()
    quiet = Connect("a", keep_alive=0)
    async with Broker(clock=clock.monotonic) as broker, await Peer.connect(broker, quiet) as peer:
        async with await Peer.open(broker) as stranger:
            await peer.expect_nothing()
            clock.advance(100_000)
            broker.tick()
            await stranger.expect_closed()
        await peer.expect_nothing()


async def test_restart_on_the_same_port() -> None:
    """A stopped broker takes leave with 0x8B, comes back on its port, and keeps retained messages only if told to."""
    broker = Broker()
    for keep_state, remembered in ((True, 1), (False, 0)):
        await broker.start()
        async with await Peer.connect(broker) as peer:
            port = broker.port
            peer.send(Publish("t", b"x", retain=True))
            await peer.expect_nothing()
            await broker.stop(keep_state=keep_state)
            await peer.expect_disconnect(ReasonCode.SERVER_SHUTTING_DOWN)
        assert (broker.port, len(broker.retained), broker.stats.clients) == (port, remembered, 0)
    await broker.stop()


async def test_abrupt_stop() -> None:
    """Stopped abruptly the broker is gone without DISCONNECT and without wills."""
    broker = Broker()
    await broker.start()
    async with await Peer.connect(broker, Connect("a", will=WILL)) as peer:
        await broker.stop(abrupt=True, keep_state=True)
        await peer.expect_closed()
    assert broker.retained == {}


LARGE = 40
"""Messages of half a megabyte: more than the network's buffers between broker and subscriber take."""


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("abrupt", [False, True])
async def test_stop_while_a_client_comes(turns: int, abrupt: bool) -> None:
    """A connection that arrives while the broker stops is closed, not leaked, however far its acceptance had come."""
    broker = Broker()
    await broker.start()
    with socket.create_connection((broker.host, broker.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await broker.stop(abrupt=abrupt)
        assert broker.stats.clients == 0
        client.settimeout(DEADLINE_S)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    gc.collect()


async def send_large(broker: Broker) -> None:
    """Publish more than a subscriber that does not read can be sent."""
    async with await Peer.connect(broker, SENDER) as sender:
        for number in range(1, LARGE + 1):
            sender.send(Publish("t", bytes(1 << 19), 1, packet_id=number))
            await sender.expect(Puback)


async def test_slow_reader_loses_nothing() -> None:
    """What a subscriber does not read waits in its queue and arrives when it reads again."""
    async with Broker() as broker, await Peer.connect(broker) as slow:
        await slow.subscribe("t")
        slow.pause_reading()
        await send_large(broker)
        assert broker.stats.delivered < LARGE
        slow.resume_reading()
        assert len(await slow.expect_messages(LARGE)) == LARGE
        await slow.expect_nothing()


async def test_closing_does_not_wait_for_a_deaf_peer() -> None:
    """A connection whose last bytes nobody takes is cut after a while."""
    clock = FakeClock()
    async with Broker(clock=clock.monotonic) as broker, await Peer.connect(broker) as deaf:
        await deaf.subscribe("t")
        deaf.pause_reading()
        await send_large(broker)
        (session,) = [session for session in broker.sessions if session.client_id == "peer"]
        broker.disconnect_all()
        clock.advance(LINGER_S + 0.1)
        broker.tick()
        await asyncio.wait_for(session.lost, DEADLINE_S)


async def test_stop_does_not_wait_for_a_deaf_peer() -> None:
    """stop() comes back within its deadline though a client takes nothing any more."""
    async with Broker() as broker, await Peer.connect(broker) as deaf:
        await deaf.subscribe("t")
        deaf.pause_reading()
        await send_large(broker)
        await asyncio.wait_for(broker.stop(), DEADLINE_S)
        assert not broker.sessions


async def test_will_delay_is_over_at_once() -> None:
    """A will with a delay goes out when the connection breaks, since the session ends there, without the delay."""
    will = Will("status", b"lost", properties=Properties(will_delay_interval=60, content_type="text/plain"))
    async with Broker() as broker, await Peer.connect(broker) as peer:
        await peer.subscribe("status")
        async with await Peer.connect(broker, Connect("b", will=will)) as leaving:
            leaving.break_off()
            assert (await peer.expect(Publish)).properties == Properties(content_type="text/plain")
