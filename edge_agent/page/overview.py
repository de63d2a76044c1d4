"""The overview screen as data, in no language yet: one look at the station, judged.

Which tile a device fills follows from its points, never from its name or driver. Everything keeps the monotonic time at
which it was true, so that the page can show its age for as long as it is open.
"""

from dataclasses import dataclass

from edge_agent.machine import Machine
from edge_agent.page.cabinets import CabinetTile, cabinet_tiles
from edge_agent.page.concerns import Concern, Verdict, concerns, judge
from edge_agent.page.devices import DeviceRow, device_rows
from edge_agent.page.look import Look
from edge_agent.page.source import Source
from edge_agent.picture import Point
from edge_agent.records import Quality

_AIRCON_STATES = frozenset({"stopped", "cooling", "heating", "unknown"})


@dataclass(frozen=True, slots=True)
class DoorTile:
    """The station's door: `open`, `closed`, or None where no contact tells."""

    state: str | None
    at: float | None
    stale: bool


@dataclass(frozen=True, slots=True)
class VisitsTile:
    """Visits of the business day; `today` is None while the clock cannot say which day it is."""

    today: int | None
    undated: int
    yesterday: int | None
    last: float | None


@dataclass(frozen=True, slots=True)
class ClimateTile:
    """The room (°C, %) and the air conditioner: what it does and what it was told, which may differ."""

    temperature: float | None
    humidity: float | None
    at: float | None
    stale: bool
    aircon: bool
    observed: str | None
    commanded: str | None
    aircon_at: float | None
    aircon_stale: bool


@dataclass(frozen=True, slots=True)
class UplinkTile:
    """The way to the centre: `since` is when it came or went, `waiting` counts records, `oldest_s` is their age."""

    online: bool
    since: float | None
    why: str
    broker: str
    waiting: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class MachineTile:
    """The machine and the agent on it.

    `trouble` says why the journal cannot be written; `room_days` for how many days there is room; `written_day` bytes
    written in a day.
    """

    machine: Machine
    clock_good: bool
    trouble: str
    started: float
    room_days: float | None
    written_day: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the screen; `now` is the monotonic time of the look, `wall` the Unix time."""

    now: float
    wall: float
    verdict: Verdict
    concerns: tuple[Concern, ...]
    door: DoorTile
    visits: VisitsTile
    climate: ClimateTile
    cabinets: tuple[CabinetTile, ...]
    uplink: UplinkTile
    machine: MachineTile
    devices: tuple[DeviceRow, ...]


def overview(source: Source, listeners: frozenset[str]) -> Overview:
    """Look once; `listeners` are the devices that speak only when something happens, so their age means nothing."""
    look = Look.of(source, listeners)
    rows = device_rows(look)
    found = concerns(look)
    return Overview(
        now=look.now,
        wall=look.wall,
        verdict=judge(
            found, sum(row.state in {"stale", "bad"} for row in rows), sum(row.state == "waiting" for row in rows)
        ),
        concerns=found,
        door=_door(look),
        visits=_visits(look),
        climate=_climate(look),
        cabinets=cabinet_tiles(look),
        uplink=_uplink(look),
        machine=_machine(look, source),
        devices=rows,
    )


def _machine(look: Look, source: Source) -> MachineTile:
    storage = look.view.storage
    return MachineTile(
        look.machine, look.clock_good, storage.trouble, source.started, storage.days, storage.written_day
    )


def _door(look: Look) -> DoorTile:
    name, point = _first(look, "door")
    if point is None or not isinstance(point.reading.value, str):
        return DoorTile(None, None, stale=False)
    return DoorTile(point.reading.value, point.mono, stale=not look.fresh(name, point))


def _visits(look: Look) -> VisitsTile:
    totals = look.view.totals
    dated = totals.day is not None
    return VisitsTile(
        today=totals.today.get("visits", 0) if dated else None,
        undated=totals.undated.get("visits", 0),
        yesterday=totals.yesterday.get("visits", 0) if dated else None,
        last=look.view.last_visit_mono,
    )


def _climate(look: Look) -> ClimateTile:
    warm, temperature = _first(look, "temperature_c")
    damp, humidity = _first(look, "humidity_pct")
    aircon = next((name for name in look.rooms() if _is_aircon(look, name)), None)
    points = look.points(aircon) if aircon is not None else {}
    state, commanded = points.get("state"), points.get("commanded")
    shown = [(name, point) for name, point in ((warm, temperature), (damp, humidity)) if point is not None]
    return ClimateTile(
        temperature=_number(temperature),
        humidity=_number(humidity),
        at=min((point.mono for _, point in shown), default=None),
        stale=any(not look.fresh(name, point) for name, point in shown),
        aircon=aircon is not None,
        observed=_text(state),
        commanded=_text(commanded),
        aircon_at=state.mono if state is not None else None,
        aircon_stale=aircon is not None and state is not None and not look.fresh(aircon, state),
    )


def _is_aircon(look: Look, name: str) -> bool:
    """Return whether a device is an air conditioner: it can be told something, or is in one of its states."""
    points = look.points(name)
    state = points.get("state")
    return "commanded" in points or (state is not None and state.reading.value in _AIRCON_STATES)


def _uplink(look: Look) -> UplinkTile:
    uplink = look.view.uplink
    oldest = uplink.oldest_ms if look.clock_good else None
    known = uplink.online or bool(uplink.connections) or bool(uplink.why)
    return UplinkTile(
        online=uplink.online,
        since=uplink.since_mono if known else None,
        why=uplink.why,
        broker=uplink.broker,
        waiting=sum(uplink.pending.values()),
        oldest_s=None if oldest is None else max(0.0, look.wall - oldest / 1000),
    )


def _first(look: Look, name: str) -> tuple[str, Point | None]:
    """Return the device that knows a point of the room best: a good value first, then a device that measures only."""
    having = [(device, look.points(device)[name]) for device in look.rooms() if name in look.points(device)]
    having.sort(key=lambda one: (one[1].reading.quality is not Quality.GOOD, _is_aircon(look, one[0])))
    return having[0] if having else ("", None)


def _number(point: Point | None) -> float | None:
    value = point.reading.value if point is not None else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(point: Point | None) -> str | None:
    value = point.reading.value if point is not None else None
    return value if isinstance(value, str) else None
