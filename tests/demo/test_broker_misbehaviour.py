"""Every fault the demo broker can be told to show, and that it shows no other."""

import asyncio
from collections.abc import Sequence

import pytest

from edge_agent.clock import FakeClock
from edge_agent.demo.broker import Behaviour, Broker, Message, ReasonCode, Refusal
from edge_agent.demo.mqtt_packets import Connack, Connect, Puback, Publish, Will
from edge_agent.demo.mqtt_wire import ProtocolError
from tests.demo.mqtt_peer import Peer, numbered

pytestmark = pytest.mark.asyncio


async def acks(peer: Peer, count: int) -> list[int]:
    """The packet identifiers of the next `count` packets, which must be PUBACK."""
    return [(await peer.expect(Puback)).packet_id for _ in range(count)]


async def test_never_acknowledges() -> None:
    """Publishes are accepted and stay without an answer, also after release()."""
    async with Broker(behaviour=Behaviour(never_ack=True)) as broker, await Peer.connect(broker) as peer:
        peer.send(numbered(1))
        await peer.expect_nothing()
        broker.release()
        await peer.expect_nothing()
        assert (broker.stats.publishes, broker.stats.acked) == (1, 0)


@pytest.mark.parametrize(("reverse", "expected"), [(False, [1, 2, 3]), (True, [3, 2, 1])])
async def test_holds_acknowledgements(reverse: bool, expected: Sequence[int]) -> None:
    """Held acknowledgements go out on release(), in order or reversed, and later ones are held again."""
    behaviour = Behaviour(hold_acks=True, reverse_acks=reverse)
    async with Broker(behaviour=behaviour) as broker, await Peer.connect(broker) as peer:
        peer.send(*map(numbered, (1, 2, 3)))
        await peer.expect_nothing()
        broker.tick()
        await peer.expect_nothing()
        broker.release()
        assert await acks(peer, 3) == expected
        peer.send(numbered(4))
        await peer.expect_nothing()
        broker.release()
        assert await acks(peer, 1) == [4]


@pytest.mark.parametrize(("reverse", "first", "second"), [(False, [1], [2]), (True, [2, 1], [])])
async def test_delays_acknowledgements(reverse: bool, first: Sequence[int], second: Sequence[int]) -> None:
    """Each acknowledgement waits its delay; reversed, all that wait go with the oldest, newest first."""
    clock = FakeClock()
    behaviour = Behaviour(ack_delay_s=2.0, reverse_acks=reverse)
    async with Broker(behaviour=behaviour, clock=clock.monotonic) as broker, await Peer.connect(broker) as peer:
        peer.send(numbered(1))
        await peer.expect_nothing()
        clock.advance(1.5)
        peer.send(numbered(2))
        await peer.expect_nothing()
        clock.advance(0.5)
        broker.tick()
        assert await acks(peer, len(first)) == first
        await peer.expect_nothing()
        clock.advance(1.5)
        broker.tick()
        assert await acks(peer, len(second)) == second


async def test_reverses_acknowledgements_by_the_tick() -> None:
    """Reversed without a delay, the acknowledgements of one tick leave newest first."""
    clock = FakeClock()
    behaviour = Behaviour(reverse_acks=True)
    async with Broker(behaviour=behaviour, clock=clock.monotonic) as broker, await Peer.connect(broker) as peer:
        peer.send(*map(numbered, (1, 2, 3)))
        assert await acks(peer, 3) == [3, 2, 1]


@pytest.mark.parametrize(
    "reason",
    [
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.TOPIC_NAME_INVALID,
        ReasonCode.UNSPECIFIED_ERROR,
        ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
        ReasonCode.PACKET_TOO_LARGE,
        ReasonCode.PAYLOAD_FORMAT_INVALID,
    ],
)
async def test_refuses_publishes(reason: ReasonCode) -> None:
    """Matching topics get the reason code as often as asked; what is refused is neither seen nor retained."""
    seen: list[Message] = []
    behaviour = Behaviour(refusals=(Refusal("bad/#", reason, times=2),))
    async with Broker(behaviour=behaviour, on_publish=seen.append) as broker, await Peer.connect(broker) as peer:
        for number, topic in enumerate(("bad/x", "good", "bad/y", "bad/z"), start=1):
            peer.send(Publish(topic, b"%d" % number, 1, packet_id=number, retain=True))
        answers = [(await peer.expect(Puback)).reason for _ in range(4)]
        assert answers == [reason, ReasonCode.SUCCESS, reason, ReasonCode.SUCCESS]
        assert [message.topic for message in seen] == ["good", "bad/z"] == list(broker.retained)
        assert (broker.stats.acked, broker.stats.refused) == (2, 2)


async def test_refuses_for_ever_until_told_otherwise() -> None:
    """A refusal without a number lasts until the behaviour changes; a reason below 0x80 is an acceptance."""
    for_ever = Behaviour(refusals=(Refusal("#", ReasonCode.NOT_AUTHORIZED),))
    async with Broker(behaviour=for_ever) as broker, await Peer.connect(broker) as peer:
        peer.send(*map(numbered, (1, 2, 3)))
        assert {(await peer.expect(Puback)).reason for _ in range(3)} == {ReasonCode.NOT_AUTHORIZED}
        broker.behaviour = Behaviour(refusals=(Refusal("#", ReasonCode.NO_MATCHING_SUBSCRIBERS),))
        peer.send(numbered(4))
        assert (await peer.expect(Puback)).reason is ReasonCode.NO_MATCHING_SUBSCRIBERS
        assert (broker.stats.publishes, broker.stats.acked, broker.stats.refused) == (1, 1, 3)


async def test_closes_after_connack() -> None:
    """The client is admitted and at once closed without DISCONNECT."""
    async with Broker(behaviour=Behaviour(close_after_connack=True)) as broker, await Peer.connect(broker) as peer:
        await peer.expect_closed()
        assert broker.stats.connections == 1


async def test_refuses_connect() -> None:
    """Every CONNECT gets the reason code and is closed, until told otherwise."""
    async with Broker(behaviour=Behaviour(refuse_connect=ReasonCode.BANNED)) as broker:
        async with await Peer.open(broker) as peer:
            peer.send(Connect("a"))
            assert (await peer.expect(Connack)).reason is ReasonCode.BANNED
            await peer.expect_closed()
        broker.behaviour = Behaviour()
        async with await Peer.connect(broker) as peer:
            await peer.expect_nothing()


async def test_black_hole() -> None:
    """TCP is accepted and nothing answered, whatever the deadlines; release() brings the CONNACK."""
    clock = FakeClock()
    behaviour = Behaviour(black_hole=True)
    async with Broker(behaviour=behaviour, clock=clock.monotonic) as broker, await Peer.open(broker) as peer:
        peer.send(Connect("a"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.expect(Connack), 0.05)
        clock.advance(1000)
        broker.tick()
        broker.release()
        await peer.expect(Connack)


async def test_sends_malformed_packets() -> None:
    """The bytes given replace CONNACK, or PUBACK."""
    async with Broker(behaviour=Behaviour(connack_bytes=b"\x20\x80\x00")) as broker, await Peer.open(broker) as peer:
        peer.send(Connect("a"))
        with pytest.raises(ProtocolError):
            await peer.expect(Connack)
    async with Broker(behaviour=Behaviour(puback_bytes=b"\x40\x01\xff")) as broker, await Peer.connect(broker) as peer:
        peer.send(numbered(1))
        with pytest.raises(ProtocolError):
            await peer.expect(Puback)


async def test_enforces_receive_maximum() -> None:
    """The limit is announced; exactly that many may be unacknowledged, one more ends with 0x93."""
    behaviour = Behaviour(receive_maximum=1)
    async with Broker(behaviour=behaviour) as broker, await Peer.open(broker) as peer:
        peer.send(Connect("a"))
        assert (await peer.expect(Connack)).properties.receive_maximum == 1
        for number in (1, 2):
            peer.send(numbered(number), Publish("t"))
            assert await acks(peer, 1) == [number]
        broker.behaviour = Behaviour(receive_maximum=1, hold_acks=True)
        peer.send(numbered(3), numbered(4))
        await peer.expect_disconnect(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)


async def test_server_keep_alive() -> None:
    """The server's keep alive is announced and replaces the client's."""
    clock = FakeClock()
    behaviour = Behaviour(server_keep_alive=4)
    async with Broker(behaviour=behaviour, clock=clock.monotonic) as broker, await Peer.open(broker) as peer:
        peer.send(Connect("a", keep_alive=60))
        assert (await peer.expect(Connack)).properties.server_keep_alive == 4
        clock.advance(6.1)
        broker.tick()
        await peer.expect_disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT)


async def test_drops_after_publishes() -> None:
    """Each connection breaks at its nth publish: accepted, not acknowledged; those before are answered."""
    seen: list[Message] = []
    async with Broker(behaviour=Behaviour(drop_after=3), on_publish=seen.append) as broker:
        for _ in range(2):
            async with await Peer.connect(broker) as peer:
                peer.send(*map(numbered, (1, 2, 3, 4)))
                assert await acks(peer, 2) == [1, 2]
                await peer.expect_closed()
        assert [message.payload for message in seen] == [b"1", b"2", b"3"] * 2
        assert broker.stats.acked == 4


async def test_goes_silent_after_publishes() -> None:
    """From the nth publish on nothing is read or written, whatever the keep alive; release() resumes without loss."""
    seen: list[Message] = []
    clock = FakeClock()
    behaviour = Behaviour(silent_after=2)
    broker = Broker(behaviour=behaviour, on_publish=seen.append, clock=clock.monotonic)
    async with broker, await Peer.connect(broker) as peer:
        peer.send(*map(numbered, (1, 2, 3)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.expect(Puback), 0.05)
        assert len(seen) == 2
        clock.advance(1000)
        broker.tick()
        broker.release()
        assert await acks(peer, 3) == [1, 2, 3]
        assert len(seen) == 3


async def test_silence_now() -> None:
    """silence() holds every present connection still; stop() does not mind."""
    async with Broker() as broker, await Peer.connect(broker) as peer:
        await peer.subscribe("t")
        broker.silence()
        async with await Peer.connect(broker, Connect("sender")) as sender:
            sender.send(Publish("t", b"x"))
            await sender.expect_nothing()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.expect(Publish), 0.05)
        broker.release()
        assert await peer.expect_messages(1) == [b"x"]
        broker.silence()


@pytest.mark.parametrize("reason", [ReasonCode.SERVER_BUSY, None])
async def test_disconnect_all(reason: ReasonCode | None) -> None:
    """Every connection ends, with DISCONNECT or without a word, and the wills go out."""
    with_will = Connect("a", will=Will("t", b"x", retain=True))
    async with Broker() as broker, await Peer.connect(broker, with_will) as a:
        async with await Peer.connect(broker, Connect("b")) as b:
            broker.disconnect_all(reason)
            for peer in (a, b):
                if reason is None:
                    await peer.expect_closed()
                else:
                    await peer.expect_disconnect(reason)
        assert broker.stats.clients == 0
        assert "t" in broker.retained
