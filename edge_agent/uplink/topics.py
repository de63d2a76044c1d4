"""Topic names of wire contract version 1: `<root>/v1/<region>/<district>/<station>/<class>/…`.

Fixed depth, so that `+` lines up over the whole fleet; one prefix a station, so that one rule gives rights.
"""

from dataclasses import dataclass

CONTRACT = "v1"


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
