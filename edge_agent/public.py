"""The public station card: what maps and apps may show to anybody. Pure; made of the live picture.

Nothing in it is about a person: whole degrees, counts of batteries, and what the station offers. A value that is not
known to be right at the moment is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.picture import Device, View
from edge_agent.records import Json, Quality, Value

_COMFORT = ((10.0, "cold"), (18.0, "cool"), (27.0, "comfortable"), (32.0, "warm"))
"""Below so many °C it is that; above the last, hot."""

_OFFERED = frozenset({"available", "degraded", "unavailable"})


@dataclass(frozen=True, slots=True)
class Card:
    """What of a station goes on its card; `temperature` is (device, point), `cabinets` are devices."""

    name: Mapping[str, str]
    place: Mapping[str, Json]
    temperature: tuple[str, str] | None
    cabinets: tuple[str, ...]


def public(card: Card, view: View) -> dict[str, Json]:
    """Return the card as it is now, without its time; `since_ms` (Unix milliseconds) is when it opened or closed."""
    said: dict[str, Json] = {"name": dict(card.name)}
    if card.place:
        said["place"] = dict(card.place)
    station = view.devices.get("station", Device())
    opened = _good(station, "open")
    if isinstance(opened, bool):
        said["open"] = opened
        since = _good(station, "open_since_ms")
        if isinstance(since, int):
            said["since_ms"] = since
    if card.temperature is not None:
        celsius = _good(view.devices.get(card.temperature[0], Device()), card.temperature[1])
        if isinstance(celsius, int | float):
            said["temperature_c"] = round(celsius)
            said["comfort"] = next((word for below, word in _COMFORT if celsius < below), "hot")
    batteries = [_good(view.devices.get(name, Device()), "batteries_available") for name in card.cabinets]
    known = [count for count in batteries if isinstance(count, int)]
    if known and len(known) == len(batteries):
        said["charged_batteries"] = sum(known)
    abilities = view.devices.get("abilities", Device())
    offered: dict[str, Json] = {
        name: str(value) for name in abilities.points if (value := _good(abilities, name)) in _OFFERED
    }
    if offered:
        said["abilities"] = offered
    return said


def _good(device: Device, point: str) -> Value | None:
    found = device.points.get(point)
    return found.reading.value if found is not None and found.reading.quality is Quality.GOOD else None
