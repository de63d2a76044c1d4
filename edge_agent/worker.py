"""The one thread that owns a Link: polls its devices in turn, feeds its listeners, keeps their failures at home.

`step()` does what is due and returns the seconds to rest; nothing here waits for wall time, so tests run a day of
station time in a second. A silent device is probed at growing intervals and can never starve its neighbours.
"""

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from edge_agent.clock import Clock
from edge_agent.driver import Actor, Command, Driver, Listener, Timed
from edge_agent.errors import DeviceError, LinkError, LinkTimeout
from edge_agent.links.flight import FlightRecorder
from edge_agent.links.owned import OwnedLink
from edge_agent.orders import Acted, Order, Orders
from edge_agent.records import Alarm, Event, Json, Memory, Reading, Record
from edge_agent.slot import Sink, Slot, Statistics

log = logging.getLogger(__name__)

SILENT_AFTER = 3
"""Failures in a row that make a device silent."""
_PROBE_FIRST = 60.0
_PROBE_CEILING = 300.0
"""A dead device costs its neighbours one timeout a probe: at most one a minute, later one in five minutes."""
_AGAIN_S = 1.0
"""Pause before a device that did not answer is asked again to end what is over."""
_REOPEN_FIRST = 0.5
_REOPEN_CEILING = 5.0
"""A re-plugged adapter must be back within 5 s."""
_CHUNKS = 16
"""Chunks taken in a row: a storm of edges must not keep a step from ending."""
_STEADY_S = 2.0
_IDLE = 1.0
"""Seconds after which an idle worker looks up, so that its promise of progress stays short."""
_LONGEST_STEP = 30.0
_DURABLE_WITHIN_S = 2.0
"""Longest wait for what must be remembered before an order goes on; a slow card takes a fraction of it."""


class Worker:
    """See the module."""

    def __init__(
        self,
        link: OwnedLink,
        devices: Sequence[Slot],
        sink: Sink,
        clock: Clock,
        flight: FlightRecorder | None = None,
    ) -> None:
        self.name = link.name
        self._flight = flight
        self._link = link
        self._sink = sink
        self._clock = clock
        self._polled = [slot for slot in devices if isinstance(slot.driver, Driver)]
        self._actors = {slot.name: (slot, slot.driver) for slot in devices if isinstance(slot.driver, Actor)}
        self._listeners = [(slot, slot.driver) for slot in devices if isinstance(slot.driver, Listener)]
        self._lines = tuple(line for _, listener in self._listeners for line in listener.lines())
        self._settle_at: float | None = None
        self._reopen_at = 0.0
        self._reopen_pause = _REOPEN_FIRST
        self._lost_since: float | None = None
        self._opened_at = 0.0
        self._steady = False
        self._urgent: set[str] = set()
        self._orders = Orders(self._rouse)
        self._roused = threading.Event()
        self.began = threading.Event()
        """Set once the link is open, or has failed to open for the first time: from here on the Worker listens."""
        self._stop = threading.Event()

    # ---- from any thread

    def statistics(self) -> dict[str, Statistics]:
        """Return device -> statistics, immutable."""
        slots = self._polled + [slot for slot, _ in self._listeners]
        return {slot.name: slot.statistics for slot in slots}

    def poll_now(self, device: str) -> None:
        """Ask `device` at once, whatever its period: its slot's door has just moved."""
        self._urgent.add(device)
        self._link.wake()

    def act(self, device: str, command: Command, within: float) -> Acted:
        """Have `device` carry out a command, as soon as the poll that is going on is over, and ask it at once.

        Never repeated on the wire. Raises DeviceError, LinkError and, after `within` real seconds, LinkTimeout.
        """
        return self._orders.give(device, command, within)

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stop.set()
        self._rouse()

    def _rouse(self) -> None:
        self._roused.set()
        self._link.wake()

    # ---- the worker's thread

    def run(self, promise: Callable[[float], None]) -> None:
        """Step and rest until stopped; `promise(deadline)` is told by when the next step will be done."""
        try:
            while not self._stop.is_set():
                promise(self._clock.monotonic() + _LONGEST_STEP)
                rest = min(self.step(), _IDLE)
                promise(self._clock.monotonic() + rest + _LONGEST_STEP)
                if self._link.is_open:
                    self._rest(rest)
                else:
                    self._roused.wait(rest)
                self._roused.clear()
        finally:
            self._orders.end()
            self._release()
            self._link.close()
            self._close_flight()

    def step(self) -> float:
        """Do what is due now; return the seconds until something else is, infinity if only something heard can be."""
        now = self._clock.monotonic()
        if not self._link.is_open and not self._open(now):
            self._orders.refuse(LinkError(f"nothing was sent: {self.name} is lost"))
            return self._reopen_at - now
        try:
            self._obey()
            self._listen()
            self._poll_due()
            self._settle()
        except LinkError as error:
            self._lose(error)
            return self._reopen_at - self._clock.monotonic()
        return self._until_next()

    def _rest(self, seconds: float) -> None:
        try:
            self._link.wait(seconds)
        except LinkError as error:
            self._lose(error)

    def _release(self) -> None:
        """Let no pulse outlast the agent."""
        for slot in self._polled:
            if isinstance(slot.driver, Timed) and self._link.is_open:
                with contextlib.suppress(LinkError, DeviceError):
                    self._sink.submit(slot.name, list(slot.driver.release(slot.link or self._link)))

    def _open(self, now: float) -> bool:
        if now < self._reopen_at:
            return False
        try:
            self._link.open(self._lines)
        except LinkError as error:
            self._lose(error)
            return False
        finally:
            self.began.set()
        self._opened_at = now
        self._steady = False
        for slot in self._polled:
            slot.due = now
        return True

    def _settle(self) -> None:
        """Call the link healthy once something answered or it has held for a while.

        A port that opens and falls off at the first question must not raise and clear its alarm twice a second. Said
        after the first opening too: a crash while the link was lost leaves the alarm raised in the journal.
        """
        now = self._clock.monotonic()
        heard = any((slot.statistics.last_good or 0.0) >= self._opened_at for slot in self._polled)
        if self._steady or not (heard or now - self._opened_at >= _STEADY_S):
            return
        self._steady = True
        self._reopen_pause = _REOPEN_FIRST
        if self._lost_since is not None:
            log.warning("link is back link=%s after_s=%.0f", self.name, now - self._lost_since)
            self._lost_since = None
        self._sink.submit(self.name, [Alarm("link_lost", active=False)])

    def _lose(self, error: LinkError) -> None:
        """Close at once (a kept descriptor makes an adapter come back under another name) and say so once."""
        self._link.close()
        now = self._clock.monotonic()
        if self._lost_since is None:
            self._lost_since = now
            log.error("link is lost link=%s: %s", self.name, error)
            self._sink.submit(self.name, [Alarm("link_lost", active=True, detail={"why": error.what})])
            for name in self.statistics():
                self._sink.unreachable(name, f"link lost: {error.what}")
            self._record_fault(f"link lost: {error.what}")
            self._close_flight()
        self._reopen_at = now + self._reopen_pause
        self._reopen_pause = min(self._reopen_pause * 2, _REOPEN_CEILING)

    def _record_fault(self, why: str) -> None:
        if self._flight is not None:
            self._flight.fault(why)

    def _close_flight(self) -> None:
        if self._flight is not None:
            self._flight.close()

    def _listen(self) -> None:
        for _ in range(_CHUNKS):
            chunk = self._link.take()
            if chunk is None:
                break
            for slot, listener in self._listeners:
                self._hear(slot, partial(listener.feed, chunk), chunk.at)
            settle = max((listener.settle for _, listener in self._listeners), default=0.0)
            self._settle_at = chunk.at + settle if settle else None
        now = self._clock.monotonic()
        for slot, listener in self._listeners:
            if listener.settle:
                self._hear(slot, partial(listener.quiet, now), now)
        if self._settle_at is not None and now >= self._settle_at:
            self._settle_at = None

    def _hear(self, slot: Slot, listen: Callable[[], Iterable[Record]], at: float) -> None:
        try:
            heard = list(listen())
        except DeviceError as error:
            stats = slot.statistics
            slot.statistics = replace(stats, polls=stats.polls + 1, failed=stats.failed + 1, last_error=str(error))
            return
        if heard:
            stats = slot.statistics
            polled = isinstance(slot.driver, Driver)
            # What a polled device says unasked is no answer: whether it answers is told by its polls alone.
            counted = stats if polled else replace(stats, polls=stats.polls + 1, good=stats.good + 1)
            slot.statistics = replace(counted, last_good=at)
            self._sink.submit(slot.name, heard, at)

    def _poll_due(self) -> None:
        urgent, self._urgent = self._urgent, set()
        for slot in self._polled:
            if slot.name in urgent:
                slot.due = min(slot.due, self._clock.monotonic())
        for slot in sorted(self._polled, key=lambda s: s.due):
            if self._stop.is_set():
                return
            now = self._clock.monotonic()
            if slot.due > now:
                continue
            self._poll(slot, now)
            # Neither an order nor a swipe on the same wire waits for the round to end.
            self._obey()
            if self._listeners:
                self._listen()

    def _obey(self) -> None:
        """Carry out the orders that wait, and look at once what the devices make of them."""
        while (order := self._orders.take()) is not None:
            try:
                slot, said = self._carry_out(order)
            except (LinkError, DeviceError) as error:
                order.future.set_exception(error)
                if isinstance(error, LinkError) and error.gone:
                    raise
                continue
            try:
                seen = self._poll(slot, self._clock.monotonic()) if isinstance(slot.driver, Driver) else []
            except LinkError as error:
                order.future.set_result(Acted.of(said, error.what))
                raise
            order.future.set_result(Acted.of([*said, *seen], "" if seen else slot.statistics.last_error))

    def _carry_out(self, order: Order) -> tuple[Slot, list[Record]]:
        """Act once; that it was tried goes on record, whatever comes of it."""
        if order.device not in self._actors:
            raise DeviceError(f"{order.device} can be told nothing")
        slot, actor = self._actors[order.device]
        data: dict[str, Json] = {"command": order.command.name, "args": dict(order.command.args)}
        said: list[Record] = []
        try:
            for record in actor.act(slot.link or self._link, order.command):
                said.append(record)
                if isinstance(record, Memory):
                    # A store that fails is no reason not to act: while the agent runs its driver knows it all the same.
                    self._sink.submit_durably(slot.name, [record], {}, _DURABLE_WITHIN_S)
        except (LinkError, DeviceError) as error:
            self._sink.submit(slot.name, [Event("commanded", data | {"ok": False, "reason": error.what})])
            slot.due = self._clock.monotonic()
            raise
        slot.hasten(0.0)
        self._sink.submit(slot.name, [*said, Event("commanded", data | {"ok": True})])
        return slot, said

    def _poll(self, slot: Slot, now: float) -> list[Record]:
        """Ask a device; returns what it said, nothing if it failed."""
        assert isinstance(slot.driver, Driver)  # noqa: S101  (by construction; tells the type checker)
        slot.due = max(slot.due + slot.every, now) if slot.due else now + slot.every
        try:
            records = list(slot.driver.poll(slot.link or self._link))
        except LinkTimeout as error:
            self._missed(slot, error)
        except LinkError as error:
            if error.gone:
                raise
            self._missed(slot, error)
        except DeviceError as error:
            self._missed(slot, error)
        else:
            self._answered(slot, records)
            return records
        return []

    def _answered(self, slot: Slot, records: list[Record]) -> None:
        stats = slot.statistics
        now = self._clock.monotonic()
        if stats.silent:
            log.warning("device answers again device=%s misses=%d", slot.name, slot.misses)
        if slot.may_be_absent:
            records.append(Reading("present", value=True, prompt=True))
        elif slot.misses >= SILENT_AFTER or stats.good == 0:
            # Also at the first answer after a start: a crash may have left the alarm raised in the journal.
            records.append(Alarm("device_silent", active=False))
        if slot.use is not None:
            records.extend(slot.use.take(records, now))
        slot.misses = 0
        slot.hasten(now)
        slot.statistics = replace(stats, polls=stats.polls + 1, good=stats.good + 1, silent=False, last_good=now)
        self._sink.submit(slot.name, records)

    def _missed(self, slot: Slot, error: LinkError | DeviceError) -> None:
        stats = slot.statistics
        now = self._clock.monotonic()
        slot.misses += 1
        slot.hasten(now + _AGAIN_S)
        silent = not slot.may_be_absent and slot.misses >= SILENT_AFTER
        slot.statistics = replace(
            stats, polls=stats.polls + 1, failed=stats.failed + 1, silent=silent, last_error=str(error)
        )
        if slot.may_be_absent:
            # An empty slot is no fault; a battery that answers garbage is there, but its values are not.
            if isinstance(error, LinkTimeout):
                self._sink.submit(slot.name, [Reading("present", value=False, prompt=True)])
            return
        if slot.misses == SILENT_AFTER:
            log.error("device is silent device=%s: %s", slot.name, error)
            alarm = Alarm("device_silent", active=True, detail={"why": _reason(error)})
            self._sink.unreachable(slot.name, _reason(error), [alarm])
            self._record_fault(f"{slot.name} is silent: {_reason(error)}")
        if silent:
            pause = _PROBE_FIRST * 2 ** min(slot.misses - SILENT_AFTER, 8)
            slot.due = max(slot.due, now + min(pause, _PROBE_CEILING))

    def _until_next(self) -> float:
        now = self._clock.monotonic()
        if self._orders:
            return 0.0
        times = [slot.due for slot in self._polled]
        if self._settle_at is not None:
            times.append(self._settle_at)
        if not self._steady:
            times.append(self._opened_at + _STEADY_S)
        return max(0.0, min(times) - now) if times else math.inf


def _reason(error: LinkError | DeviceError) -> str:
    """The fault in words, without the bytes: what stays in an alarm must not carry anything personal."""
    return error.what
