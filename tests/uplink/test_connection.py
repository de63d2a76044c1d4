"""One connection through paho: what it reports of a broker that answers oddly or goes away in the middle."""

import socket
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from edge_agent.demo.broker import Behaviour, Broker
from edge_agent.demo.broker_thread import BrokerThread
from edge_agent.demo.mqtt_packets import Connack
from edge_agent.demo.mqtt_properties import Properties
from edge_agent.demo.mqtt_wire import ReasonCode
from edge_agent.errors import UplinkError
from edge_agent.uplink.connection import Acknowledged, Happening, Lost, Message, Opened, Received
from edge_agent.uplink.connection import Broker as Address
from edge_agent.uplink.paho_connection import PahoConnection
from tests.uplink.rig import DEADLINE_S

WILL = Message("will", b"gone", retain=True)


@pytest.fixture(name="served")
def fixture_served() -> Iterator[BrokerThread]:
    """An embedded broker."""
    with BrokerThread() as served:
        yield served


@pytest.fixture(name="connect")
def fixture_connect(served: BrokerThread) -> Iterator[Callable[[], PahoConnection]]:
    """Makes connections to it and closes them at the end."""
    made: list[PahoConnection] = []

    def connect() -> PahoConnection:
        made.append(PahoConnection(Address("127.0.0.1", served.port, "s1"), WILL))
        return made[-1]

    yield connect
    for connection in made:
        connection.close(in_peace=True)


def behave(served: BrokerThread, behaviour: Behaviour) -> None:
    """Let the broker misbehave."""
    served.call(lambda broker: setattr(broker, "behaviour", behaviour))


def await_one(connection: PahoConnection, kind: type[Happening]) -> Happening:
    """Pump until something of this kind happens."""
    deadline = monotonic() + DEADLINE_S
    while monotonic() < deadline:
        for happening in connection.pump(0.2):
            if isinstance(happening, kind):
                return happening
    pytest.fail(f"no {kind.__name__}")


def connack(**properties: object) -> bytes:
    """A CONNACK that grants what it is told to."""
    return Connack(properties=Properties(**properties)).to_bytes()  # type: ignore[arg-type]


def test_opened(served: BrokerThread, connect: Callable[[], PahoConnection]) -> None:
    """What the broker grants is reported; without a word of it the standard's limits hold."""
    behave(served, Behaviour(receive_maximum=7))
    assert await_one(connect(), Opened) == Opened(7, 1 << 20)
    behave(served, Behaviour(connack_bytes=connack()))
    assert await_one(connect(), Opened) == Opened(65_535, 268_435_460)


@pytest.mark.parametrize(
    ("properties", "why"),
    [({"maximum_qos": 0}, "it acknowledges nothing"), ({"retain_available": False}, "it retains nothing")],
)
def test_unfit_broker(
    served: BrokerThread, connect: Callable[[], PahoConnection], properties: dict[str, object], why: str
) -> None:
    """A broker without QoS 1 or without retained messages cannot serve a station, and that is said."""
    behave(served, Behaviour(connack_bytes=connack(**properties)))
    lost = await_one(connect(), Lost)
    assert lost == Lost(f"broker is of no use to a station: {why}")


def test_messages_both_ways(served: BrokerThread, connect: Callable[[], PahoConnection]) -> None:
    """A message goes out and comes back with all that MQTT 5 adds to it."""
    connection = connect()
    await_one(connection, Opened)
    connection.subscribe("a/#")
    mid = connection.send(Message("a/b", b"x", expiry=60, correlation=b"\x01"))
    happened: list[Happening] = []
    deadline = monotonic() + DEADLINE_S
    while len(happened) < 2 and monotonic() < deadline:
        happened += connection.pump(0.2)
    assert Acknowledged(mid, 0) in happened
    assert Received("a/b", b"x", False, 60, None, b"\x01") in happened


def test_gone(served: BrokerThread, connect: Callable[[], PahoConnection]) -> None:
    """After the loss sending, subscribing and pumping say so instead of waiting."""
    connection = connect()
    await_one(connection, Opened)
    served.call(lambda broker: broker.disconnect_all(ReasonCode.SERVER_BUSY))
    assert await_one(connection, Lost) == Lost("broker ended the connection: Server busy", 0x89)
    assert connection.pump(5.0) == [Lost("connection closed")]
    with pytest.raises(UplinkError):
        connection.send(Message("a", b""))
    with pytest.raises(UplinkError):
        connection.subscribe("a")


def test_full_buffers(served: BrokerThread, connect: Callable[[], PahoConnection]) -> None:
    """A broker that does not read makes nobody wait: what does not fit stays for later."""
    connection = connect()
    await_one(connection, Opened)
    served.call(Broker.silence)
    for _ in range(20):
        connection.send(Message("a", b"x" * 1_000_000))
    began = monotonic()
    assert connection.pump(0.05) == []
    assert connection.pump(0.05) == []
    assert monotonic() - began < 2.0


def test_nonsense_that_the_decoder_trips_over(connect: Callable[[], PahoConnection]) -> None:
    """Whatever paho's decoder throws ends the connection, not the thread."""
    connection = connect()
    await_one(connection, Opened)

    def trip() -> None:
        raise IndexError("index out of range")

    connection._client._packet_handle = trip  # type: ignore[assignment, method-assign]
    connection.send(Message("a", b""))
    assert await_one(connection, Lost) == Lost("broker sent nonsense: IndexError('index out of range')")


def test_not_there() -> None:
    """Nobody listening, no such host: an error with the place, and nothing is left open."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with pytest.raises(UplinkError, match=f"127.0.0.1:{port}: .*refused"):
        PahoConnection(Address("127.0.0.1", port, "s1"), WILL)
    with pytest.raises(UplinkError, match=r"no\.such\.host\.invalid:1883: "):
        PahoConnection(Address("no.such.host.invalid", 1883, "s1"), WILL)


def test_wake(connect: Callable[[], PahoConnection]) -> None:
    """A wake from elsewhere ends the wait, also one that came before it."""
    connection = connect()
    await_one(connection, Opened)
    connection.wake()
    began = monotonic()
    assert connection.pump(5.0) == []
    assert monotonic() - began < 2.0
