"""The Station: reads the configuration, builds everything, starts and stops it in order.

Journal first, so that whatever is heard can be accepted; then the workers; then uplink and page, which only look. The
way down is the way up reversed: nobody hands records to a journal that has closed.
"""

import json
import logging
import os
import random
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from edge_agent import __version__, decisions
from edge_agent.actors import WITHIN_S, Actors
from edge_agent.alarms import CATALOGUE
from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.cards import CardKey
from edge_agent.climate import ClimateKeeper
from edge_agent.clock import Clock, SystemClock
from edge_agent.commands import SEEN, Gate
from edge_agent.config.links import Link as LinkConfig
from edge_agent.config.maintenance import split
from edge_agent.config.model import RESERVED, Config, Device
from edge_agent.driver import Command, DriverClass, Site, load_driver
from edge_agent.errors import AgentError
from edge_agent.journal.open import Opened
from edge_agent.journal.quota import Limits
from edge_agent.journal.reader import Reader
from edge_agent.journal.spare import MAX_BYTES, DiskWatch, open_somewhere
from edge_agent.journal.upkeep import Upkeep
from edge_agent.ledger import Calendar
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.flight import FlightRecorder
from edge_agent.links.make import line_of, make_link, tuned_link
from edge_agent.links.owned import OwnedLink
from edge_agent.maintenance import Known, MaintenanceVerbs
from edge_agent.orders import Acted
from edge_agent.picture import Picture, View
from edge_agent.public import Card
from edge_agent.recorder.assembly import CABINET
from edge_agent.recorder.recorder import Recorder
from edge_agent.recorder.recorder import Settings as RecorderSettings
from edge_agent.records import Alarm, Event
from edge_agent.reflexes import Reflexes
from edge_agent.rules.abilities import STATION, STOPPED, UPLINK
from edge_agent.rules.make import make_rules
from edge_agent.sdnotify import Notifier
from edge_agent.slot import Slot, Statistics
from edge_agent.supervisor import Supervisor
from edge_agent.threads import Threads
from edge_agent.uplink.backoff import Pauses
from edge_agent.uplink.connection import Broker, Connection, Message
from edge_agent.uplink.info import Info
from edge_agent.uplink.paho_connection import PahoConnection
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink import Settings as UplinkSettings
from edge_agent.uplink.uplink import Uplink
from edge_agent.use import UseDetector, UseRule
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
        make: Callable[[LinkConfig, Clock], OwnedLink] = make_link,
        connect: Callable[[Message], Connection] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.picture = Picture()
        self._make = make
        self._connect = connect or self._connect_to_broker
        self._site = Site(card_key=_card_key(config), local_time=self._local_time)
        self._started = self.clock.monotonic()
        self._workers: dict[str, Worker] = {}
        self.supervisor = Supervisor(
            self.clock,
            notifier or Notifier.from_environment(os.environ),
            status=self._status,
            on_stuck=self._on_stuck,
            on_recovered=lambda name: self._stuck_alarm(name, active=False),
        )
        self._threads = Threads(self.supervisor, self.clock)
        self.place = open_somewhere(config.journal.dir, self.clock.boot_id, station=config.station.id)
        opened = self.place.opened
        self.journal = opened.journal
        state = self.journal.state()
        wires = {device.name: device.link for device in config.device}
        cabinets = [Cabinet(cabinet.layout(wires), _stored(state, cabinet.name)) for cabinet in config.cabinet]
        room = MAX_BYTES if self.place.why else config.journal.max_size
        self._upkeep = Upkeep(opened, Limits(max_bytes=room))
        self.recorder = Recorder(
            self.journal,
            self.clock,
            _recorder_settings(config),
            self.picture,
            cabinets,
            rules=make_rules(config, state, self.journal.ledger(), self.place.directory),
            upkeep=self._upkeep,
        )
        self.recorder.poll_now = self._poll_now
        self.gate = Gate(
            self.recorder,
            self.clock,
            config.commands.allow,
            _under(SEEN, state),
            allow_here=config.page.allow if config.page.pin_file else (),
        )
        self.actors = Actors(self.gate)
        self._reflexes = Reflexes(config.reflex, tell=self.act, sink=self.recorder, view=self._look, clock=self.clock)
        self.recorder.on_alarm = self._reflexes.raised
        self._offer_maintenance()
        self._offer_decisions()
        self._declare(opened)
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
            self._start_uplink()
            if self.config.page.enabled:
                self._start_page()
        except BaseException:
            self.stop(clean=False)
            raise
        # Ready means: a card swiped from now on is counted.
        deadline = self.clock.monotonic() + _BEGIN_S
        for worker in self._workers.values():
            worker.began.wait(max(0.0, deadline - self.clock.monotonic()))
        self.supervisor.ready()
        log.info("station is running id=%s version=%s", self.config.station.id, __version__)

    def run(self, stop: threading.Event) -> None:
        """Supervise until `stop` is set; also ends, for a start on the disk, once that takes records again."""
        if self.place.why:
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
        self._threads.end(["disk", "uplink", "journal"])
        self._upkeep.close()
        self.journal.close()
        if self.place.why:
            shutil.rmtree(self.place.directory, ignore_errors=True)

    def stop_workers(self) -> None:
        """Let go of every wire; what was heard goes its way."""
        self._threads.end(self._workers)
        self.recorder.commit_soon()

    def statistics(self) -> Mapping[str, Statistics]:
        """Return device -> what became of its polls."""
        return {name: stats for worker in self._workers.values() for name, stats in worker.statistics().items()}

    def act(self, device: str, command: Command, within: float = WITHIN_S) -> Acted:
        """See `Actors.act`: for the agent itself, whose acts need no leave of the gate."""
        return self.actors.act(device, command, within)

    def reader(self) -> Reader:
        """Open the journal for reading."""
        return Reader(self.place.directory)

    # ---- what moves, and its threads

    def build_worker(self, link: LinkConfig) -> Worker:
        """Build what works on `link`, in place of its predecessor if it had one; whoever asks steps or runs it."""
        wire = self._make(link, self.clock)
        slots = [
            Slot(
                device.name,
                self._driver(device),
                device.every,
                device.may_be_absent,
                _use(device),
                link=tuned_link(wire, line_of(device, link)),
            )
            for device in self.config.device
            if device.link == link.name
        ]
        worker = Worker(wire, slots, self._reflexes, self.clock, self._flight(link, wire))
        self._workers[link.name] = worker
        for slot in slots:
            self.actors.offer(slot.name, slot.driver, worker)
        return worker

    def build_climate(self) -> ClimateKeeper:
        """Build what keeps the rooms; whoever asks steps or runs it."""
        return ClimateKeeper(
            self.config.climate,
            view=self._look,
            act=self.act,
            verbs=self.actors.verbs,
            local_time=self._local_time,
            monotonic=self.clock.monotonic,
        )

    def _look(self) -> View:
        return self.picture.view

    def _start_climate(self) -> None:
        keeper = self.build_climate()
        self._threads.start("climate", keeper.run, keeper.stop, restart=self._start_climate)

    def _start_worker(self, link: LinkConfig) -> None:
        worker = self.build_worker(link)
        self._threads.start(link.name, worker.run, worker.stop, restart=partial(self._start_worker, link))

    def _flight(self, link: LinkConfig, wire: OwnedLink) -> FlightRecorder | None:
        """Return the link's flight recorder; edges have none, and personal bytes are never kept."""
        drivers = [load_driver(device.driver) for device in self.config.device if device.link == link.name]
        if any(driver.sensitive for driver in drivers) or not isinstance(wire, ByteLink | AskedLink):
            return None
        flight = FlightRecorder(link.name, self.place.directory / "flight", self.clock)
        wire.tap = flight.tap
        return flight

    def _driver(self, device: Device) -> Any:
        driver: DriverClass = load_driver(device.driver)
        return driver(device.options, replace(self._site, memory=self.recorder.recall(device.name)))

    def _local_time(self) -> datetime | None:
        if not self.clock.good():
            return None
        return datetime.fromtimestamp(self.clock.wall(), tz=self.config.station.zone).replace(tzinfo=None)

    def build_uplink(self, rng: random.Random | None = None) -> Uplink:
        """Build what carries the journal to the broker, its pauses taken from `rng`; whoever asks steps or runs it."""
        config = self.config.uplink
        settings = UplinkSettings(
            topics=topics_of(self.config),
            info=Info(self.config, self.picture),
            broker_name=f"{config.host}:{config.port}",
            pauses=Pauses(config.reconnect.first, config.reconnect.ceiling),
            pace=config.pace,
            window=config.window,
            unknown=((STATION, "journal_unwritable"),),
            card=_public_card(self.config),
        )
        plaintext = not config.tls and not config.loopback
        self.recorder.submit(STATION, [Alarm("plaintext_uplink", active=plaintext)])
        return Uplink(
            settings,
            reader=self.reader,
            connect=self._connect,
            sink=self.recorder,
            gate=self.gate,
            picture=self.picture,
            clock=self.clock,
            rng=rng,
            turned=self._uplink_turned,
        )

    def _start_uplink(self) -> None:
        uplink = self.build_uplink()
        self._threads.start("uplink", uplink.run, uplink.stop, critical=True, restart=self._start_uplink)

    def _uplink_turned(self, *, online: bool) -> None:
        self.recorder.submit(STATION, [Event(UPLINK, {"online": online})])

    def _connect_to_broker(self, will: Message) -> Connection:
        config = self.config.uplink
        broker = Broker(
            config.host,
            config.port,
            client_id=self.config.station.id,
            keepalive=round(config.keepalive),
            tls=config.tls,
            username=config.username,
            password_file=config.password_file,
            ca_file=config.ca_file,
            cert_file=config.cert_file,
            key_file=config.key_file,
            window=config.window,
        )
        return PahoConnection(broker, will)

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
            flight=self.place.directory / "flight",
        )
        promise = self.supervisor.register("page", None, critical=False)
        self.page = PageServer(create_app(source), self.config.page.host, self.config.page.port, promise=promise.by)
        self.page.start()

    # ---- what others ask of the station

    def _poll_now(self, device: str) -> None:
        for worker in self._workers.values():
            if device in worker.statistics():
                worker.poll_now(device)

    def _on_stuck(self, name: str, _since: float) -> None:
        self._stuck_alarm(name, active=True)

    def _stuck_alarm(self, name: str, *, active: bool) -> None:
        if name in self._workers:
            self.recorder.submit(name, [Alarm("worker_stuck", active=active)])

    def _offer_decisions(self) -> None:
        config = self.config
        codes = {*CATALOGUE, *(rule.alarm for rule in config.alarm)}
        pictures = {name for cabinet in config.cabinet for name in cabinet.pictures}
        named = {one.name for table in (config.device, config.link, config.consumable, config.round) for one in table}
        known = decisions.Known(codes, RESERVED | named | pictures)
        decisions.Decisions(self.gate, self.recorder, self.picture, known, self._reflexes.silence)

    def _offer_maintenance(self) -> None:
        config = self.config
        known = Known(
            devices={device.name for device in config.device},
            consumables={consumable.name for consumable in config.consumable},
            rounds={one.name for one in config.round},
            counts=self._counted,
        )
        MaintenanceVerbs(self.gate, self.recorder, known, self.clock.good)

    def _counted(self) -> frozenset[str]:
        return frozenset(self.picture.view.totals.lifetime)

    def _declare(self, opened: Opened) -> None:
        """Tell the centre what a damaged journal has cost, or that there is none on the disk."""
        for code, why in (("journal_damaged", opened.damage), ("journal_unwritable", self.place.why)):
            detail: dict[str, Any] = {"why": why} if why else {}
            self.recorder.submit(STATION, [Alarm(code, active=bool(why), detail=detail)])
        # Whatever rule has failed before, the rules are new now.
        self.recorder.submit(STATION, [Alarm("rule_failed", active=False)])

    def _status(self) -> str:
        view = self.picture.view
        uplink = "online" if view.uplink.online else f"offline ({view.uplink.why or 'connecting'})"
        waiting = sum(view.uplink.pending.values())
        visits = view.totals.lifetime.get("visits", 0)
        return f"uplink {uplink}, {waiting} records waiting, {visits} visits, {len(view.alarms)} alarms"


def _use(device: Device) -> UseDetector | None:
    """Return what tells when the device is in use, None if nobody wants to know."""
    use = device.use
    return UseDetector(UseRule(use.point, use.on, use.off, use.on_for, use.off_for)) if use is not None else None


def _public_card(config: Config) -> Card | None:
    """Return what of the station the public is shown, None if nothing."""
    station = config.station
    if not config.public.enabled:
        return None
    place = station.place.model_dump(exclude_none=True) if station.place else {}
    where = config.public.temperature
    temperature = None if where is None else split(where)
    return Card(station.name.model_dump(), place, temperature, tuple(cabinet.name for cabinet in config.cabinet))


def topics_of(config: Config) -> Topics:
    """Return the topics of a configured station."""
    station = config.station
    return Topics(config.uplink.root, station.region, station.district, station.id)


def _recorder_settings(config: Config) -> RecorderSettings:
    return RecorderSettings(
        calendar=Calendar(config.station.zone, config.station.day_starts),
        group_commit=config.journal.group_commit,
        min_interval=config.telemetry.min_interval,
        heartbeat=config.telemetry.heartbeat,
        publish_card_ref=config.cards.publish_card_ref,
        flash_budget=config.journal.flash_budget,
    )


def _under(prefix: str, state: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in state.items() if key.startswith(prefix)}


def _stored(state: Mapping[str, str], name: str) -> Mapping[str, Any] | None:
    """Return the last picture of a cabinet, None if there never was one."""
    text = state.get(CABINET + name)
    return None if text is None else json.loads(text)


def _card_key(config: Config) -> CardKey | None:
    """Load the key if a card reader needs one; raises AgentError with the cure."""
    readers = [device.name for device in config.device if load_driver(device.driver).sensitive]
    if config.cards.key_file is None:
        if readers:
            raise AgentError(f"device {readers[0]!r} reads cards and needs [cards] key_file")
        return None
    return CardKey.load(config.cards.key_file, config.cards.key_id)
