"""Connections on the loopback: whole bytes, a far end that goes away, errors that help, and Modbus TCP's envelope."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.codec import Function, Reply, Request, decode_request, encode_reply, encode_request, seal
from drivers.modbus.codec_shape import reply_shape
from edge_agent.clock import FakeClock, SystemClock
from edge_agent.driver import DeviceError, LinkError, LinkTimeout, ReplyShape
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.modbus_tcp import ModbusTcpPort
from edge_agent.links.tcp import TcpPort, open_tcp

SOON = 5.0
"""Deadline (s) of waits that normally end at once."""


@dataclass
class Server:
    """A listening socket and the last connection that came to it."""

    listener: socket.socket
    connection: socket.socket | None = None

    @property
    def number(self) -> int:
        """The port."""
        return int(self.listener.getsockname()[1])

    def accept(self) -> socket.socket:
        """Take the connection that waits."""
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(SOON)
        return self.connection

    def close(self) -> None:
        """Let go of everything."""
        if self.connection is not None:
            self.connection.close()
        self.listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on the loopback."""
    made = Server(socket.create_server(("127.0.0.1", 0)))
    made.listener.settimeout(SOON)
    yield made
    made.close()


@pytest.fixture
def port(server: Server) -> Iterator[TcpPort]:
    """A port connected to it."""
    opened = open_tcp("127.0.0.1", server.number)
    server.accept()
    yield opened
    opened.close()


def far(server: Server) -> socket.socket:
    """The far end of the connection."""
    assert server.connection is not None
    return server.connection


def until_gone(wire: TcpPort | ByteLink) -> LinkError:
    """Wait on a port or link until it says that it is lost."""
    wait = wire.read if isinstance(wire, TcpPort) else wire.wait
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        try:
            wait(0.1)
        except LinkError as error:
            return error
    raise AssertionError("it never noticed")


def test_bytes_of_every_value_pass_both_ways(server: Server, port: TcpPort) -> None:
    """No byte is changed, and a read returns with the first that came."""
    everything = bytes(range(256))
    port.write(everything)
    heard = b""
    while len(heard) < 256:
        heard += far(server).recv(256)
    assert heard == everything
    far(server).sendall(everything)
    received = b""
    while len(received) < 256:
        received += port.read(SOON)
    assert received == everything


def test_a_silent_connection_ends_the_read_in_time(port: TcpPort) -> None:
    """Nothing within the time asked for is b"", not an error."""
    begun = time.monotonic()
    assert port.read(0.02) == b""
    assert 0.02 <= time.monotonic() - begun < SOON


def test_wake_ends_a_wait_from_another_thread(port: TcpPort) -> None:
    """A waiting read returns at once when another thread wakes it; a look without waiting keeps the wake."""
    waker = threading.Thread(target=port.wake)
    waker.start()
    assert port.read(60.0) == b""
    waker.join(SOON)
    port.wake()
    assert port.read(0.0) == b""
    assert port.read(60.0) == b""


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_far_end_that_goes_away_is_a_lost_link(server: Server, port: TcpPort, *, reset: bool) -> None:
    """A connection that the far end closes or resets is LinkError(gone), and everything after it too."""
    if reset:
        far(server).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far(server).close()
    assert until_gone(port).gone
    for use in (lambda: port.write(b"x"), lambda: port.read(0.0)):
        with pytest.raises(LinkError, match="is closed") as caught:
            use()
        assert caught.value.gone
    port.wake()


def test_a_far_end_that_takes_nothing_is_given_up() -> None:
    """When the send buffer stays full, a write ends within its deadline as a lost link."""
    near, far_end = socket.socketpair()
    near.setblocking(False)
    port = TcpPort(near, "stalled", write_within=0.05)
    with pytest.raises(LinkError, match="takes no more bytes") as caught:
        port.write(bytes(10_000_000))
    assert caught.value.gone
    far_end.close()


def test_a_dead_far_end_is_found_by_the_kernel(port: TcpPort) -> None:
    """Keepalive and the limit for unacknowledged data are set: a server without power is lost within seconds."""
    connection = port._connection
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 12_000
    assert not connection.getblocking()


def test_a_refused_connection_says_what_to_look_at(server: Server) -> None:
    """Nobody listening is LinkError(gone) with the settings to check."""
    number = server.number
    server.close()
    with pytest.raises(LinkError, match=r"127\.0\.0\.1:\d+ refuses the connection: is it set to TCP server") as caught:
        open_tcp("127.0.0.1", number)
    assert caught.value.gone


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("timed out"), "does not answer: has it power"),
        (OSError(113, "No route to host"), "does not answer: has it power"),
        (OSError(13, "Permission denied"), "cannot be reached: Permission denied"),
    ],
)
def test_other_failures_say_what_to_look_at(monkeypatch: pytest.MonkeyPatch, error: OSError, text: str) -> None:
    """A silent or unreachable address is told apart from anything else."""

    def fail(*_: object, **__: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(LinkError, match=text):
        open_tcp("10.0.0.9", 4001)


def test_a_lost_connection_is_opened_again(server: Server) -> None:
    """After the far end has gone, the link closes and opens like a serial port, and asks over the new connection."""
    link = ByteLink("server", lambda: open_tcp("127.0.0.1", server.number), SystemClock(), Timing(max_reply_delay=0.01))
    shape = ReplyShape("k", lambda got: got if got == b"A" else None)
    link.open()
    server.accept().close()
    assert until_gone(link).gone
    link.close()
    link.open()
    connection = server.accept()

    def answer() -> None:
        connection.recv(1)
        connection.sendall(b"A")

    answering = threading.Thread(target=answer)
    answering.start()
    assert link.ask(b"Q", reply=shape, within=SOON) == b"A"
    answering.join(SOON)
    link.close()


# ---- Modbus TCP


@dataclass
class Wire:
    """The connection below Modbus TCP on a fake clock: what was sent, and what comes back when."""

    clock: FakeClock
    sent: list[bytes] = field(default_factory=list)
    coming: list[tuple[float, bytes]] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        """Note it."""
        self.sent.append(data)

    def read(self, within: float) -> bytes:
        """Return what is due, or comes due within `within`."""
        self.coming.sort(key=lambda entry: entry[0])
        now = self.clock.monotonic()
        if not self.coming or self.coming[0][0] > now + within:
            self.clock.advance(within)
            return b""
        due, data = self.coming.pop(0)
        self.clock.advance(max(0.0, due - now))
        return data

    def wake(self) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """Nothing is held."""

    def say(self, data: bytes, after: float = 0.0) -> None:
        """Let bytes come."""
        self.coming.append((self.clock.monotonic() + after, data))


ASKED = Request(9, Function.READ_HOLDING_REGISTERS, 107, 2)
GOOD = encode_reply(Reply(9, Function.READ_HOLDING_REGISTERS, (141, 142)))
PDU = GOOD[1:-2]


def adu(pdu: bytes, transaction: int = 1, unit: int = 9, protocol: int = 0) -> bytes:
    """A Modbus TCP frame."""
    return (
        transaction.to_bytes(2, "big")
        + protocol.to_bytes(2, "big")
        + (len(pdu) + 1).to_bytes(2, "big")
        + bytes((unit,))
        + pdu
    )


def wrapped() -> tuple[ModbusTcpPort, Wire]:
    """A port over a wire."""
    wire = Wire(FakeClock())
    return ModbusTcpPort(wire), wire


def test_a_request_gets_its_header_and_loses_its_crc() -> None:
    """The frame on the wire is that of the specification: transaction, protocol 0, length, unit, function."""
    port, wire = wrapped()
    port.write(encode_request(ASKED))
    port.write(encode_request(ASKED))
    assert wire.sent == [
        bytes.fromhex("0001 0000 0006 09 03 006b 0002"),
        bytes.fromhex("0002 0000 0006 09 03 006b 0002"),
    ]


@given(cuts=st.sets(st.integers(1, len(adu(PDU)) - 1)))
def test_an_answer_in_pieces_is_put_together(cuts: set[int]) -> None:
    """However the stream is cut, the answer comes out once, as the RTU frame the driver knows."""
    port, wire = wrapped()
    port.write(encode_request(ASKED))
    answer = adu(PDU)
    edges = [0, *sorted(cuts), len(answer)]
    for start, end in pairwise(edges):
        wire.say(answer[start:end])
    assert b"".join(port.read(1.0) for _ in range(len(edges))) == GOOD


@given(delay=st.floats(0.0, 1.95), pause=st.floats(0.0, 0.3))
def test_a_late_answer_is_never_the_next_one(delay: float, pause: float) -> None:
    """At every delay, even without any waiting time, the transaction keeps a late answer from the next question."""
    clock = FakeClock()
    wire = Wire(clock)
    link = ByteLink("net", lambda: ModbusTcpPort(wire), clock, Timing(guard=0, max_reply_delay=0.0, echo="no"))
    link.open()
    wire.say(adu(PDU), after=delay)
    other = Request(9, Function.READ_HOLDING_REGISTERS, 200, 2)
    values = []
    for number, request in enumerate((ASKED, other, ASKED, other), 1):
        if number > 1:
            theirs = (1, 2) if request is other else (141, 142)
            wire.say(adu(encode_reply(Reply(9, request.function, theirs))[1:-2], number), after=0.1)
        try:
            frame = link.ask(encode_request(request), reply=reply_shape(request), within=0.5)
        except LinkTimeout:
            assert number == 1
        else:
            values.append((request is other, frame == GOOD))
        clock.advance(pause)
    assert all(other != good for other, good in values)


@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_a_gateway_that_gets_no_answer_is_silence(code: int) -> None:
    """Exceptions 0A and 0B speak of the wire behind the gateway: for the driver its device did not answer."""
    clock = FakeClock()
    wire = Wire(clock)
    link = ByteLink("net", lambda: ModbusTcpPort(wire), clock)
    link.open()
    wire.say(adu(bytes((0x83, code))), after=0.1)
    with pytest.raises(LinkTimeout):
        link.ask(encode_request(ASKED), reply=reply_shape(ASKED), within=0.5)


def test_a_refusal_of_the_device_is_passed_on() -> None:
    """Any other exception is the device's own answer."""
    port, wire = wrapped()
    port.write(encode_request(ASKED))
    wire.say(adu(b"\x83\x02"))
    assert port.read(1.0) == seal(b"\x09\x83\x02")


@pytest.mark.parametrize("noise", [adu(PDU, protocol=7), b"\0\1\0\0\0\1\x09\x03", b"\0\1\0\0\xff\xff\x09", GOOD])
def test_what_is_not_modbus_tcp_closes_the_link(noise: bytes) -> None:
    """A stream without its header is lost for good: the link is opened anew, and the cure is named."""
    port, wire = wrapped()
    port.write(encode_request(ASKED))
    wire.say(noise)
    with pytest.raises(LinkError, match="is not Modbus TCP") as caught:
        port.read(1.0)
    assert caught.value.gone


@given(st.binary(max_size=600))
def test_no_bytes_make_the_port_fail(data: bytes) -> None:
    """Any bytes give frames, nothing, or LinkError."""
    port, wire = wrapped()
    port.write(encode_request(ASKED))
    wire.say(data)
    try:
        frames = port.read(1.0)
    except LinkError:
        return
    assert isinstance(frames, bytes)


@given(st.binary(max_size=20))
def test_only_modbus_frames_are_carried(data: bytes) -> None:
    """What is no RTU frame is not sent; the link stays open for those who speak Modbus."""
    port, wire = wrapped()
    try:
        decode_request(data)
    except DeviceError:
        with pytest.raises(LinkError, match="is no Modbus frame") as caught:
            port.write(data)
        assert not caught.value.gone
        assert wire.sent == []
