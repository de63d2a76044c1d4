"""A station file before it is known to be right: its elements one by one, for the checks between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from edge_agent.config.abilities import Ability
from edge_agent.config.alarms import AlarmRule
from edge_agent.config.cabinet import Cabinet
from edge_agent.config.climate import Climate
from edge_agent.config.condition import Point
from edge_agent.config.device import RESERVED, Device
from edge_agent.config.links import Link
from edge_agent.config.messages import suggest
from edge_agent.config.positions import Path
from edge_agent.config.reflexes import Reflex
from edge_agent.config.tree import Tree
from edge_agent.driver import DriverClass

Found: TypeAlias = Iterator[tuple[Path, str]]
"""Path of the key and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The elements of a station file that are right by themselves, by their index, and all names as written."""

    tree: Tree
    drivers: Mapping[str, DriverClass]
    links: dict[int, Link]
    devices: dict[int, Device]
    cabinets: dict[int, Cabinet]
    climates: dict[int, Climate]
    alarms: dict[int, AlarmRule]
    reflexes: dict[int, Reflex]
    abilities: dict[int, Ability]

    @classmethod
    def of(cls, tree: Tree, drivers: Mapping[str, DriverClass]) -> "Draft":
        """Validate each element alone."""
        context = {"drivers": drivers}
        return cls(
            tree,
            drivers,
            _right(TypeAdapter(Link), tree.get("link"), context),
            _right(TypeAdapter(Device), tree.get("device"), context),
            _right(TypeAdapter(Cabinet), tree.get("cabinet"), context),
            _right(TypeAdapter(Climate), tree.get("climate"), context),
            _right(TypeAdapter(AlarmRule), tree.get("alarm"), context),
            _right(TypeAdapter(Reflex), tree.get("reflex"), context),
            _right(TypeAdapter(Ability), tree.get("ability"), context),
        )

    def names(self, table: str) -> list[tuple[int, str]]:
        """Return (index, name) of every element of a list of tables, right or wrong."""
        elements = self.tree.get(table)
        if not isinstance(elements, list):
            return []
        return [
            (index, element["name"])
            for index, element in enumerate(elements)
            if isinstance(element, Tree) and isinstance(element.get("name"), str)
        ]

    def unknown(self, point: Point) -> str | None:
        """Return why there is no such point, None if there may be: many a device tells only itself what it has."""
        device, name = point
        pictures = {picture for cabinet in self.cabinets.values() for picture in cabinet.pictures}
        named = {found for _, found in self.names("device")} | pictures
        if device not in named | RESERVED:
            return f"there is no device {device!r}{suggest(device, named)}"
        for found in self.devices.values():
            known = found.options.known_points if found.name == device else None
            if known is not None and name not in known | ({"running"} if found.use is not None else set()):
                return f"{device!r} has no point {name!r}{suggest(name, set(known))}"
        return None


def _right(adapter: TypeAdapter[Any], elements: Any, context: dict[str, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for index, element in enumerate(elements if isinstance(elements, list) else ()):
        try:
            found[index] = adapter.validate_python(element, context=context)
        except ValidationError:
            continue
    return found
