"""What the public is told of the station."""

from edge_agent.config.maintenance import Point
from edge_agent.config.types import Id, Table


class Public(Table):
    """The public station card, for maps and apps: open or not, how warm, how many charged batteries; nobody's data."""

    enabled: bool = True
    """Publish it."""
    temperature: Point | None = None
    """Point that is the temperature of the room in °C, as DEVICE.POINT."""
    doors: tuple[Id, ...] = ()
    """Devices without which nobody comes in: while one does not answer, the station is told to be closed."""
