"""The Workers of a station, one for each link, with the drivers of its devices."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from edge_agent.actors import Actors
from edge_agent.clock import Clock
from edge_agent.config.device import Device
from edge_agent.config.links import Link as LinkConfig
from edge_agent.config.model import Config
from edge_agent.driver import DriverClass, Site, load_driver
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.flight import FlightRecorder
from edge_agent.links.make import line_of, tuned_link
from edge_agent.links.owned import OwnedLink
from edge_agent.parts.settings import use_of
from edge_agent.slot import Sink, Slot, Statistics
from edge_agent.worker import Worker

MakeLink: TypeAlias = Callable[[LinkConfig, Clock], OwnedLink]
"""Builds the near end of a link."""


class Workers:
    """Builds them, again where one must be replaced, and knows which serves a device.

    `recall` returns what a device asked to be remembered; `flights` is the folder of flight records.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        make: MakeLink,
        site: Site,
        recall: Callable[[str], Mapping[str, str]],
        sink: Sink,
        actors: Actors,
        flights: Path,
    ) -> None:
        self._config = config
        self._clock = clock
        self._make = make
        self._site = site
        self._recall = recall
        self._sink = sink
        self._actors = actors
        self._flights = flights
        self.by_link: dict[str, Worker] = {}

    def build(self, link: LinkConfig) -> Worker:
        """Build what works on `link`, in place of its predecessor if it had one."""
        wire = self._make(link, self._clock)
        devices = [device for device in self._config.device if device.link == link.name]
        slots = [
            Slot(
                device.name,
                self._driver(device),
                device.every,
                device.may_be_absent,
                use_of(device),
                link=tuned_link(wire, line_of(device, link)),
            )
            for device in devices
        ]
        worker = Worker(wire, slots, self._sink, self._clock, self._flight(devices, wire))
        self.by_link[link.name] = worker
        for slot in slots:
            self._actors.offer(slot.name, slot.driver, worker)
        return worker

    def statistics(self) -> dict[str, Statistics]:
        """Return device -> what became of its polls."""
        return {name: stats for worker in self.by_link.values() for name, stats in worker.statistics().items()}

    def poll_now(self, device: str) -> None:
        """Have `device` asked at once, whatever its period."""
        for worker in self.by_link.values():
            if device in worker.statistics():
                worker.poll_now(device)

    def wait_until_begun(self, within: float) -> None:
        """Wait until each listens to its wire, or has tried to; `within` seconds at most."""
        deadline = self._clock.monotonic() + within
        for worker in self.by_link.values():
            worker.began.wait(max(0.0, deadline - self._clock.monotonic()))

    def _driver(self, device: Device) -> Any:
        driver: DriverClass = load_driver(device.driver)
        return driver(device.options, replace(self._site, memory=self._recall(device.name)))

    def _flight(self, devices: list[Device], wire: OwnedLink) -> FlightRecorder | None:
        """Return the link's flight recorder; edges have none, and personal bytes are never kept."""
        sensitive = any(load_driver(device.driver).sensitive for device in devices)
        if sensitive or not isinstance(wire, ByteLink | AskedLink):
            return None
        flight = FlightRecorder(wire.name, self._flights, self._clock)
        wire.tap = flight.tap
        return flight
