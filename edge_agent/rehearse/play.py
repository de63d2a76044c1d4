"""Plays a script: lets people, faults and time act on the far ends, and the agent work in between.

One thread, one fake clock: the same script gives the same result to the last byte. What people do goes through
`_stimulate`, which also keeps the truth; what befalls the station stands in `mishaps`.
"""

import heapq
import itertools
import math
from collections.abc import Callable
from datetime import datetime
from functools import partial

from edge_agent.config.model import Config
from edge_agent.config.types import Table
from edge_agent.errors import AgentError
from edge_agent.journal.reader import Reader
from edge_agent.ledger import Calendar
from edge_agent.rehearse.acts import Bring, Contact, Overheat, Swap, Swipe, Take, Walk
from edge_agent.rehearse.agent import Agent, Stage
from edge_agent.rehearse.centre import Centre
from edge_agent.rehearse.clock import StationClock
from edge_agent.rehearse.mishaps import Mishaps
from edge_agent.rehearse.people import People
from edge_agent.rehearse.plan import begin_of, plan
from edge_agent.rehearse.room import Room
from edge_agent.rehearse.script import Script
from edge_agent.rehearse.seen import Seen
from edge_agent.rehearse.stimuli import Pending, Stimulus
from edge_agent.rehearse.truth import ClockAlarm, Note, Truth
from edge_agent.rehearse.wires import Wires

_SETTLE_S = 30.0
"""After a start people wait so long: the agent has asked every device several times by then."""
_ASKED_AGAIN_S = (8.0, 16.0, 24.0)
_DOWN_S = 5.0
_ASK_EVERY_S = 1.0
_APART_S = 10.0
"""Those who had to wait come so long after each other."""

_RIDERS = (Bring, Take, Swap, Overheat)
_PEOPLE = (Swipe, Contact, Walk, *_RIDERS)


class Ended(Exception):  # noqa: N818  (no error)
    """The agent's process ends here: `in_order`, or without a word."""

    def __init__(self, *, in_order: bool = False) -> None:
        super().__init__()
        self.in_order = in_order


class Rehearsal:
    """One script, once. `watch` may raise `Ended` at any stage it is told: (stage, number of stages told so far)."""

    def __init__(self, script: Script, config: Config, *, watch: Callable[[Stage, int], None] | None = None) -> None:
        self.script = script
        self.config = config
        self.clock = StationClock(begin_of(script, config.station.zone))
        self.truth = Truth(Calendar(config.station.zone, config.station.day_starts))
        self._clock_alarm = ClockAlarm(self.truth, config.alarms.clock_bad.after)
        self.centre = Centre()
        self.kills = self.restarts = 0
        self.seen = Seen()
        self.wires = Wires(config, self.clock, script.seed)
        self.wires.moved = self._moved
        self.people = People(config, self.wires, script.seed, dict(script.stock))
        self.room = Room(script.room, self.wires, config.station.zone) if script.room else None
        self._mishaps = Mishaps(self)
        self._watch = watch
        self._stages = 0
        self._over = False
        self.agent: Agent | None = None
        """None while the process does not run."""
        self._reader: Reader | None = None
        self._pending = Pending()
        self._open_from = -math.inf
        """True time from which people come again after a start."""
        self._queue = [-math.inf, -math.inf]
        """True time at which the last of those who wait comes: people, riders."""
        self._riders_apart = max((one.swap_window for one in config.cabinet), default=0.0) + _APART_S
        self.powered = True
        """Whether the station has power."""
        self._order = itertools.count()
        self._heap: list[tuple[float, int, int, Callable[[], None]]] = []
        """(true time, rank, order, what to do); rank 0 goes first."""
        self._sequences: dict[int, tuple[float, int, Stimulus]] = {}
        """Order -> what somebody is in the middle of."""

    def play(self) -> None:
        """Play it to the end; what is then in the journal is the result. Raises AgentError if people cannot do it."""
        zone = self.config.station.zone
        for planned in plan(self.script, zone):
            self.at(planned.at, partial(self._begin, planned.act))
        end = begin_of(self.script, zone) + self.script.lasts
        self.start()
        self.at(end, self._finish)
        while not self._over:
            if self.clock.true < self._heap[0][0]:
                self._pass_until(self._heap[0][0])
            else:
                _, _, order, act = heapq.heappop(self._heap)
                self._sequences.pop(order, None)
                act()

    def _finish(self) -> None:
        """Let the centre have everything, and end."""
        self._over = True
        if self.agent is not None:
            self._watch = None
            self.agent.deliver()
            self._look()
            self._stop(in_order=False)

    # ---- time

    def at(self, at: float, act: Callable[[], None], rank: int = 1) -> int:
        """Let `act` happen at the true time `at`; of one moment, rank 0 goes first. Returns its place in the order."""
        order = next(self._order)
        heapq.heappush(self._heap, (at, rank, order, act))
        return order

    def _pass_until(self, at: float) -> None:
        """Let the agent do what is due, and time pass until it wants to work again, at most until true time `at`."""
        before = self.clock.true
        rest = self._turn()
        self.clock.advance(min(rest, max(0.0, at - self.clock.true)))
        self._pass(self.clock.true - before)

    def _turn(self) -> float:
        if self.agent is None:
            return math.inf
        try:
            return self.agent.turn()
        except Ended as end:
            (self.restart if end.in_order else self.kill)(_DOWN_S)
            return 0.0

    def _pass(self, seconds: float) -> None:
        self.people.riders.advance(seconds)
        if self.room is not None:
            self.room.advance(seconds, self.clock.true)
        if self.agent is not None:
            self._clock_alarm.look(self.clock.true, good=self.clock.good())
            if self.clock.good():
                self.truth.synced.add(self.clock.boots)
            self.truth.lied |= self.clock.lies

    # ---- the agent's life

    def start(self) -> None:
        """Start the process, unless the power is away."""
        if not self.powered or self.agent is not None:
            return
        self.wires.forget()
        self._clock_alarm.start()
        tick = (self.script.ask_every or _ASK_EVERY_S) / 10
        self.agent = Agent(
            self.config,
            self.clock,
            self.wires.make,
            self.centre,
            seed=self.script.seed,
            tick=tick,
            watch=self._stage,
        )
        self._reader = self.agent.station.reader()
        # A station asks within seconds what is asked here once in hours: doubts of a start are over as soon as there.
        for again in _ASKED_AGAIN_S:
            self.at(self.clock.true + again, self._ask_all)

    def _ask_all(self) -> None:
        for device in self.config.device:
            self._moved(device.name)

    def _stop(self, *, in_order: bool) -> None:
        if self.agent is not None and self._reader is not None:
            self._reader.close()
            self.agent.end(in_order=in_order)
        self.agent = self._reader = None

    def _stage(self, stage: Stage) -> None:
        if stage == "accepted":
            self._look()
        if self._watch is not None:
            self._stages += 1
            self._watch(stage, self._stages)

    def _look(self) -> None:
        """See which stimuli the journal shows to be accepted."""
        if self._reader is None:
            return
        for row in self.seen.look(self._reader):
            self._pending.accept(row)

    def _moved(self, device: str) -> None:
        if self.agent is not None:
            self.agent.notice(device)

    def kill(self, down: float) -> None:
        """End the process without a word; whoever was not noticed tries again once it is back."""
        self.kills += 1
        self._interrupt(down, in_order=False)

    def restart(self, down: float) -> None:
        """End the process in order."""
        self.restarts += 1
        self._interrupt(down, in_order=True)

    def _interrupt(self, down: float, *, in_order: bool) -> None:
        """End the process and start it again `down` seconds later."""
        if self.agent is None:
            return
        again = self.end(in_order=in_order)
        self.truth.down("maintenance" if in_order else "agent", down)
        back = self.clock.true + down
        self.closed_until(back + _SETTLE_S)
        self.postpone(down + _SETTLE_S)
        for stimulus in again:
            self._later(back + _SETTLE_S, stimulus, rank=0)
        self.at(back, self.start, rank=0)

    def end(self, *, in_order: bool) -> list[Stimulus]:
        """End the process; take back and return what it had not accepted, the oldest first."""
        if in_order and self.agent is not None:
            self.agent.station.recorder.flush()
        self._look()
        self._stop(in_order=in_order)
        again = self._pending.take(self.clock.true)
        for stimulus in reversed(again):
            self._take_back(stimulus)
            stimulus.undo()
        return again

    def closed_until(self, at: float) -> None:
        """Let nobody come before the true time `at`."""
        self._open_from = max(self._open_from, at)

    def postpone(self, seconds: float) -> None:
        """Let people who are in the middle of something wait."""
        held, self._sequences = self._sequences, {}
        self._heap = [entry for entry in self._heap if entry[2] not in held]
        heapq.heapify(self._heap)
        for at, rank, stimulus in held.values():
            self._later(at + seconds, stimulus, rank)

    # ---- what people do

    def _begin(self, act: Table) -> None:
        """Begin an act of the script, or let those who cannot yet come later."""
        if not isinstance(act, _PEOPLE):
            self._mishaps.befall(act)
            return
        now = self.clock.true
        wait = self._closed_for(act)
        if now < wait:
            if getattr(act, "means", "") != "nothing":
                # One after the other: what was meant to be apart must not become a swap, or one door.
                kind, apart = (1, self._riders_apart) if isinstance(act, _RIDERS) else (0, _APART_S)
                self._queue[kind] = max(wait, self._queue[kind] + apart)
                self.at(self._queue[kind], partial(self._begin, act))
            return
        try:
            steps = self.people.steps(act)
        except AgentError as error:
            local = datetime.fromtimestamp(now, tz=self.config.station.zone)
            raise AgentError(f"{local:%Y-%m-%d %H:%M}: {error}") from error
        for delay, stimulus in steps:
            self._later(now + delay, stimulus)

    def _later(self, at: float, stimulus: Stimulus, rank: int = 1) -> None:
        self._sequences[self.at(at, partial(self._stimulate, stimulus), rank)] = (at, rank, stimulus)

    def _stimulate(self, stimulus: Stimulus) -> None:
        """Do it, and note what the station must make of it."""
        heard = stimulus.remembered or (self.powered and (not stimulus.needs or self.wires.hears(stimulus.needs)))
        if not heard and not stimulus.lasting:
            self.truth.missed += not stimulus.optional
            return
        if stimulus.do() is False or not heard:
            return
        stimulus.done_at = self.clock.true
        boot = self.clock.boots
        half = stimulus.completes
        swaps = ("swaps",) if half is not None and any(note.boot == boot for note in half.noted) else ()
        stimulus.noted = [Note(name, self.clock.true, boot) for name in stimulus.counts + swaps]
        for note in stimulus.noted:
            self.truth.note(note)
            if note.name == "visits":
                self.truth.cards.append((note, stimulus.who))
        if stimulus.raises:
            self.truth.raised[stimulus.raises] += 1
        if stimulus.clears:
            self.truth.cleared[stimulus.clears] += 1
        self._pending.add(stimulus)

    def _take_back(self, stimulus: Stimulus) -> None:
        for note in stimulus.noted:
            self.truth.take_back(note)
        stimulus.noted = []
        if stimulus.raises:
            self.truth.raised[stimulus.raises] -= 1
        if stimulus.clears:
            self.truth.cleared[stimulus.clears] -= 1

    def _closed_for(self, act: Table) -> float:
        """Return the true time until which nobody can do `act`: the agent begins anew, or the cabinet is in trouble."""
        if not isinstance(act, _RIDERS):
            return self._open_from if self.powered else -math.inf
        if not self.powered:
            # Nobody is to stand at a door when the power comes back: half of a swap would be seen.
            soon = self._mishaps.power_back - self.people.riders.longest(act)
            return self._mishaps.power_back if self.clock.true >= soon else -math.inf
        bank = self.people.riders.bank(getattr(act, "cabinet", None))
        return max(self._open_from, *(self._mishaps.until(device) for device in bank.devices()))
