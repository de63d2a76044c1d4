"""The machine the agent runs on, in figures: how long, how full, how hot, and whether its power holds.

Everything is read from the kernel's own files, and whatever a machine does not tell is None: a laptop has no throttling
flags, a container no temperature.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_READ_EVERY_S = 5.0
"""Reading costs a few file accesses; several phones looking at once must not multiply them."""
_THROTTLED = Path("sys/devices/platform/soc/soc:firmware/get_throttled")
_FLAGS = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
"""Bits of `vcgencmd get_throttled` (Raspberry Pi documentation, "The vcgencmd utility"): the state now. The same four
from bit 16 say that it has happened since boot."""
_SINCE_BOOT = 16


@dataclass(frozen=True, slots=True)
class Machine:
    """What was read; sizes in bytes, None where the machine does not say."""

    uptime_s: float | None = None
    """Seconds since the machine was switched on."""
    rss: int | None = None
    """Memory the agent itself holds."""
    memory_total: int | None = None
    memory_available: int | None = None
    disk_total: int | None = None
    disk_free: int | None = None
    """Room left for the agent on the file system of the journal."""
    cpu_c: float | None = None
    """Temperature of the processor, °C."""
    throttled: tuple[str, ...] | None = None
    """What the firmware limits now: `under_voltage`, `frequency_capped`, `throttled`, `soft_temperature_limit`."""
    throttled_before: tuple[str, ...] | None = None
    """The same, for any time since boot."""


class Probe:
    """Reads the machine, at most every 5 s; call it from any thread. `directory` is the journal's."""

    def __init__(self, directory: Path, *, root: Path = Path("/")) -> None:
        self._directory = directory
        self._root = root
        self._read_at = float("-inf")
        self._machine = Machine()

    def __call__(self) -> Machine:
        """Return the figures, 5 s old at most."""
        now = time.monotonic()
        if now - self._read_at >= _READ_EVERY_S:
            self._machine = self._read()
            self._read_at = now
        return self._machine

    def _read(self) -> Machine:
        memory = _kilobytes(self._text("proc/meminfo"))
        total, free = self._disk()
        now, before = self._throttling()
        return Machine(
            uptime_s=_number(self._text("proc/uptime").split()),
            rss=_kilobytes(self._text("proc/self/status")).get("VmRSS"),
            memory_total=memory.get("MemTotal"),
            memory_available=memory.get("MemAvailable"),
            disk_total=total,
            disk_free=free,
            cpu_c=self._temperature(),
            throttled=now,
            throttled_before=before,
        )

    def _text(self, path: Path | str) -> str:
        try:
            return (self._root / path).read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""

    def _disk(self) -> tuple[int | None, int | None]:
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return None, None
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def _temperature(self) -> float | None:
        """Return the hottest of the thermal zones that are the processor's; those give thousandths of °C."""
        zones = self._root.glob("sys/class/thermal/thermal_zone*")
        names = ("cpu", "x86_pkg", "soc")
        temps = [
            _number(self._text(zone / "temp").split())
            for zone in zones
            if self._text(zone / "type").lower().startswith(names)
        ]
        known = [temp / 1000 for temp in temps if temp is not None]
        return max(known, default=None)

    def _throttling(self) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        try:
            bits = int(self._text(_THROTTLED).strip(), 16)
        except ValueError:
            return None, None
        now = tuple(name for bit, name in _FLAGS.items() if bits >> bit & 1)
        before = tuple(name for bit, name in _FLAGS.items() if bits >> (bit + _SINCE_BOOT) & 1)
        return now, before


def _number(words: list[str]) -> float | None:
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return None


def _kilobytes(text: str) -> dict[str, int]:
    """Return the `Name:  123 kB` lines of a proc file in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words[1:] == ["kB"] and words[0].isdigit():
            found[name] = int(words[0]) * 1024
    return found
