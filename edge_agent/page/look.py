"""One consistent look at the station: everything is asked once, so that a page cannot disagree with itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.config.cabinet import Cabinet
from edge_agent.config.device import Device
from edge_agent.config.model import Config
from edge_agent.machine import Machine
from edge_agent.page.source import Polls, Source
from edge_agent.page.words import Bilingual, Said, said, words
from edge_agent.picture import Point, View
from edge_agent.records import Quality, Stamp

_MISSED = 3
"""A value is stale when its device has missed as many polls as make it silent."""
_SLACK_S = 30.0
"""Seconds on top: a busy wire, a commit on a slow card."""


@dataclass(frozen=True, slots=True)
class Since:
    """When something began: `at` in monotonic seconds, `wall_ms` if it can be dated; both may be unknown."""

    at: float | None
    wall_ms: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """What the page knows at one instant."""

    now: float
    wall: float
    clock_good: bool
    boot: int
    view: View
    statistics: Mapping[str, Polls]
    machine: Machine
    config: Config
    devices: Mapping[str, Device]
    cabinets: Mapping[str, Cabinet]
    """By the name of their picture, the cabinet's own or a slot's."""
    parts: frozenset[str]
    """Devices that are part of a cabinet."""
    batteries: Mapping[str, str]
    """Device of a battery -> picture of its slot."""
    listeners: frozenset[str]

    @classmethod
    def of(cls, source: Source, listeners: frozenset[str]) -> "Look":
        """Ask everyone once."""
        config, clock = source.config, source.clock
        wiring = [slot for cabinet in config.cabinet for slot in cabinet.wiring]
        points = {point[0] for slot in wiring for point in (slot.lock, slot.presence) if point is not None}
        return cls(
            now=clock.monotonic(),
            wall=clock.wall(),
            clock_good=clock.good(),
            boot=source.boot,
            view=source.picture.view,
            statistics=source.statistics(),
            machine=source.machine(),
            config=config,
            devices={device.name: device for device in config.device},
            cabinets={name: cabinet for cabinet in config.cabinet for name in cabinet.pictures},
            parts=frozenset(points | {slot.battery for slot in wiring if slot.battery is not None}),
            batteries={
                slot.battery: name
                for cabinet in config.cabinet
                for slot, name in zip(cabinet.wiring, cabinet.pictures[1:], strict=True)
                if slot.battery is not None
            },
            listeners=listeners,
        )

    def points(self, device: str) -> Mapping[str, Point]:
        """Return the latest values of a device, empty if it has none."""
        found = self.view.devices.get(device)
        return found.points if found is not None else {}

    def rooms(self) -> list[str]:
        """Return the devices of the room, in the order of the station file: all that no cabinet hides."""
        return [name for name in self.devices if name not in self.batteries]

    def fresh(self, name: str, point: Point) -> bool:
        """Return whether a value can still be taken for the present one."""
        return point.reading.quality is Quality.GOOD and not self.outdated(name, point.mono)

    def outdated(self, name: str, at: float) -> bool:
        """Return whether `name` should have been heard again since `at`."""
        return name not in self.listeners and self.now - at > self._patience(name)

    def label(self, name: str) -> Bilingual:
        """Return what people call a device, a cabinet, one of its slots, a link or the station.

        A battery without a name of its own is called by its slot.
        """
        if name in self.devices and (own := self.devices[name].label) is not None:
            return own
        name = self.batteries.get(name, name)
        if name in self.cabinets:
            return self._cabinet_label(name)
        return said("station") if name == "station" else Said(name, name)

    def since(self, stamp: Stamp) -> Since:
        """Return how long ago a stamp was: by the monotonic clock within this boot, else by clocks that are good."""
        wall_ms = stamp.wall_ms if stamp.good else None
        if stamp.boot == self.boot:
            return Since(stamp.mono, wall_ms)
        if wall_ms is not None and self.clock_good:
            return Since(self.now - (self.wall - wall_ms / 1000), wall_ms)
        return Since(None, wall_ms)

    def _patience(self, name: str) -> float:
        if name in self.devices:
            return _MISSED * self.devices[name].every + _SLACK_S
        slowest = max((self.devices[part].every for part in self.parts if part in self.devices), default=0.0)
        return _MISSED * slowest + _SLACK_S

    def _cabinet_label(self, name: str) -> Bilingual:
        cabinet = self.cabinets[name]
        whole = cabinet.label or Said(cabinet.name, cabinet.name)
        if name == cabinet.name:
            return whole
        number = cabinet.pictures.index(name)
        return Said(
            f"{whole.zh} {words('zh')('cabinet.slot', n=number)}",
            f"{whole.en}, {words('en')('cabinet.slot', n=number)}",
        )
