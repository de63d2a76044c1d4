"""The Station: builds what its configuration asks for, starts and stops it in order, and has it supervised.

Journal first, so that whatever is heard can be accepted; then the workers; then uplink and page, which only look. The
way down is the way up reversed: nobody hands records to a journal that has closed.
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Self

from edge_agent import __version__
from edge_agent.actors import WITHIN_S, Actors
from edge_agent.climate import ClimateKeeper
from edge_agent.clock import Clock, SystemClock
from edge_agent.commands import SEEN, Gate
from edge_agent.config.links import Link as LinkConfig
from edge_agent.config.model import Config
from edge_agent.decisions import Decisions
from edge_agent.driver import Command, Site
from edge_agent.journal.reader import Reader
from edge_agent.journal.spare import DiskWatch
from edge_agent.links.make import make_link
from edge_agent.maintenance import MaintenanceVerbs
from edge_agent.orders import Acted
from edge_agent.parts import settings
from edge_agent.parts.store import Store
from edge_agent.parts.workers import MakeLink, Workers
from edge_agent.picture import Picture, View
from edge_agent.records import Alarm, Event
from edge_agent.reflexes import Reflexes
from edge_agent.rules.abilities import STATION, STOPPED, UPLINK
from edge_agent.sdnotify import Notifier
from edge_agent.slot import Statistics
from edge_agent.supervisor import Supervisor
from edge_agent.threads import Threads
from edge_agent.uplink.clerk import Clerk
from edge_agent.uplink.connection import Connection, Message
from edge_agent.uplink.inbox import Inbox
from edge_agent.uplink.paho_connection import PahoConnection
from edge_agent.uplink.uplink import Uplink
from edge_agent.worker import Worker

if TYPE_CHECKING:
    from edge_agent.page.server import PageServer

log = logging.getLogger(__name__)

_BEGIN_S = 5.0


class Station:
    """See the module; a context manager. `make` builds links, so that the demo can put simulators behind them.

    `connect` opens a connection to the broker (default: over the network), given the will. Without `start` nothing has
    a thread: whoever plays a station through builds workers and uplink and steps them and the recorder in turn.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        make: MakeLink = make_link,
        connect: Callable[[Message], Connection] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.picture = Picture()
        self._connect = connect or partial(PahoConnection, settings.broker_of(config))
        self._started = self.clock.monotonic()
        site = Site(card_key=settings.card_key(config), local_time=self._local_time)
        self.supervisor = Supervisor(
            self.clock,
            notifier or Notifier.from_environment(os.environ),
            status=self._status,
            on_stuck=lambda name, _since: self._stuck_alarm(name, active=True),
            on_recovered=lambda name: self._stuck_alarm(name, active=False),
        )
        self._threads = Threads(self.supervisor, self.clock)
        self.store = Store(config, self.clock, self.picture)
        self.recorder, self.journal = self.store.recorder, self.store.journal
        self.gate = Gate(
            self.recorder,
            self.clock,
            config.commands.allow,
            {key: text for key, text in self.store.state.items() if key.startswith(SEEN)},
            allow_here=config.page.allow if config.page.pin_file else (),
        )
        self.inbox = Inbox(settings.topics_of(config), self.gate, self.clock)
        self.actors = Actors(self.gate)
        self._reflexes = Reflexes(
            config.reflex,
            self.store.early(config, self.clock),
            tell=self.act,
            sink=self.recorder,
            view=self._look,
            clock=self.clock,
        )
        self.workers = Workers(
            config,
            self.clock,
            make=make,
            site=site,
            recall=self.recorder.recall,
            sink=self._reflexes,
            actors=self.actors,
            flights=self.store.flights,
        )
        self.recorder.poll_now = self.workers.poll_now
        self.recorder.on_alarm = self._reflexes.raised
        MaintenanceVerbs(self.gate, self.recorder, settings.maintained(config, self._counted), self.clock.good)
        Decisions(self.gate, self.recorder, self.picture, settings.decided_upon(config), self._reflexes.silence)
        self.store.declare()
        self.page: PageServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.stop(clean=error is None)

    def start(self) -> None:
        """Start every thread; raises AgentError if the page's port is taken, and stops what had begun."""
        try:
            self._threads.start("journal", self.recorder.run, self.recorder.stop, critical=True)
            for link in self.config.link:
                self._start_worker(link)
            for arm in self._reflexes.arms:
                self._threads.start(f"reflex-{arm.reflex.name}", arm.run, arm.stop)
            if self.config.climate:
                self._start_climate()
            self._start_commands()
            self._start_uplink()
            if self.config.page.enabled:
                self._start_page()
        except BaseException:
            self.stop(clean=False)
            raise
        # Ready means: a card swiped from now on is counted.
        self.workers.wait_until_begun(_BEGIN_S)
        self.supervisor.ready()
        log.info("station is running id=%s version=%s", self.config.station.id, __version__)

    def run(self, stop: threading.Event) -> None:
        """Supervise until `stop` is set; also ends, for a start on the disk, once that takes records again."""
        if self.store.in_memory:
            watch = DiskWatch(self.config.journal.dir, self.picture, self.clock, stop)
            self._threads.start("disk", watch.run, watch.stop)
        self.supervisor.run(stop)

    def stop(self, *, clean: bool = True) -> None:
        """Stop in order: who hears, who sends, who stores; not `clean`: it is no person's wish."""
        if self.page is not None:
            self.page.stop()
        self._threads.end(["climate"])
        self._threads.end([f"reflex-{arm.reflex.name}" for arm in self._reflexes.arms])
        self.stop_workers()
        if clean:
            self.recorder.submit(STATION, [Event(STOPPED)])
            if self.recorder.by_turns:
                self.recorder.flush()
        self._threads.end(["disk", "commands", "uplink", "journal"])
        self.store.close()

    def stop_workers(self) -> None:
        """Let go of every wire; what was heard goes its way."""
        self._threads.end(self.workers.by_link)
        self.recorder.commit_soon()

    def statistics(self) -> Mapping[str, Statistics]:
        """Return device -> what became of its polls."""
        return self.workers.statistics()

    def act(self, device: str, command: Command, within: float = WITHIN_S) -> Acted:
        """See `Actors.act`: for the agent itself, whose acts need no leave of the gate."""
        return self.actors.act(device, command, within)

    def reader(self) -> Reader:
        """Open the journal for reading."""
        return self.store.reader()

    # ---- what moves: whoever asks for it steps or runs it

    def build_worker(self, link: LinkConfig) -> Worker:
        """Build what works on `link`, in place of its predecessor if it had one."""
        return self.workers.build(link)

    def build_climate(self) -> ClimateKeeper:
        """Build what keeps the rooms."""
        return ClimateKeeper(
            self.config.climate,
            view=self._look,
            act=self.act,
            verbs=self.actors.verbs,
            local_time=self._local_time,
            monotonic=self.clock.monotonic,
        )

    def build_uplink(self, rng: random.Random | None = None) -> Uplink:
        """Build what carries the journal to the broker, its pauses taken from `rng`."""
        uplink = self.config.uplink
        self.recorder.submit(STATION, [Alarm("plaintext_uplink", active=not uplink.tls and not uplink.loopback)])
        return Uplink(
            settings.uplink_settings(self.config, self.picture),
            reader=self.reader,
            connect=self._connect,
            sink=self.recorder,
            gate=self.gate,
            inbox=self.inbox,
            picture=self.picture,
            clock=self.clock,
            rng=rng,
            turned=self._uplink_turned,
        )

    # ---- its threads

    def _start_worker(self, link: LinkConfig) -> None:
        worker = self.build_worker(link)
        self._threads.start(link.name, worker.run, worker.stop, restart=partial(self._start_worker, link))

    def _start_climate(self) -> None:
        keeper = self.build_climate()
        self._threads.start("climate", keeper.run, keeper.stop, restart=self._start_climate)

    def _start_commands(self) -> None:
        clerk = Clerk(self.inbox, self.clock)
        self._threads.start("commands", clerk.run, clerk.stop, restart=self._start_commands)

    def _start_uplink(self) -> None:
        uplink = self.build_uplink()
        self._threads.start("uplink", uplink.run, uplink.stop, critical=True, restart=self._start_uplink)

    def _start_page(self) -> None:
        # Imported only where a page is wanted: it costs 8 MB that a station without one need not pay.
        from edge_agent.machine import Probe  # noqa: PLC0415
        from edge_agent.page.app import create_app  # noqa: PLC0415
        from edge_agent.page.desk import Desk  # noqa: PLC0415
        from edge_agent.page.server import PageServer  # noqa: PLC0415
        from edge_agent.page.source import Source  # noqa: PLC0415

        source = Source(
            picture=self.picture,
            clock=self.clock,
            config=self.config,
            statistics=self.statistics,
            machine=Probe(self.config.journal.dir),
            version=__version__,
            started=self._started,
            boot=self.journal.boot,
            desk=Desk(self.gate, self.recorder.submit, self.clock.wall),
            flight=self.store.flights,
        )
        promise = self.supervisor.register("page", None, critical=False)
        self.page = PageServer(create_app(source), self.config.page.host, self.config.page.port, promise=promise.by)
        self.page.start()

    # ---- what others ask of the station

    def _look(self) -> View:
        return self.picture.view

    def _counted(self) -> frozenset[str]:
        return frozenset(self.picture.view.totals.lifetime)

    def _local_time(self) -> datetime | None:
        if not self.clock.good():
            return None
        return datetime.fromtimestamp(self.clock.wall(), tz=self.config.station.zone).replace(tzinfo=None)

    def _uplink_turned(self, *, online: bool) -> None:
        self.recorder.submit(STATION, [Event(UPLINK, {"online": online})])

    def _stuck_alarm(self, name: str, *, active: bool) -> None:
        if name in self.workers.by_link:
            self.recorder.submit(name, [Alarm("worker_stuck", active=active)])

    def _status(self) -> str:
        view = self.picture.view
        uplink = "online" if view.uplink.online else f"offline ({view.uplink.why or 'connecting'})"
        waiting = sum(view.uplink.pending.values())
        visits = view.totals.lifetime.get("visits", 0)
        return f"uplink {uplink}, {waiting} records waiting, {visits} visits, {len(view.alarms)} alarms"
