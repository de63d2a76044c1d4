"""A sink that remembers alarms by what their topic names: device and code."""

from dataclasses import dataclass, field
from typing import Any

from edge_agent.demo.sink import Sink


@dataclass(slots=True)
class AlarmSink(Sink):
    """Everything a `Sink` is, and each alarm record once, by id."""

    alarms: dict[str, tuple[str, str, dict[str, Any]]] = field(default_factory=dict)
    """Record id -> device, code, body."""

    def take(self, topic: str, payload: bytes) -> None:
        """Note one message."""
        Sink.take(self, topic, payload)
        leaf = topic.split("/")[5:]
        if leaf[0] == "alarm" and payload and (body := self.last[topic]):
            self.alarms.setdefault(body["id"], (leaf[1], leaf[2], body))

    def states(self, device: str) -> list[tuple[str, str]]:
        """Return (code, raised or cleared) of every record of a device, in order of seq."""
        found = sorted(self.alarms.copy().values(), key=lambda entry: int(entry[2]["seq"]))
        return [(code, body["state"]) for name, code, body in found if name == device]
