"""What the work screen shows beside the overview: consumables, rounds, who is there, whether the station is open."""

from dataclasses import dataclass
from typing import Any

from edge_agent.alarms import CATALOGUE
from edge_agent.page.source import Source
from edge_agent.page.words import Bilingual, Said
from edge_agent.picture import Device, View
from edge_agent.records import Value


@dataclass(frozen=True, slots=True)
class Supply:
    """A consumable and its level in percent, None while nobody knows."""

    name: str
    label: Bilingual
    level: float | None


@dataclass(frozen=True, slots=True)
class Duty:
    """A round, whether it is overdue, and who did it last."""

    name: str
    label: Bilingual
    overdue: bool
    by: str


def stock(source: Source) -> dict[str, Any]:
    """Return what the template needs, by name."""
    view, config = source.picture.view, source.config
    levels = {one.name: _value(view, one.name, "level_pct") for one in config.consumable}
    return {
        "consumables": [
            Supply(one.name, one.label or Said(one.name, one.name), _number(levels[one.name]))
            for one in config.consumable
        ],
        "rounds": [
            Duty(
                one.name,
                one.label or Said(one.name, one.name),
                _value(view, one.name, "overdue") is True,
                str(_value(view, one.name, "done_by") or ""),
            )
            for one in config.round
        ],
        "staff": _value(view, "station", "staff"),
        "is_open": _value(view, "station", "open") is not False,
        "checklist": config.page.checklist,
        "alarm_codes": CATALOGUE.keys(),
    }


def _value(view: View, device: str, point: str) -> Value | None:
    found = view.devices.get(device, Device()).points.get(point)
    return None if found is None else found.reading.value


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None
