"""The battery-swap cabinet as it hangs on the wall: how many batteries can be had, and every slot."""

from dataclasses import dataclass

from edge_agent.page.look import Look
from edge_agent.page.words import Bilingual
from edge_agent.picture import Point
from edge_agent.records import Quality

STATES = ("unknown", "empty", "charging", "full", "idle", "fault")
"""States of a slot that the page has words for."""


@dataclass(frozen=True, slots=True)
class SlotBox:
    """One slot: `state` and `door` in the words of the cabinet's points, `soc` in percent."""

    number: int
    state: str
    door: str
    soc: int | None
    alarmed: bool
    stale: bool


@dataclass(frozen=True, slots=True)
class CabinetTile:
    """One cabinet: `available` of `total` batteries are charged and can be taken; None while nothing is known."""

    name: str
    label: Bilingual
    available: int | None
    total: int
    state: str
    at: float | None
    stale: bool
    slots: tuple[SlotBox, ...]


def cabinet_tiles(look: Look) -> tuple[CabinetTile, ...]:
    """Return every cabinet of the station file, with all of its slots even before anything has been heard."""
    tiles = []
    for cabinet in look.config.cabinet:
        points = look.points(cabinet.name)
        known = points.get("batteries_available")
        available = known.reading.value if known is not None else None
        tiles.append(
            CabinetTile(
                cabinet.name,
                look.label(cabinet.name),
                available if isinstance(available, int) else None,
                cabinet.slots,
                _text(points.get("state")),
                known.mono if known is not None else None,
                known is not None and not look.fresh(cabinet.name, known),
                tuple(_slot(look, name, number) for number, name in enumerate(cabinet.pictures[1:], start=1)),
            )
        )
    return tuple(tiles)


def _slot(look: Look, name: str, number: int) -> SlotBox:
    points = look.points(name)
    soc = points.get("soc_pct")
    value = soc.reading.value if soc is not None else None
    state = points.get("state")
    mine = {name, look.cabinets[name].wiring[number - 1].battery}
    word = _text(state)
    return SlotBox(
        number,
        word if word in STATES else "unknown",
        _text(points.get("door")),
        round(value) if isinstance(value, int | float) else None,
        any(device in mine for device, _ in look.view.alarms),
        stale=(state is not None and not look.fresh(name, state))
        or (soc is not None and soc.reading.quality is not Quality.GOOD),
    )


def _text(point: Point | None) -> str:
    value = point.reading.value if point is not None else None
    return value if isinstance(value, str) else "unknown"
