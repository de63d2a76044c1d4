"""Datagrams on the real loopback: whole, from the device asked only, and errors that help."""

import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config.links import UdpLink
from edge_agent.driver import LinkError, LinkTimeout, ReplyShape
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.make import make_link
from edge_agent.links.udp import UdpPort, open_udp

HERE = "127.0.0.1"
SOON = 5.0
"""Deadline (s) of waits that normally end at once."""
ANY = ReplyShape("any", lambda received: received or None)


@pytest.fixture
def device() -> Iterator[socket.socket]:
    """The far end: a socket with a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind((HERE, 0))
        far.settimeout(SOON)
        yield far


@pytest.fixture
def port(device: socket.socket) -> Iterator[UdpPort]:
    """The near end."""
    near = open_udp(HERE, device.getsockname()[1])
    yield near
    near.close()


def test_datagrams_go_there_and_back(device: socket.socket, port: UdpPort) -> None:
    """What is written arrives as one datagram; what is answered is read whole."""
    port.write(b"\x17" * 64)
    data, sender = device.recvfrom(100)
    assert data == b"\x17" * 64
    device.sendto(b"\x42" * 64, sender)
    assert port.read(SOON) == b"\x42" * 64
    assert port.read(0.0) == b""


def test_strangers_are_not_heard(device: socket.socket, port: UdpPort) -> None:
    """A datagram from another port never reaches the link."""
    port.write(b"?")
    _, sender = device.recvfrom(10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"forged", sender)
    device.sendto(b"real", sender)
    assert port.read(SOON) == b"real"
    assert port.read(0.01) == b""


def test_a_link_made_from_its_table_asks(device: socket.socket) -> None:
    """A `[[link]]` of kind udp becomes a link that asks and times out like any other."""
    table = UdpLink.model_validate(
        {"name": "net", "kind": "udp", "host": HERE, "port": device.getsockname()[1], "max_reply_delay": "10ms"}
    )
    link = make_link(table, SystemClock())
    assert isinstance(link, ByteLink)
    link.open()

    def answer() -> None:
        data, sender = device.recvfrom(10)
        device.sendto(data[::-1], sender)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        assert link.ask(b"abc", reply=ANY, within=SOON) == b"cba"
        with pytest.raises(LinkTimeout):
            link.ask(b"abc", reply=ANY, within=0.01)
    finally:
        thread.join(SOON)
        link.close()


def test_a_closed_port_says_so_and_heals(device: socket.socket) -> None:
    """Where nothing listens the error says that; the socket stays good for when something does."""
    number = device.getsockname()[1]
    device.close()
    near = open_udp(HERE, number)
    near.write(b"?")
    with pytest.raises(LinkError, match="nothing listens on that port") as caught:
        near.read(SOON)
    assert not caught.value.gone
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind((HERE, number))
        back.settimeout(SOON)
        near.write(b"again")
        assert back.recv(10) == b"again"
    near.close()


def test_a_refusal_that_waits_does_not_hit_the_next_question(device: socket.socket, port: UdpPort) -> None:
    """What an earlier datagram met is not reported for the one sent now."""
    number = device.getsockname()[1]
    device.close()
    port.write(b"?")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind((HERE, number))
        back.settimeout(SOON)
        port.write(b"again")
        assert back.recv(10) == b"again"


@pytest.mark.parametrize("end", ["wake", "close"])
def test_a_wait_can_be_ended(port: UdpPort, end: str) -> None:
    """`wake` ends a wait at once; after `close` the port says that it is gone."""
    port.wake()
    assert port.read(0.0) == b""
    assert port.read(SOON) == b""
    if end == "close":
        port.close()
        port.wake()
        for use in (lambda: port.read(0.0), lambda: port.write(b"x")):
            with pytest.raises(LinkError, match="closed") as caught:
                use()
            assert caught.value.gone


class NoWay(socket.socket):
    """A socket whose cable is out."""

    def send(self, *_: object) -> int:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")


def test_no_network_is_a_lost_link() -> None:
    """Without a way there the link is lost, with a word about cable and address."""
    near = UdpPort(NoWay(socket.AF_INET, socket.SOCK_DGRAM), "192.0.2.1:60000")
    with pytest.raises(LinkError, match="is the network cable in") as caught:
        near.write(b"x")
    assert caught.value.gone


def test_an_impossible_address_is_explained() -> None:
    """An address that cannot be connected to is refused at opening."""
    with pytest.raises(LinkError, match="cannot be talked to") as caught:
        open_udp("255.255.255.255", 60000)
    assert caught.value.gone


@pytest.mark.parametrize("host", ["controller.local", "192.168.1.300", "192.168.1.5:60000", ""])
def test_only_an_ip_address_is_taken(host: str) -> None:
    """Names and typing mistakes are refused when the station file is read."""
    with pytest.raises(ValueError, match="is not an IP address"):
        UdpLink(name="net", kind="udp", host=host)
