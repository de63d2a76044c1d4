"""Carries the journal to the broker, from its own thread; everything it must not lose stays in the journal.

`step()` moves what can be moved and returns; it waits inside `Connection.pump`, so a new record leaves at once. A row
is forgotten only on a PUBACK with a reason code below 0x80: never on a timeout, never on "handed to the library".
"""

import logging
import random
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.clock import Clock
from edge_agent.errors import UplinkError
from edge_agent.journal_reader import Reader
from edge_agent.picture import Link, Picture
from edge_agent.records import Alarm, Severity
from edge_agent.uplink import payloads
from edge_agent.uplink.backoff import Backoff, Pauses
from edge_agent.uplink.connection import Acknowledged, Connection, Happening, Lost, Message, Opened
from edge_agent.uplink.outbox import Outbox, Outgoing
from edge_agent.uplink.refusals import Refusals
from edge_agent.uplink.set_aside import KEPT, SetAside
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.traffic import STATION, Sink, Traffic

log = logging.getLogger(__name__)

_OPENING_S = 20.0
_NO_PROGRESS_S = 20.0
"""A broker that accepts and acknowledges nothing for so long is no broker: connect anew."""
_TAKEN_OVER = 0x8E
_TAKEN_OVER_PAUSE_S = 60.0
_NOT_AUTHORISED = frozenset({0x86, 0x87, 0x8A, 0x8C})
_LONG_PAUSE_S = 300.0
_STEADY_S = 600.0
"""A connection that lasted so long ends the suspicion that somebody else uses our identity."""
_FAREWELL_S = 2.0
_REPORT_EVERY_S = 1.0
_LONGEST_STEP = 60.0
"""A name server that hangs holds `connect` for about so long."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the uplink works. `info` is the body of the retained `info` message; `window` counts messages in flight."""

    topics: Topics
    info: Callable[[], Mapping[str, object]]
    broker_name: str
    pauses: Pauses = field(default_factory=Pauses)
    pace: float = 20.0
    window: int = 20


class Uplink:
    """See the module."""

    def __init__(
        self,
        settings: Settings,
        *,
        reader: Callable[[], Reader],
        connect: Callable[[Message], Connection],
        sink: Sink,
        picture: Picture,
        clock: Clock,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._open_reader = reader
        self._connect = connect
        self._sink = sink
        self._picture = picture
        self._clock = clock
        self._backoff = Backoff(settings.pauses, rng or random.SystemRandom())
        self._reader: Reader | None = None
        self._outbox: Outbox | None = None
        self._traffic: Traffic | None = None
        self._connection: Connection | None = None
        self._opened = False
        self._session = ""
        self._since = self._turned_at = clock.monotonic()
        self._retry_at: float | None = None
        self._report_at = 0.0
        self._connections = 0
        self._why = ""
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
        if self._connection is None:
            if self._retry_at is None:
                self._retry_at = now + self._backoff.at_start(now, backlog=any(outbox.delivery.pending().values()))
            if now < self._retry_at and not (self._critical_waits(outbox) and self._backoff.may_jump(now)):
                self._report(outbox, traffic)
                return self._retry_at - now
            self._open(now)
            return 0.0
        try:
            rest = traffic.fill(self._connection, now, self._now_ms()) if self._opened else 1.0
            happenings = self._connection.pump(rest)
        except UplinkError as error:
            happenings = [Lost(str(error))]
        self._handle(happenings, outbox, traffic)
        self._watch(traffic)
        self._report(outbox, traffic)
        return 0.0

    def _prepare(self) -> tuple[Outbox, Traffic]:
        if self._outbox is None or self._traffic is None:
            settings = self._settings
            self._reader = self._open_reader()
            refusals = Refusals()
            aside = SetAside(self._reader.remembered(KEPT), self._sink, self._clock)
            self._outbox = Outbox(
                self._reader, settings.topics, self._picture, refusals, info=settings.info, pace=settings.pace
            )
            self._traffic = Traffic(self._outbox, refusals, aside, self._reader, self._sink)
            self._report(self._outbox, self._traffic, force=True)
        return self._outbox, self._traffic

    def _critical_waits(self, outbox: Outbox) -> bool:
        alarms = self._picture.view.alarms.values()
        critical = any(alarm.severity is Severity.CRITICAL for alarm in alarms)
        return critical and outbox.delivery.pending()["alarm"] > 0

    def _open(self, now: float) -> None:
        self._session = secrets.token_hex(8)
        topic = self._settings.topics.leaf("status")
        will = Message(topic, payloads.status(online=False, session=self._session, reason="lost"), retain=True)
        self._since = now
        try:
            self._connection = self._connect(will)
        except UplinkError as error:
            self._lost(Lost(str(error)))

    def _handle(self, happenings: list[Happening], outbox: Outbox, traffic: Traffic) -> None:
        now = self._clock.monotonic()
        lost: Lost | None = None
        for happening in happenings:
            if isinstance(happening, Acknowledged):
                traffic.acknowledged(happening, now)
            elif isinstance(happening, Opened):
                self._begin(happening, outbox, traffic, now)
            elif isinstance(happening, Lost):
                # The first word says why; what the library adds while it cleans up does not.
                lost = lost or happening
        traffic.settle()
        if lost is not None:
            self._lost(lost)

    def _begin(self, opened: Opened, outbox: Outbox, traffic: Traffic, now: float) -> None:
        self._opened = True
        self._connections += 1
        if self._why or self._connections == 1:
            log.warning("uplink is online broker=%s pending=%s", self._settings.broker_name, traffic.pending())
        self._why = ""
        self._since = self._turned_at = now
        traffic.begin(self._session, self._settings.window, opened, now)
        self._report(outbox, traffic, force=True)

    def _watch(self, traffic: Traffic) -> None:
        """Look for a connection that is none, and for one that has proved itself."""
        if self._connection is None:
            return
        now = self._clock.monotonic()
        if not self._opened:
            if now - self._since > _OPENING_S:
                self._lost(Lost("broker accepts the connection but does not answer"))
            return
        if traffic.in_flight and now - traffic.progress_at > _NO_PROGRESS_S:
            self._lost(Lost(f"broker acknowledges nothing for {_NO_PROGRESS_S:.0f} s"))
            return
        if traffic.answered:
            self._backoff.success()
        if self._conflict and now - self._since > _STEADY_S:
            self._conflict = False
            self._sink.submit(STATION, [Alarm("identity_conflict", active=False)])

    def _lost(self, lost: Lost) -> None:
        """The connection is over; plan the next one."""
        now = self._clock.monotonic()
        pause = self._backoff.after_failure()
        if lost.code == _TAKEN_OVER:
            self._conflict = True
            pause = max(pause, _TAKEN_OVER_PAUSE_S)
            self._sink.submit(STATION, [Alarm("identity_conflict", active=True)])
        elif lost.code in _NOT_AUTHORISED:
            pause = max(pause, min(_LONG_PAUSE_S, self._settings.pauses.ceiling))
        if lost.why != self._why:
            log.error("uplink is offline, next attempt in %.0f s: %s", pause, lost.why)
        if self._opened:
            self._turned_at = now
        if self._traffic is not None:
            self._traffic.end(lost.code, now)
        self._drop()
        self._why = lost.why
        self._retry_at = now + pause
        if self._outbox is not None and self._traffic is not None:
            self._report(self._outbox, self._traffic, force=True)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._opened = False
        if connection is not None:
            connection.close()

    def _farewell(self) -> None:
        """A clean stop is not a loss: say so, and give the last acknowledgements a moment."""
        outbox, traffic, connection = self._outbox, self._traffic, self._connection
        if connection is None or not self._opened or outbox is None or traffic is None:
            return
        topic = self._settings.topics.leaf("status")
        payload = payloads.status(online=False, session=self._session, now_ms=self._now_ms(), reason="stopped")
        deadline = self._clock.monotonic() + _FAREWELL_S
        try:
            traffic.send(connection, Outgoing(Message(topic, payload, retain=True)), self._clock.monotonic())
            while traffic.in_flight and self._connection and (left := deadline - self._clock.monotonic()) > 0:
                self._handle(connection.pump(left), outbox, traffic)
        except UplinkError as error:
            log.warning("broker went before the good-bye: %s", error)

    def _report(self, outbox: Outbox, traffic: Traffic, *, force: bool = False) -> None:
        now = self._clock.monotonic()
        if not force and now < self._report_at:
            return
        self._report_at = now + _REPORT_EVERY_S
        traffic.tidy(now, idle=self._opened and not traffic.in_flight and not any(outbox.delivery.pending().values()))
        link = Link(
            online=self._opened,
            since_mono=self._turned_at,
            why=self._why,
            broker=self._settings.broker_name,
            pending=traffic.pending(),
            oldest_ms=outbox.delivery.oldest_ms(),
            published=traffic.published,
            acknowledged=outbox.delivery.acknowledged,
            connections=self._connections,
        )
        if link != self._picture.view.uplink:
            self._picture.change(lambda view: replace(view, uplink=link))

    def _now_ms(self) -> int:
        return round(self._clock.wall() * 1000)
