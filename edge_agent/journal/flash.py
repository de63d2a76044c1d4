"""What is written to the card: by this process, and by the whole machine to the journal's device.

Counted in hours of the station's running time and kept over restarts, so that a budget for a day means a day.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

_HOUR_MS = 3_600_000
_DAY_HOURS = 24
_SECTOR = 512
"""Bytes; /sys/dev/block/*/stat counts sectors of this size whatever the device has (kernel: block/stat.rst)."""
_SECTORS_WRITTEN = 6
"""Index of that column there."""


@dataclass(slots=True)
class Flash:
    """Bytes written; `hours` maps an hour of running time to what the process wrote in it."""

    directory: Path
    hours: dict[int, int] = field(default_factory=dict)
    proc: Path = Path("/proc/self/io")
    sys: Path = Path("/sys/dev/block")
    _before: int | None = None
    _device_before: int | None = None
    _device_hours: dict[int, int] = field(default_factory=dict)

    def measure(self, lived_ms: int) -> None:
        """Take what was written since the last call."""
        hour = lived_ms // _HOUR_MS
        now, device = self._own(), self._device()
        _add(self.hours, hour, self._before, now)
        _add(self._device_hours, hour, self._device_before, device)
        self._before, self._device_before = now, device

    def day(self) -> int:
        """Bytes that the agent wrote in the last 24 hours of running time."""
        return sum(self.hours.values())

    def device_day(self) -> int | None:
        """The same of everybody on the journal's device, since the agent runs; None if the kernel does not say."""
        return None if self._device_before is None else sum(self._device_hours.values())

    def _own(self) -> int | None:
        """`write_bytes` of /proc/self/io: what was handed to the device (proc(5))."""
        try:
            lines = self.proc.read_text(encoding="ascii").splitlines()
            fields = dict(line.split(": ") for line in lines)
            return int(fields["write_bytes"])
        except (OSError, ValueError, KeyError):
            return None

    def _device(self) -> int | None:
        try:
            number = self.directory.stat().st_dev
            stat = self.sys / f"{os.major(number)}:{os.minor(number)}" / "stat"
            return int(stat.read_text(encoding="ascii").split()[_SECTORS_WRITTEN]) * _SECTOR
        except (OSError, ValueError, IndexError):
            return None


def _add(hours: dict[int, int], hour: int, before: int | None, now: int | None) -> None:
    if before is not None and now is not None:
        hours[hour] = hours.get(hour, 0) + max(0, now - before)
    for old in [known for known in hours if known <= hour - _DAY_HOURS]:
        del hours[old]
