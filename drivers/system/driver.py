"""The machine itself as a device: what would make it fail is told before it does.

What a machine does not tell is absent: a laptop has no throttling flags, an SD card no wear.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from drivers.system import codec
from drivers.system.simulator import SystemSimulator
from edge_agent.driver import (
    Alarm,
    DeviceError,
    Duration,
    Link,
    LinkTimeout,
    Options,
    Reading,
    Record,
    ReplyShape,
    Site,
    Wire,
)

_THERMAL = "/sys/class/thermal"
_HWMON = "/sys/class/hwmon"
_PROCESSORS = ("cpu", "x86_pkg", "soc")
"""Beginnings of the types of thermal zones that are the processor's."""
_THROTTLED = (
    "/sys/devices/platform/soc/soc:firmware/get_throttled",
    "/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
    "/sys/devices/platform/soc@0/soc@0:firmware/get_throttled",
)
"""Where kernels for different models of the Pi keep the throttling word."""
_TIMEOUT = 1.0


class SystemOptions(Options):
    """Keys of a `[[device]]` with `driver = "system"`."""

    disk: str = Field("/var/lib/edge-agent", pattern=r"^/")
    """A path on the file system to watch: the journal's directory."""
    storage: str = Field("mmcblk0", pattern=r"^[a-z0-9]+$")
    """Name below /sys/block of the storage whose wear is read where it tells."""
    clock_grace: Duration = Field(900.0, ge=0, le=86400)
    """The alarm `clock_bad` is raised when no time server has answered for so long."""


class System:
    """The machine the agent runs on."""

    Options: ClassVar[type[SystemOptions]] = SystemOptions
    Simulator: ClassVar[type[SystemSimulator]] = SystemSimulator
    wire: ClassVar[Wire] = Wire.HOST
    sensitive: ClassVar[bool] = False

    def __init__(self, options: SystemOptions, site: Site) -> None:
        del site
        self._options = options
        self._dipped: bool | None = None
        self._unsynced_since: float | None = None

    def poll(self, link: Link) -> Iterable[Record]:
        """Read everything once; an error only if nothing at all can be read."""
        uptime = codec.uptime(_read(link, "/proc/uptime"))
        if uptime is None:
            raise DeviceError("the machine tells nothing", op="read /proc/uptime", hint="is /proc mounted?")
        # Told with the rest, but no reason to tell: it changes always.
        yield Reading("uptime_s", uptime, change=86_400)
        yield Reading("cpu_temperature_c", _hottest(link), change=2.0)
        yield Reading("memory_free_mb", codec.available_mb(_read(link, "/proc/meminfo")), change=50)
        yield from self._supply(link)
        yield from self._storage(link)
        yield from self._network(link)
        yield from self._clock(link)

    def _supply(self, link: Link) -> Iterator[Record]:
        """Under-voltage now, or between the last two polls: that only the firmware's memory tells."""
        found = next((flags for path in _THROTTLED if (flags := codec.flags(_read(link, path)))), None)
        if found is None:
            low = _hwmon_low(link)
            if low is not None:
                yield from self._under_voltage(now=low, seen=low)
            return
        now, before = found
        yield Reading("throttled", now)
        yield Reading("throttled_since_boot", before)
        yield from self._under_voltage(now="under_voltage" in now, seen="under_voltage" in before)

    def _under_voltage(self, *, now: bool, seen: bool) -> Iterator[Record]:
        dipped = seen and self._dipped is False
        self._dipped = seen
        yield Reading("under_voltage", now, prompt=True)
        yield Alarm("undervoltage", now or dipped)

    def _storage(self, link: Link) -> Iterator[Record]:
        if room := codec.room(_ask(link, f"statfs {self._options.disk}")):
            yield Reading("disk_free_mb", room[0], change=100)
            yield Reading("disk_used_pct", room[1], change=1.0)
        wear = codec.wear_pct(_read(link, f"/sys/block/{self._options.storage}/device/life_time"))
        yield Reading("storage_wear_pct", wear)

    def _network(self, link: Link) -> Iterator[Record]:
        interface = codec.default_interface(_read(link, "/proc/net/route"))
        yield Reading("network", "down" if interface is None else "up")
        yield Reading("network_interface", interface)
        signal = codec.signal_dbm(_read(link, "/proc/net/wireless"), interface) if interface else None
        yield Reading("signal_dbm", signal, change=5)

    def _clock(self, link: Link) -> Iterator[Record]:
        state = _ask(link, "clock")
        if not state:
            return
        now = link.monotonic()
        if state == "synced":
            self._unsynced_since = None
        elif self._unsynced_since is None:
            self._unsynced_since = now
        yield Reading("clock", state)
        since = self._unsynced_since
        if since is None or now - since >= self._options.clock_grace:
            yield Alarm("clock_bad", since is not None)


def _hottest(link: Link) -> float | None:
    zones = [name for name in _ask(link, f"list {_THERMAL}").split() if name.startswith("thermal_zone")]
    temps = [
        codec.celsius(_read(link, f"{_THERMAL}/{zone}/temp"))
        for zone in zones
        if _read(link, f"{_THERMAL}/{zone}/type").lower().startswith(_PROCESSORS)
    ]
    return max((temp for temp in temps if temp is not None), default=None)


def _hwmon_low(link: Link) -> bool | None:
    """Return the under-voltage alarm of the kernel's own driver, None without one."""
    for name in _ask(link, f"list {_HWMON}").split():
        if _read(link, f"{_HWMON}/{name}/name").strip() == "rpi_volt":
            alarm = _read(link, f"{_HWMON}/{name}/in0_lcrit_alarm").strip()
            return alarm == "1" if alarm in {"0", "1"} else None
    return None


def _read(link: Link, path: str) -> str:
    return _ask(link, f"read {path}")


def _ask(link: Link, question: str) -> str:
    """Return the answer, "" where the machine has none: most machines lack some of these files."""
    shape = ReplyShape(("system", question), lambda data: data)
    try:
        return link.ask(question.encode(), reply=shape, within=_TIMEOUT).decode(errors="replace")
    except LinkTimeout:
        return ""
