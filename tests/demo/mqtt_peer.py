"""An MQTT 5 client that does exactly what a test says, packet by packet."""

import asyncio
from typing import Self, TypeVar, cast

from edge_agent.demo.broker import Broker
from edge_agent.demo.mqtt_codec import PacketReader
from edge_agent.demo.mqtt_packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from edge_agent.demo.mqtt_wire import ReasonCode

DEADLINE_S = 5.0

P = TypeVar("P", bound=Packet)


class Peer:
    """One connection; every wait has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._packets = PacketReader(1 << 20)

    @classmethod
    async def open(cls, broker: Broker) -> Self:
        """Connect TCP, without a CONNECT."""
        return cls(*await asyncio.open_connection(broker.host, broker.port))

    @classmethod
    async def connect(cls, broker: Broker, connect: Connect | None = None) -> Self:
        """Connect and be admitted."""
        peer = await cls.open(broker)
        peer.send(connect or Connect("peer"))
        assert (await peer.expect(Connack)).reason is ReasonCode.SUCCESS
        return peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.break_off()
        await asyncio.sleep(0)  # the transport closes its socket in the loop's next turn

    def break_off(self) -> None:
        """Vanish without DISCONNECT."""
        self._writer.transport.abort()

    def pause_reading(self) -> None:
        """Let the network's buffers fill up."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take what has come meanwhile."""
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self._writer.transport)

    def send(self, *packets: Packet | bytes) -> None:
        """Write packets, or bytes that are none, in one go."""
        self._writer.write(b"".join(each if isinstance(each, bytes) else each.to_bytes() for each in packets))

    async def expect(self, kind: type[P]) -> P:
        """The next packet, which must be of this kind."""
        while (packet := self._packets.next_packet()) is None:
            data = await asyncio.wait_for(self._reader.read(65_536), DEADLINE_S)
            assert data, f"closed while waiting for {kind.__name__}"
            self._packets.feed(data)
        assert isinstance(packet, kind), packet
        return packet

    async def expect_messages(self, count: int) -> list[bytes]:
        """The payloads of the next `count` packets, which must be PUBLISH."""
        return [(await self.expect(Publish)).payload for _ in range(count)]

    async def expect_closed(self) -> None:
        """The broker says nothing more and closes."""
        assert self._packets.next_packet() is None
        try:
            assert await asyncio.wait_for(self._reader.read(), DEADLINE_S) == b""
        except ConnectionResetError:
            return

    async def expect_disconnect(self, reason: ReasonCode) -> None:
        """The broker sends DISCONNECT for this reason and closes."""
        assert (await self.expect(Disconnect)).reason is reason
        await self.expect_closed()

    async def expect_nothing(self) -> None:
        """The broker has handled everything sent so far and has nothing to say to it."""
        self.send(Pingreq())
        await self.expect(Pingresp)

    async def subscribe(self, *filters: str | Subscription) -> tuple[int, ...]:
        """Subscribe, at QoS 1 unless said otherwise, and return the reason codes."""
        asked = (each if isinstance(each, Subscription) else Subscription(each, 1) for each in filters)
        self.send(Subscribe(1, tuple(asked)))
        return (await self.expect(Suback)).reasons


def numbered(number: int, topic: str = "t") -> Publish:
    """A QoS 1 publish whose packet identifier and payload are `number`."""
    return Publish(topic, b"%d" % number, 1, packet_id=number)
