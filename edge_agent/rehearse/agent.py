"""The agent of a rehearsal: everything a station runs, each thread's work done in turn by one."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge_agent.clock import Clock
from edge_agent.config.links import Link as LinkConfig
from edge_agent.config.model import Config
from edge_agent.links.owned import OwnedLink
from edge_agent.rehearse.centre import Centre
from edge_agent.rehearse.clock import StationClock
from edge_agent.sdnotify import Notifier
from edge_agent.station import Station
from edge_agent.worker import Worker

_UPLINK_TICKS = 10
"""Ticks between two turns of the uplink: what waits for it is on the disk anyway."""
_LEAST_S = 0.001
_URGENT_S = 5.0
"""A worker that rests no longer has something in hand or a port to get back: it is not made to wait for others."""

Stage = Literal["heard", "accepted"]
"""What has just happened: a device was heard, and the records of it are not in the journal yet; or they are."""
Watch = Callable[[Stage], None]
"""Is told each stage."""


@dataclass(slots=True)
class _Turn:
    worker: Worker
    due: float = 0.0
    """Monotonic seconds; infinity = when there is something to hear."""
    urgent: bool = False


class Agent:
    """From one start to the next; `watch` may raise, and then the process has ended there.

    What is due within `tick` seconds of station time is done together, unless it is urgent.
    """

    def __init__(
        self,
        config: Config,
        clock: StationClock,
        make: Callable[[LinkConfig, Clock], OwnedLink],
        centre: Centre,
        *,
        seed: int,
        tick: float,
        watch: Watch,
    ) -> None:
        self.clock = clock
        self.station = Station(config, clock=clock, make=make, connect=centre.connect, notifier=Notifier())
        self.station.recorder.by_turns = True
        self._turns = {link.name: _Turn(self.station.build_worker(link)) for link in config.link}
        self._of = {device.name: device.link for device in config.device}
        self._poll_now = self.station.recorder.poll_now
        self.station.recorder.poll_now = self._ask_at_once
        self._uplink = self.station.build_uplink(random.Random(f"{seed}/uplink/{clock.boots}"))  # noqa: S311  (repeatable, not secret)
        self._uplink_at = clock.monotonic()
        self._centre = centre
        self._watch = watch
        self._tick = max(tick, _LEAST_S)
        self._records = 0

    def turn(self) -> float:
        """Do all that is due now; return the seconds until something else is."""
        rest = self._work()
        if self.clock.monotonic() >= self._uplink_at:
            self._uplink_at = self.clock.monotonic() + self._send()
            rest = self._work()
        now = self.clock.monotonic()
        due = min(self._uplink_at, *(turn.due for turn in self._turns.values())) - now
        urgent = min((turn.due for turn in self._turns.values() if turn.urgent), default=math.inf) - now
        return max(_LEAST_S, min(urgent, max(self._tick, min(rest, due))))

    def notice(self, device: str) -> None:
        """Somebody has moved a device: it is heard, or asked, at once, as one that is asked twice a second would be."""
        self._ask_at_once(device)

    def send_soon(self) -> None:
        """The way to the broker has changed."""
        self._uplink_at = self.clock.monotonic()

    def deliver(self) -> None:
        """Commit what waits, and let the uplink tell all of it."""
        self.station.recorder.flush()
        self._send()
        self.station.recorder.flush()

    def end(self, *, in_order: bool) -> None:
        """End the process: in order, or without a word, and then nothing is flushed."""
        self._uplink.close()
        self.station.stop(clean=in_order)

    def _work(self) -> float:
        """Let workers and recorder do what is due, until nothing is; return the seconds to rest."""
        while True:
            for turn in self._turns.values():
                if turn.due <= self.clock.monotonic():
                    rest = turn.worker.step()
                    turn.due = self.clock.monotonic() + rest
                    turn.urgent = rest <= _URGENT_S
                    self._watch("heard")
            rest = self.station.recorder.step()
            accepted = self.station.picture.view.commits.accepted
            records = accepted.get("usage", 0) + accepted.get("alarm", 0)
            if records != self._records:
                self._records = records
                self._watch("accepted")
            if all(turn.due > self.clock.monotonic() for turn in self._turns.values()):
                return rest

    def _send(self) -> float:
        """Let the uplink do what it can at once; return the seconds until it wants to work again."""
        while True:
            before = self._centre.sink.messages
            self._uplink.wake()
            rest = self._uplink.step()
            if self.station.inbox.step():
                continue
            if rest > 0:
                return rest
            if self._centre.sink.messages == before:
                # A backlog is paced: what may not go now may in a second.
                link = self.station.picture.view.uplink
                return 1.0 if not link.online or any(link.pending.values()) else _UPLINK_TICKS * self._tick

    def _ask_at_once(self, device: str) -> None:
        self._poll_now(device)
        self._turns[self._of[device]].due = self.clock.monotonic()
