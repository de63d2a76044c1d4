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
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.errors import UplinkError
from edge_agent.journal_reader import Reader
from edge_agent.picture import Link, Picture
from edge_agent.ranges import Ranges
from edge_agent.records import Alarm, Record, Severity
from edge_agent.uplink import payloads
from edge_agent.uplink.backoff import Backoff, Pauses
from edge_agent.uplink.connection import Acknowledged, Connection, Lost, Message, Opened
from edge_agent.uplink.outbox import Outbox, Outgoing
from edge_agent.uplink.topics import Topics

log = logging.getLogger(__name__)

_OPENING_S = 20.0
_NO_PROGRESS_S = 20.0
"""A broker that accepts and acknowledges nothing for so long is no broker: connect anew."""
_REFUSED_PAUSE_S = 10.0
_TAKEN_OVER = 0x8E
_NOT_AUTHORISED = frozenset({0x86, 0x87, 0x8C})
_LONG_PAUSE_S = 300.0
_STEADY_S = 600.0
"""A connection that lasted so long ends the suspicion that somebody else uses our identity."""
_FAREWELL_S = 2.0
_REPORT_EVERY_S = 1.0
_LONGEST_STEP = 60.0
"""A name server that hangs holds `connect` for about so long."""
_REFUSAL = 0x80


class Sink(Protocol):
    """The Recorder, as the uplink uses it."""

    def submit(self, device: str, records: list[Record], at: float | None = None) -> None:
        """Record something."""

    def acknowledge(self, delivered: Mapping[tuple[str, int], Ranges]) -> None:
        """Remember what the centre has."""


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
        self._connection: Connection | None = None
        self._opened = False
        self._window = settings.window
        self._in_flight: dict[int, Outgoing] = {}
        self._greetings: list[Message] = []
        self._session = ""
        self._since = self._turned_at = clock.monotonic()
        self._progress_at = 0.0
        self._retry_at: float | None = None
        self._held_until = 0.0
        self._report_at = 0.0
        self._connections = 0
        self._published = 0
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
            self._drop()
            if self._reader is not None:
                self._reader.close()

    def step(self) -> float:
        """Do what can be done now; return the seconds to rest (0 while connected: the waiting is done in `pump`)."""
        outbox = self._prepare()
        now = self._clock.monotonic()
        if self._connection is None:
            if self._retry_at is None:
                backlog = any(outbox.pending().values())
                self._retry_at = now + self._backoff.at_start(now, backlog=backlog)
            if now < self._retry_at and not (self._critical_waits(outbox) and self._backoff.may_jump(now)):
                return self._retry_at - now
            self._open(now)
            return 0.0
        rest = self._send(outbox, now) if self._opened else 1.0
        for happening in self._connection.pump(rest):
            self._handle(happening, outbox)
            if self._connection is None:
                break
        self._watch()
        self._report(outbox)
        return 0.0

    def _prepare(self) -> Outbox:
        if self._outbox is None:
            self._reader = self._open_reader()
            settings = self._settings
            self._outbox = Outbox(self._reader, settings.topics, self._picture, pace=settings.pace)
            self._report(self._outbox, force=True)
        return self._outbox

    def _critical_waits(self, outbox: Outbox) -> bool:
        alarms = self._picture.view.alarms.values()
        return outbox.pending()["alarm"] > 0 and any(alarm.severity is Severity.CRITICAL for alarm in alarms)

    def _open(self, now: float) -> None:
        self._session = secrets.token_hex(8)
        topic = self._settings.topics.leaf("status")
        will = Message(topic, payloads.status(online=False, session=self._session, reason="lost"), retain=True)
        self._opened = False
        self._in_flight.clear()
        self._since = self._progress_at = now
        try:
            self._connection = self._connect(will)
        except UplinkError as error:
            self._close(str(error))

    def _handle(self, happening: Opened | Acknowledged | Lost, outbox: Outbox) -> None:
        now = self._clock.monotonic()
        if isinstance(happening, Opened):
            self._opened = True
            self._window = max(1, min(self._settings.window, happening.receive_maximum))
            self._connections += 1
            if self._why or self._connections == 1:
                log.warning("uplink is online broker=%s pending=%s", self._settings.broker_name, outbox.pending())
            self._why = ""
            self._since = self._turned_at = self._progress_at = now
            self._greet(outbox)
            self._report(outbox, force=True)
        elif isinstance(happening, Acknowledged):
            self._progress_at = now
            outgoing = self._in_flight.pop(happening.mid, None)
            if outgoing is None:
                return
            if happening.code < _REFUSAL:
                outbox.confirm(outgoing)
                if outgoing.rows:
                    keys = {(row.stream, row.epoch) for row in outgoing.rows}
                    self._sink.acknowledge({key: Ranges(outbox.delivered[key]) for key in keys})
            else:
                self._refused(outgoing, happening.code)
        else:
            self._close(happening.why, happening.code)

    def _greet(self, outbox: Outbox) -> None:
        topics = self._settings.topics
        now_ms = self._now_ms()
        outbox.begin()
        self._greetings = [
            Message(
                topics.leaf("status"), payloads.status(online=True, session=self._session, now_ms=now_ms), retain=True
            ),
            Message(topics.leaf("info"), payloads.encode(self._settings.info()), retain=True),
        ]

    def _send(self, outbox: Outbox, now: float) -> float:
        """Fill the window; return how long `pump` may wait."""
        assert self._connection is not None  # noqa: S101  (only called while connected; tells the type checker)
        if now < self._held_until:
            return min(self._held_until - now, 1.0)
        while len(self._in_flight) < self._window:
            if self._greetings:
                found: Outgoing | float | None = Outgoing(self._greetings.pop(0))
            else:
                found = outbox.next(now, self._now_ms())
            if not isinstance(found, Outgoing):
                return 1.0 if found is None else min(found, 1.0)
            try:
                mid = self._connection.send(found.message)
            except UplinkError as error:
                self._close(str(error))
                return 0.0
            if not self._in_flight:
                self._progress_at = now
            self._in_flight[mid] = found
            self._published += 1
        return 1.0

    def _refused(self, outgoing: Outgoing, code: int) -> None:
        """The broker has not taken it: keep it, pause, and send everything unacknowledged again."""
        log.error("broker refused a message topic=%s reason=0x%02x", outgoing.message.topic, code)
        self._held_until = self._clock.monotonic() + _REFUSED_PAUSE_S
        self._in_flight.clear()
        if self._outbox is not None:
            self._outbox.begin()

    def _watch(self) -> None:
        if self._connection is None:
            return
        now = self._clock.monotonic()
        if not self._opened and now - self._since > _OPENING_S:
            self._close("broker accepts the connection but does not answer")
        elif self._in_flight and now - self._progress_at > _NO_PROGRESS_S:
            self._close(f"broker acknowledges nothing for {_NO_PROGRESS_S:.0f} s")
        elif self._opened and now - self._since > _STEADY_S:
            self._backoff.success()
            if self._conflict:
                self._conflict = False
                self._sink.submit("station", [Alarm("identity_conflict", active=False)])
        elif self._opened and not self._in_flight and self._published:
            self._backoff.success()

    def _close(self, why: str, code: int = 0) -> None:
        """The connection is over; plan the next one."""
        now = self._clock.monotonic()
        pause = self._backoff.after_failure()
        if code == _TAKEN_OVER:
            self._conflict = True
            pause = max(pause, 60.0)
            self._sink.submit("station", [Alarm("identity_conflict", active=True)])
        elif code in _NOT_AUTHORISED:
            pause = max(pause, min(_LONG_PAUSE_S, self._settings.pauses.ceiling))
        if why != self._why:
            log.error("uplink is offline, next attempt in %.0f s: %s", pause, why)
        if self._opened:
            self._turned_at = now
        self._drop()
        self._why = why
        self._since = now
        self._retry_at = now + pause
        if self._outbox is not None:
            self._report(self._outbox, force=True)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._opened = False
        self._in_flight.clear()
        if connection is not None:
            connection.close()

    def _farewell(self) -> None:
        """A clean stop is not a loss: say so, and give the last acknowledgements a moment."""
        if self._connection is None or not self._opened or self._outbox is None:
            return
        topic = self._settings.topics.leaf("status")
        payload = payloads.status(online=False, session=self._session, now_ms=self._now_ms(), reason="stopped")
        try:
            mid = self._connection.send(Message(topic, payload, retain=True))
        except UplinkError:
            return
        self._in_flight[mid] = Outgoing(Message(topic, payload, retain=True))
        deadline = self._clock.monotonic() + _FAREWELL_S
        while self._in_flight and self._connection is not None and (left := deadline - self._clock.monotonic()) > 0:
            for happening in self._connection.pump(left):
                self._handle(happening, self._outbox)

    def _report(self, outbox: Outbox, *, force: bool = False) -> None:
        now = self._clock.monotonic()
        if not force and now < self._report_at:
            return
        self._report_at = now + _REPORT_EVERY_S
        link = Link(
            online=self._opened,
            since_mono=self._turned_at,
            why=self._why,
            broker=self._settings.broker_name,
            pending=outbox.pending(),
            oldest_ms=outbox.oldest_ms(),
            published=self._published,
            acknowledged=sum(outbox.acknowledged.values()),
            connections=self._connections,
        )
        if link != self._picture.view.uplink:
            self._picture.change(lambda view: replace(view, uplink=link))

    def _now_ms(self) -> int:
        return round(self._clock.wall() * 1000)
