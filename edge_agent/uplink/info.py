"""Who the station is and what it consists of: the message `info` of the wire contract."""

import platform
from collections.abc import Mapping

from edge_agent import __version__
from edge_agent.config.device import Device
from edge_agent.config.model import Config
from edge_agent.picture import Picture
from edge_agent.uplink.payloads import MAX_PAYLOAD
from edge_agent.uplink.topics import CONTRACT
from edge_agent.wire_json import dumps


class Info:
    """Call it for the message; what the devices have told so far is part of it."""

    def __init__(self, config: Config, picture: Picture) -> None:
        self._config = config
        # Once: making it takes longer than all the rest, and `info` is made every minute.
        self._hash = config.hash
        self._picture = picture
        self._points: dict[str, frozenset[str]] = {}

    def __call__(self) -> Mapping[str, object]:
        """Return the message as JSON types."""
        station = self._config.station
        said: dict[str, object] = {
            "contract": CONTRACT,
            "station": station.id,
            "name": station.name.model_dump(),
            "region": station.region,
            "district": station.district,
            "timezone": station.timezone,
            "place": station.place.model_dump(exclude_none=True) if station.place else {},
            "devices": [_device(device) | {"points": self._known(device)} for device in self._config.device],
            "cabinets": [{"device": cabinet.name, "slots": cabinet.slots} for cabinet in self._config.cabinet],
            "versions": {"agent": __version__, "python": platform.python_version()},
            "config": self._hash,
        }
        if len(dumps(said).encode()) > MAX_PAYLOAD:
            # A station of very many points leaves their names out rather than say nothing.
            said["devices"] = [_device(device) for device in self._config.device]
        return said

    def _known(self, device: Device) -> list[str]:
        """Return the points a device has by its options, and those it has told since the start: a battery may leave."""
        picture = self._picture.view.devices.get(device.name)
        before = self._points.get(device.name, device.options.known_points or frozenset())
        self._points[device.name] = before.union(picture.points if picture else ())
        return sorted(self._points[device.name])


def _device(device: Device) -> dict[str, object]:
    label = device.label.model_dump() if device.label else {}
    return {"device": device.name, "driver": device.driver, "link": device.link, "label": label}
