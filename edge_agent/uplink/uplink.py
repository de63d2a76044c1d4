"""Carries the journal to the broker, and commands to the inbox; what must not be lost is in the journal.

`step()` moves what can be moved and returns; it waits inside `Connection.pump`, so a new record leaves at once. A row
is forgotten only on a PUBACK with a reason code below 0x80: never on a timeout, never on "handed to the library".
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.clock import Clock
from edge_agent.commands import Gate
from edge_agent.errors import UplinkError
from edge_agent.journal.reader import Reader
from edge_agent.picture import Picture
from edge_agent.public import Card
from edge_agent.records import Alarm, Severity
from edge_agent.uplink.backoff import TAKEN_OVER, Backoff, Pauses
from edge_agent.uplink.connection import Acknowledged, Connection, Happening, Lost, Message, Opened, Received
from edge_agent.uplink.inbox import Inbox
from edge_agent.uplink.origin import Origin
from edge_agent.uplink.outbox import Outbox, Outgoing
from edge_agent.uplink.presence import Presence, Turned
from edge_agent.uplink.refusals import Refusals
from edge_agent.uplink.replays import Replay
from edge_agent.uplink.set_aside import KEPT, SetAside
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.traffic import STATION, Sink, Traffic
from edge_agent.uplink.verbs import JournalVerbs

log = logging.getLogger(__name__)

_OPENING_S = 20.0
_NO_PROGRESS_S = 20.0
"""A broker that accepts and acknowledges nothing for so long is no broker: connect anew."""
_STEADY_S = 600.0
"""A connection that lasted so long ends the suspicion that somebody else uses our identity."""
_FAREWELL_S = 2.0
_LONGEST_STEP = 60.0
"""A name server that hangs holds `connect` for about so long."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the uplink works.

    `info` is the body of the retained `info` message; `window` counts messages in flight; `unknown` see `Retained`.
    """

    topics: Topics
    info: Callable[[], Mapping[str, object]]
    broker_name: str
    pauses: Pauses = field(default_factory=Pauses)
    pace: float = 20.0
    window: int = 20
    unknown: Sequence[tuple[str, str]] = ()
    card: Card | None = None
    """What the public is told; None: nothing."""


class Uplink:
    """See the module."""

    def __init__(
        self,
        settings: Settings,
        *,
        reader: Callable[[], Reader],
        connect: Callable[[Message], Connection],
        sink: Sink,
        gate: Gate,
        inbox: Inbox,
        picture: Picture,
        clock: Clock,
        turned: Turned = lambda *, online: None,  # noqa: ARG005  (most tests do not care)
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._open_reader = reader
        self._connect = connect
        self._sink = sink
        self._picture = picture
        self._clock = clock
        self._backoff = Backoff(settings.pauses, rng or random.SystemRandom())
        self._presence = Presence(settings.topics, settings.broker_name, picture, clock, turned)
        self._inbox = inbox
        inbox.answered = self.wake
        JournalVerbs(gate, reader, sink, self._replay)
        self._reader: Reader | None = None
        self._outbox: Outbox | None = None
        self._traffic: Traffic | None = None
        self._origin: Origin | None = None
        self._connection: Connection | None = None
        self._opened = False
        self._since = clock.monotonic()
        self._retry_at: float | None = None
        self._conflict = True
        self._wanted = threading.Event()
        self._stop = threading.Event()

    # ---- from any thread

    def wake(self) -> None:
        """There may be something new to send."""
        outbox, connection = self._outbox, self._connection
        if outbox is not None:
            outbox.changed()
        if connection is not None:
            connection.wake()
        self._wanted.set()

    def stop(self) -> None:
        """Make `run` say good-bye and return."""
        self._stop.set()
        self.wake()

    def _replay(self, replay: Replay) -> bool:
        outbox = self._outbox
        accepted = outbox is not None and outbox.replay(replay)
        self.wake()
        return accepted

    # ---- the uplink's thread

    def run(self, promise: Callable[[float], None]) -> None:
        """Work until stopped; `promise(deadline)` is told by when the next step will be done."""
        self._picture.subscribe(self.wake)
        try:
            while not self._stop.is_set():
                promise(self._clock.monotonic() + _LONGEST_STEP)
                rest = self.step()
                if rest > 0:
                    self._wanted.wait(min(rest, 1.0))
                    self._wanted.clear()
            self._farewell()
        finally:
            self._picture.unsubscribe(self.wake)
            self.close()

    def close(self) -> None:
        """Let go of the connection and the journal, without a word to the broker about why."""
        self._drop()
        reader, self._reader, self._outbox, self._traffic = self._reader, None, None, None
        if reader is not None:
            reader.close()

    def step(self) -> float:
        """Do what can be done now; return the seconds to rest (0 while connected: the waiting is done in `pump`)."""
        outbox, traffic = self._prepare()
        now = self._clock.monotonic()
        rest = 0.0
        if self._connection is not None:
            self._exchange(self._connection, outbox, traffic)
            self._watch(traffic)
        else:
            if self._retry_at is None:
                self._retry_at = now + self._backoff.at_start(now, backlog=any(outbox.delivery.pending().values()))
            if now >= self._retry_at or (self._critical_waits(outbox) and self._backoff.may_jump(now)):
                self._open(now)
            else:
                rest = self._retry_at - now
        if self._presence.due():
            idle = self._opened and not traffic.in_flight and not any(outbox.delivery.pending().values())
            traffic.tidy(now, idle=idle)
            self._presence.show(outbox.delivery, traffic)
        return rest

    def _prepare(self) -> tuple[Outbox, Traffic]:
        if self._outbox is None or self._traffic is None:
            settings = self._settings
            self._reader = reader = self._open_reader()
            refusals = Refusals()
            aside = SetAside(reader.remembered(KEPT), self._sink, self._clock)
            self._outbox = Outbox(
                reader,
                settings.topics,
                self._picture,
                refusals,
                info=settings.info,
                unknown=settings.unknown,
                card=settings.card,
                pace=settings.pace,
            )
            self._traffic = Traffic(self._outbox, refusals, aside, reader, self._sink)
            self._origin = Origin(reader, settings.topics.leaf("usage"), self._sink)
            self._show()
        return self._outbox, self._traffic

    def _critical_waits(self, outbox: Outbox) -> bool:
        alarms = self._picture.view.alarms.values()
        critical = any(alarm.state.severity is Severity.CRITICAL for alarm in alarms)
        return critical and outbox.delivery.pending()["alarm"] > 0

    def _open(self, now: float) -> None:
        self._since = now
        try:
            self._connection = self._connect(self._presence.begin())
        except UplinkError as error:
            self._lost(Lost(str(error)))

    def _exchange(self, connection: Connection, outbox: Outbox, traffic: Traffic) -> None:
        """Send what may be sent, wait for what comes, and act on it."""
        try:
            rest = 1.0
            if self._opened:
                for answer in self._inbox.answers():
                    outbox.reply(answer)
                rest = traffic.fill(connection, self._clock.monotonic(), self._now_ms())
            self._handle(connection, connection.pump(rest), traffic)
        except UplinkError as error:
            self._lost(Lost(str(error)))

    def _handle(self, connection: Connection, happenings: list[Happening], traffic: Traffic) -> None:
        now = self._clock.monotonic()
        lost: Lost | None = None
        for happening in happenings:
            if isinstance(happening, Acknowledged):
                traffic.acknowledged(happening, now)
            elif isinstance(happening, Received):
                if self._origin is None or not self._origin.hear(happening, connection):
                    self._inbox.put(happening)
            elif isinstance(happening, Opened):
                self._begin(connection, happening, traffic, now)
            else:
                # The first word says why; what the library adds while it cleans up does not.
                lost = lost or happening
        traffic.settle()
        if lost is not None:
            self._lost(lost)

    def _begin(self, connection: Connection, opened: Opened, traffic: Traffic, now: float) -> None:
        self._opened = True
        self._since = now
        self._presence.online()
        traffic.begin(self._presence.session, self._settings.window, opened, now)
        self._show()
        if self._origin is not None:
            self._origin.begin(connection)
        connection.subscribe(self._settings.topics.commands)

    def _watch(self, traffic: Traffic) -> None:
        """Look for a connection that is none, and for one that has proved itself."""
        now = self._clock.monotonic()
        if self._connection is None:
            return
        if not self._opened:
            if now - self._since > _OPENING_S:
                self._lost(Lost("broker accepts the connection but does not answer"))
        elif traffic.in_flight and now - traffic.progress_at > _NO_PROGRESS_S:
            self._lost(Lost(f"broker acknowledges nothing for {_NO_PROGRESS_S:.0f} s"))
        else:
            if traffic.answered:
                self._backoff.success()
                if self._presence.proved():
                    log.info("uplink is online broker=%s pending=%s", self._settings.broker_name, traffic.pending())
            if self._conflict and now - self._since > _STEADY_S:
                self._conflict = False
                self._sink.submit(STATION, [Alarm("identity_conflict", active=False)])

    def _lost(self, lost: Lost) -> None:
        """The connection is over; plan the next one."""
        now = self._clock.monotonic()
        pause = self._backoff.after_failure(lost.code)
        if lost.code == TAKEN_OVER:
            self._conflict = True
            self._sink.submit(STATION, [Alarm("identity_conflict", active=True)])
        if self._presence.offline(lost.why):
            log.error("uplink is offline, next attempt in %.0f s: %s", pause, lost.why)
        if self._traffic is not None:
            self._traffic.end(lost.code, now)
        self._drop()
        self._retry_at = now + pause
        self._show()

    def _drop(self, *, in_peace: bool = False) -> None:
        connection, self._connection = self._connection, None
        self._opened = False
        if connection is not None:
            connection.close(in_peace=in_peace)

    def _farewell(self) -> None:
        """Say that this is a clean stop, and give the last acknowledgements a moment."""
        traffic, connection = self._traffic, self._connection
        if connection is None or not self._opened or traffic is None:
            return
        deadline = self._clock.monotonic() + _FAREWELL_S
        try:
            traffic.send(connection, Outgoing(self._presence.stopped()), self._clock.monotonic())
            while traffic.in_flight and self._connection and (left := deadline - self._clock.monotonic()) > 0:
                self._handle(connection, connection.pump(left), traffic)
            self._drop(in_peace=True)
        except UplinkError as error:
            log.warning("broker went before the good-bye: %s", error)

    def _show(self) -> None:
        if self._outbox is not None and self._traffic is not None:
            self._presence.show(self._outbox.delivery, self._traffic)

    def _now_ms(self) -> int:
        return round(self._clock.wall() * 1000)
