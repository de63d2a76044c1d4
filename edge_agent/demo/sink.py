"""What arrived at the broker: every record id once, and how often one came again."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Sink:
    """Counts records by id; `take` is called for each message, from the broker's thread."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    duplicates: int = 0
    conflicting: int = 0
    messages: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    """Newest payload by topic."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, topic: str, payload: bytes) -> None:
        """Note one message."""
        body = json.loads(payload) if payload else {}
        with self._lock:
            self.messages += 1
            self.last[topic] = body
            station = topic.split("/")[4]
            for sample in body.get("samples", ()):
                self._record(f"{station}/{body['epoch']}/tele/{sample['seq']}", sample)
            if "epoch" in body and "id" in body:  # a reply has an id, too, but is no record
                self._record(body["id"], body)

    def _record(self, name: str, body: dict[str, Any]) -> None:
        content = {key: value for key, value in body.items() if key not in {"late", "ts", "clock"}}
        before = self.records.get(name)
        if before is None:
            self.records[name] = content
            return
        self.duplicates += 1
        self.conflicting += before != content

    def of(self, stream: str) -> dict[str, dict[str, Any]]:
        """Return id -> content of one stream's records."""
        with self._lock:
            return {name: body for name, body in self.records.items() if name.split("/")[2] == stream}
