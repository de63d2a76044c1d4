"""Topic names of wire contract version 1: `<root>/v1/<region>/<district>/<station>/<class>/…`.

Fixed depth, so that `+` lines up over the whole fleet; one prefix a station, so that one rule gives rights.
"""

from dataclasses import dataclass

from edge_agent.journal.row import Row

CONTRACT = "v1"
GAP = "gap"
"""Type of the rows that declare a loss."""
CORRECTION = "clock_correction"
"""Type of the rows that date records afterwards."""
_PUBLISHED = frozenset({"status", "info", "state", "event", "alarm", "tele", "gap", "clock", "usage", "public", "cmd"})
"""Classes whose meaning is fixed: no reply may pose as one of them."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one station."""

    root: str
    region: str
    district: str
    station: str

    @property
    def base(self) -> str:
        """The station's own prefix, without a trailing slash."""
        return f"{self.root}/{CONTRACT}/{self.region}/{self.district}/{self.station}"

    def leaf(self, name: str) -> str:
        """A topic right below the station: `status`, `info`, `usage`, `clock`."""
        return f"{self.base}/{name}"

    def state(self, device: str) -> str:
        """Latest picture of one device."""
        return f"{self.base}/state/{device}"

    def event(self, device: str) -> str:
        """Usage-stream records of one device."""
        return f"{self.base}/event/{device}"

    def alarm(self, device: str, code: str) -> str:
        """Alarm-stream records of one (device, code)."""
        return f"{self.base}/alarm/{device}/{code}"

    def tele(self, device: str) -> str:
        """Telemetry batches of one device."""
        return f"{self.base}/tele/{device}"

    def gap(self, stream: str) -> str:
        """Declared losses of one stream."""
        return f"{self.base}/gap/{stream}"

    def of(self, row: Row) -> str:
        """Where a journal row is published."""
        if row.type == GAP:
            return self.gap(row.stream)
        if row.type == CORRECTION:
            return self.leaf("clock")
        if row.stream == "alarm":
            return self.alarm(row.device, row.type)
        return self.event(row.device) if row.stream == "usage" else self.tele(row.device)

    @property
    def commands(self) -> str:
        """Topic filter of everything that is asked of this station."""
        return f"{self.base}/cmd/#"

    def verb(self, topic: str) -> str | None:
        """Return what a command's topic asks for, `<device>/<name>`; None if it is no command."""
        prefix = f"{self.base}/cmd/"
        return topic.removeprefix(prefix) if topic.startswith(prefix) else None

    def reply(self, command: str) -> str:
        """Where the answer to the command of this id is published."""
        return f"{self.base}/reply/{command}"

    def may_answer_at(self, topic: str) -> bool:
        """True if a reply may go to this MQTT 5 response topic: our own prefix, but no class with a fixed meaning."""
        prefix = f"{self.base}/"
        rest = topic.removeprefix(prefix)
        wild = "+" in rest or "#" in rest or "\0" in rest
        return topic.startswith(prefix) and bool(rest) and not wild and rest.split("/")[0] not in _PUBLISHED
