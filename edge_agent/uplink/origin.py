"""Whether the journal is the one whose totals the broker still holds: asked once, on the way in.

The retained `usage` names the newest record that it counts, and is told only after that record was committed. So a
journal that ends before it was put back from a copy, side file and all, and its next numbers are taken at the centre.
A file can be put back only while the agent is down, hence one answer is enough.
"""

import json

from edge_agent.journal.reader import Reader
from edge_agent.uplink.connection import Connection, Received
from edge_agent.uplink.traffic import Sink

_ATTEMPTS = 3
"""Connections on which it is asked. A broker may end the connection of whoever asks without the right to, and must not
keep the station's records out by that for ever."""


class Origin:
    """Made when the uplink begins, before it has told any totals of its own."""

    def __init__(self, reader: Reader, topic: str, sink: Sink) -> None:
        self._reader = reader
        self._topic = topic
        self._sink = sink
        self._attempts = _ATTEMPTS
        self._asking = False
        self._epoch = max(reader.epochs())
        # What comes from now on proves nothing: a copy gives out the same numbers once more.
        self._held = reader.last_of("usage", self._epoch)

    def begin(self, connection: Connection) -> None:
        """Ask on a new connection, before anything is told on it; raises UplinkError if it is gone."""
        self._asking = self._attempts > 0
        if self._asking:
            self._attempts -= 1
            connection.subscribe(self._topic, retain_as_published=False)

    def hear(self, received: Received, connection: Connection) -> bool:
        """Return True if this is about `usage`; raises UplinkError if the connection is gone."""
        if received.topic != self._topic:
            return False
        if self._asking:
            self._asking = False
            self._attempts = 0
            connection.unsubscribe(self._topic)
            # What is not retained is our own: the broker held nothing.
            if received.retain and self._is_beyond(received.payload):
                self._sink.distrust("older than the broker knows")
        return True

    def _is_beyond(self, payload: bytes) -> bool:
        epochs = self._reader.epochs()
        name, seq = _upto(payload)
        return seq > self._held and self._epoch == max(epochs) and name == epochs[self._epoch]


def _upto(payload: bytes) -> tuple[str, int]:
    """Return epoch name and seq of the newest record counted; ("", 0) of what no station has written."""
    try:
        upto = json.loads(payload)["upto"]
        return str(upto["epoch"]), int(upto["seq"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return "", 0
