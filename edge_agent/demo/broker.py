"""A small MQTT 5 broker for the demonstration and, told to misbehave, for tests; never for production.

Spoken: QoS 0 and 1, retained messages, wills, message expiry, keep alive, takeover, user names, TLS. Sessions end with
their connection, so nothing is stored for absent clients. Not spoken, and refused as the standard says: MQTT 3, QoS 2,
shared subscriptions, subscription identifiers, topic aliases, enhanced authentication.

    async with Broker() as broker:                     # in a running loop
        print(broker.port)

    with BrokerThread(Broker(on_publish=print)) as served:   # from ordinary threads
        served.call(lambda broker: broker.stats)
"""

import asyncio
import hmac
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from edge_agent.demo.behaviour import Behaviour, Refusal
from edge_agent.demo.messages import Message, RetainedStore
from edge_agent.demo.mqtt_packets import Connect, Publish
from edge_agent.demo.mqtt_wire import ReasonCode
from edge_agent.demo.sessions import Session
from edge_agent.demo.topics import topic_matches

__all__ = ["Behaviour", "Broker", "Message", "ReasonCode", "Refusal", "Stats"]

log = logging.getLogger(__name__)

TICK_S = 0.05
"""Precision of everything timed: late acknowledgements, keep alive, deadlines."""
STOP_DEADLINE_S = 0.5
"""How long stop() lets clients take the last bytes."""
TURNS_TO_A_SESSION = 3
"""Turns of the event loop from taking a connection to `connection_made`: its task, its transport, its session."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the Broker was made, restarts included, except `clients`: connected now."""

    clients: int = 0
    connections: int = 0
    """CONNECTs admitted."""
    refused_connects: int = 0
    publishes: int = 0
    """Messages accepted, wills included."""
    acked: int = 0
    """PUBACKs below 0x80 handed to the network."""
    refused: int = 0
    """PUBACKs of 0x80 and above."""
    delivered: int = 0
    """Messages sent to subscribers."""
    dropped: int = 0
    """Messages not sent to a subscriber: expired, too large for it, or its queue full."""
    protocol_errors: int = 0


class Broker:
    """MQTT 5 broker of one event loop; call everything from that loop (BrokerThread.call from elsewhere).

    `port` 0 takes a free one, kept for later starts. `users` maps user names to passwords, None admits everybody.
    `clock` is monotonic seconds; with a fake one, call `tick()` after moving it. `on_publish` sees each accepted
    message before it is acknowledged; if it raises, the connection is cut unacknowledged. `maximum_packet_size` is in
    bytes, `queue_limit` in messages waiting for one subscriber.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        behaviour: Behaviour | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_publish: Callable[[Message], None] | None = None,
        users: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        maximum_packet_size: int = 1 << 20,
        queue_limit: int = 10_000,
    ) -> None:
        self.host = host
        self.port = port
        self.clock = clock
        self.on_publish = on_publish
        self.maximum_packet_size = maximum_packet_size
        self.queue_limit = queue_limit
        self.sessions: set[Session] = set()
        self.retained_store = RetainedStore(clock)
        self.behaviour = behaviour or Behaviour()
        self._users = users
        self._tls = tls
        self._clients: dict[str, Session] = {}
        self._counts: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def behaviour(self) -> Behaviour:
        """How it misbehaves; setting it holds at once, for existing connections too, and counts `times` afresh."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._refused_times: Counter[Refusal] = Counter()

    @property
    def retained(self) -> Mapping[str, Message]:
        """Retained messages by topic."""
        return self.retained_store.view()

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return Stats(clients=len(self._clients), **self._counts)

    async def start(self) -> None:
        """Listen; raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self._ticker = loop.call_later(TICK_S, self._tick_and_again)
        log.info("broker listens on %s port %d", self.host, self.port)

    async def stop(self, *, keep_state: bool = False, abrupt: bool = False) -> None:
        """Close the port and all connections, no wills; forget retained messages unless `keep_state`.

        `abrupt` is what kill -9 looks like from outside: no DISCONNECT. Safe to call again.
        """
        if self._server is None or self._ticker is None:
            return
        self._ticker.cancel()
        server, self._server = self._server, None
        await _close(server)
        sessions = list(self.sessions)
        for session in sessions:
            if abrupt:
                session.cut(publish_will=False)
            else:
                session.end(ReasonCode.SERVER_SHUTTING_DOWN, publish_will=False)
        if sessions:
            await asyncio.wait([session.lost for session in sessions], timeout=STOP_DEADLINE_S)
            for session in self.sessions:
                session.abort()
            await asyncio.wait([session.lost for session in sessions])
        if not keep_state:
            self.retained_store.clear()
        log.info("broker stopped")

    def release(self) -> None:
        """Let go what a behaviour holds back: acknowledgements and silent connections."""
        for session in list(self.sessions):
            session.release()

    def silence(self) -> None:
        """Stop reading from and writing to every present connection until `release()`."""
        for session in self.sessions:
            session.set_silent(True)

    def disconnect_all(self, reason: ReasonCode | None = ReasonCode.SERVER_BUSY) -> None:
        """End every connection with DISCONNECT and `reason`, or with None as a network failure would."""
        for session in list(self.sessions):
            if reason is None:
                session.cut()
            else:
                session.end(reason)

    def tick(self) -> None:
        """Do what is due by the clock; called every TICK_S while started."""
        now = self.clock()
        for session in list(self.sessions):
            session.tick(now)

    def _tick_and_again(self) -> None:
        self.tick()
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick_and_again)

    # -- what a session asks of the broker ---------------------------------------------------------------------------

    @property
    def listening(self) -> bool:
        """Whether new connections are welcome."""
        return self._server is not None

    def count(self, name: str) -> None:
        """Add one to a field of Stats."""
        self._counts[name] += 1

    def new_client_id(self) -> str:
        """An identifier for a client that came without (3.1.3.1)."""
        return f"auto-{self._counts['connections']}"

    def admission(self, connect: Connect) -> ReasonCode:
        """Whether a client may come in."""
        if self.behaviour.refuse_connect is not None:
            return self.behaviour.refuse_connect
        if connect.properties.authentication_method is not None:
            return ReasonCode.BAD_AUTHENTICATION_METHOD
        if connect.will is not None and connect.will.qos > 1:
            return ReasonCode.QOS_NOT_SUPPORTED
        if self._users is not None:
            expected = self._users.get(connect.user_name or "")
            if expected is None or not hmac.compare_digest(expected.encode(), connect.password or b""):
                return ReasonCode.BAD_USER_NAME_OR_PASSWORD
        return ReasonCode.SUCCESS

    def admit(self, session: Session) -> None:
        """Enter a session; an older one of the same client ends first, its will before the new one's first message."""
        older = self._clients.get(session.client_id)
        if older is not None:
            older.end(ReasonCode.SESSION_TAKEN_OVER)
        self._clients[session.client_id] = session
        self.count("connections")

    def forget(self, session: Session) -> None:
        """Take an ended session out, unless a newer one has its place."""
        if self._clients.get(session.client_id) is session:
            del self._clients[session.client_id]

    def accept(self, publish: Publish, client_id: str) -> ReasonCode:
        """Publish a client's message, or refuse it as the behaviour says."""
        reason = self._refusal(publish)
        if reason < ReasonCode.UNSPECIFIED_ERROR:
            self.publish(Message.of(publish, client_id, self.clock()))
        return reason

    def publish(self, message: Message) -> None:
        """Show a message to the sink, retain it if asked, and offer it to every subscriber."""
        if self.on_publish is not None:
            self.on_publish(message)
        self.count("publishes")
        if message.retain:
            self.retained_store.store(message)
        for session in list(self._clients.values()):
            session.offer(message)

    def _refusal(self, publish: Publish) -> ReasonCode:
        if publish.qos:
            for refusal in self.behaviour.refusals:
                spent = refusal.times is not None and self._refused_times[refusal] >= refusal.times
                if not spent and topic_matches(refusal.topic_filter, publish.topic):
                    self._refused_times[refusal] += 1
                    return refusal.reason
        return ReasonCode.SUCCESS


async def _close(server: asyncio.Server) -> None:
    """Close the port once each connection taken has its session: CPython 3.11 forgets one that is on its way."""
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    for _ in range(TURNS_TO_A_SESSION):
        await asyncio.sleep(0)
    server.close()
