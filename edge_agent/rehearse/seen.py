"""What the journal has taken, read row by row while it is played: what the centre has leaves the journal in time."""

import json
from collections import Counter
from collections.abc import Iterator

from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS

OUTAGES = ("outage", "uplink_outage", "mains_outage")
_PAGE = 500


class Seen:
    """Everything that was ever accepted, as far as a result needs it."""

    def __init__(self) -> None:
        self.records: Counter[str] = Counter()
        """Stream -> rows."""
        self.raised: Counter[str] = Counter()
        """Alarms, as DEVICE/CODE."""
        self.cleared: Counter[str] = Counter()
        self.active: dict[str, bool] = {}
        self.swaps: list[Row] = []
        self.visitors: dict[str, int] = {}
        """Business day -> different cards, as its newest record says."""
        self.gaps: list[Row] = []
        self.outages: list[Row] = []
        self._after: dict[str, tuple[int, int]] = dict.fromkeys(STREAMS, (0, 0))

    def look(self, reader: Reader) -> Iterator[Row]:
        """Take what is new in the journal, and yield it."""
        for stream in STREAMS:
            while rows := reader.rows(stream, self._after[stream], _PAGE):
                self._after[stream] = (rows[-1].epoch, rows[-1].seq)
                self.records[stream] += len(rows)
                for row in rows:
                    self._take(row)
                    yield row

    def _take(self, row: Row) -> None:
        if row.type == "gap":
            self.gaps.append(row)
        elif row.type == "swap":
            self.swaps.append(row)
        elif row.type == "day_closed":
            body = json.loads(row.body)
            if "unique_visitors" in body:
                self.visitors[body["day"]] = body["unique_visitors"]
        elif row.type in OUTAGES:
            self.outages.append(row)
        elif row.stream == "alarm" and row.type != "clock_correction":
            name, body = f"{row.device}/{row.type}", json.loads(row.body)
            # Each record is the alarm's whole state, told again when anything of it changes.
            self.raised[name] = max(self.raised[name], body["count"])
            self.cleared[name] += body["state"] == "cleared"
            self.active[name] = body["state"] != "cleared"
