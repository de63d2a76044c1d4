"""The page's server on a real socket: its address, its stream, its limits, its end."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from edge_agent.errors import AgentError
from edge_agent.page.app import create_app
from edge_agent.page.live import MAX_STREAMS
from edge_agent.page.server import MAX_CONNECTIONS, PageServer
from tests.page.rig import Rig

WITHIN_S = 5.0


@pytest.fixture(name="rig")
def _rig() -> Rig:
    rig = Rig()
    rig.normal()
    return rig


@pytest.fixture(name="server")
def _server(rig: Rig) -> Iterator[PageServer]:
    server = PageServer(create_app(rig.source), "127.0.0.1", 0, patience=0.3)
    server.start()
    yield server
    server.stop()


def port_of(server: PageServer) -> int:
    """Return the port the server has taken."""
    return int(server.url.rstrip("/").rpartition(":")[2])


def connect(server: PageServer) -> socket.socket:
    """Open a bare connection."""
    return socket.create_connection(("127.0.0.1", port_of(server)), WITHIN_S)


def get(server: PageServer, path: str = "/") -> tuple[int, bytes]:
    """Ask once."""
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=WITHIN_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Listener:
    """A browser's end of the stream."""

    def __init__(self, server: PageServer) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=WITHIN_S)
        self.connection.request("GET", "/events?lang=en")
        self.answer = self.connection.getresponse()

    def event(self) -> dict[str, Any]:
        """Return the parts of the next event."""
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("data: "):
                parts: dict[str, Any] = json.loads(line.removeprefix("data: "))["parts"]
                return parts

    def close(self) -> None:
        """Leave."""
        self.answer.close()
        self.connection.close()


def test_it_serves_in_a_thread_of_its_own(server: PageServer) -> None:
    """Started, it answers; the thread is a daemon named page."""
    status, body = get(server)
    assert status == 200
    assert "一切正常".encode() in body
    threads = [thread for thread in threading.enumerate() if thread.name == "page"]
    assert [thread.daemon for thread in threads] == [True]


def test_a_change_of_the_picture_is_streamed(rig: Rig, server: PageServer) -> None:
    """The whole screen on connecting, then the parts that changed."""
    listener = Listener(server)
    try:
        assert listener.answer.getheader("content-type", "").startswith("text/event-stream")
        assert "banner" in listener.event()
        rig.alarm("inputs", "smoke")
        assert "Smoke detected" in listener.event()["banner"]
    finally:
        listener.close()


def test_the_ninth_stream_is_refused_and_told_when_to_come_again(server: PageServer) -> None:
    """Pages beyond the cap fall back to asking."""
    listeners = [Listener(server) for _ in range(MAX_STREAMS)]
    try:
        for listener in listeners:
            listener.event()
        ninth = Listener(server)
        assert ninth.answer.status == 503
        assert ninth.answer.getheader("retry-after") == "10"
        ninth.close()
        assert get(server, "/parts")[0] == 200
    finally:
        for listener in listeners:
            listener.close()


def test_a_taken_port_is_said_at_once_and_clearly(rig: Rig, server: PageServer) -> None:
    """`start` raises with the address, the reason and the cure."""
    second = PageServer(create_app(rig.source), "127.0.0.1", port_of(server))
    with pytest.raises(AgentError, match=r"127\.0\.0\.1:\d+: another program has this port .*\[page\] listen"):
        second.start()
    second.stop()


def test_an_address_of_another_machine_is_said_clearly(rig: Rig) -> None:
    """The installer's mistake is named."""
    with pytest.raises(AgentError, match="this machine has no such address"):
        PageServer(create_app(rig.source), "192.0.2.1", 0).start()


def test_it_stops_with_streams_open_and_starts_again_on_its_port(rig: Rig) -> None:
    """A phone that watches keeps nobody from stopping."""
    server = PageServer(create_app(rig.source), "127.0.0.1", 0)
    server.start()
    server.start()
    address = server.url
    listener = Listener(server)
    listener.event()
    server.stop()
    server.stop()
    assert listener.answer.read().endswith(b"")
    listener.close()
    rig.alarm("inputs", "smoke")
    server.start()
    assert server.url == address
    assert get(server)[0] == 200
    server.stop()


def test_ipv6_is_served_and_written_in_brackets(rig: Rig) -> None:
    """`[::1]:8080` is an address like any other."""
    server = PageServer(create_app(rig.source), "::1", 0)
    try:
        server.start()
    except AgentError:
        return  # a machine without IPv6
    try:
        assert server.url.startswith("http://[::1]:")
    finally:
        server.stop()


def test_it_promises_from_within_its_loop(rig: Rig) -> None:
    """The supervisor is told when the loop will have come round."""
    promised = threading.Event()
    server = PageServer(create_app(rig.source), "127.0.0.1", 0, promise=lambda _: promised.set())
    server.start()
    assert promised.wait(WITHIN_S)
    server.stop()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_request_that_does_not_come_is_not_waited_for(server: PageServer, sent: bytes) -> None:
    """Silent, half sent or without its body: the connection ends in time."""
    with connect(server) as connection:
        connection.sendall(sent)
        while True:
            try:
                if not connection.recv(65536):
                    break
            except ConnectionResetError:
                break


def test_a_connection_can_ask_more_than_once(server: PageServer) -> None:
    """The time limit is on a request, not on a browser that keeps its connection."""
    with connect(server) as connection:
        for _ in range(3):
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_stream_outlives_the_time_limit_of_requests(rig: Rig, server: PageServer) -> None:
    """Watching is not dawdling."""
    listener = Listener(server)
    try:
        listener.event()
        with connect(server) as idle:
            assert not idle.recv(1)  # by now the limit has passed for a connection of the same age
        rig.alarm("inputs", "smoke")
        assert "banner" in listener.event()
    finally:
        listener.close()


def test_endless_headers_are_cut_off(server: PageServer) -> None:
    """8 KB without an end are a bad request."""
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_connections_beyond_the_limit_are_sent_away(rig: Rig) -> None:
    """Twenty are held; the next one is told to come again, and a place that becomes free is given."""
    server = PageServer(create_app(rig.source), "127.0.0.1", 0)
    server.start()
    held = [connect(server) for _ in range(MAX_CONNECTIONS)]
    try:
        for connection in held:  # each is known to the server once it has answered
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        with connect(server) as late:
            assert late.recv(65536).startswith(b"HTTP/1.1 503")
    finally:
        for connection in held:
            connection.close()
        server.stop()
