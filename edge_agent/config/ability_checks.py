"""What the tables about abilities, comfort and outages say of the rest of a station file."""

from collections.abc import Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.config.abilities import Comfort, Outages
from edge_agent.config.condition import Point
from edge_agent.config.draft import Draft, Found
from edge_agent.config.positions import Path

_Model = TypeVar("_Model", bound=BaseModel)


def abilities_known(draft: Draft) -> Found:
    """Find points that do not exist, at the key that asks for them."""
    for path, point in _asked(draft):
        if (text := draft.unknown(point)) is not None:
            yield path, f"{path[-1]}: {text}"


def _asked(draft: Draft) -> Iterator[tuple[Path, Point]]:
    for index, ability in draft.abilities.items():
        for key, point in ability.asked:
            yield ("ability", index, key), point
    outages, comfort = _table(Outages, "outages", draft), _table(Comfort, "comfort", draft)
    if outages is not None and outages.mains is not None:
        for point in sorted(outages.mains.points):
            yield ("outages", "mains"), point
    if comfort is not None and comfort.point is not None:
        yield ("comfort", "room"), comfort.point


def _table(model: type[_Model], name: str, draft: Draft) -> _Model | None:
    """Return one table if it is right by itself."""
    try:
        return model.model_validate(draft.tree.get(name, {}))
    except ValidationError:
        return None
