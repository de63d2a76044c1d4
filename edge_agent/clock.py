"""Time as the agent sees it: a monotonic clock that orders, a wall clock that may lie, and how far to trust it.

A station has no battery clock: after a power cut the wall clock may show 1970 or repeat yesterday until NTP
answers. So every record carries boot id + monotonic time + wall time + whether the wall clock was known good.
"""

import ctypes
import math
import time
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STA_UNSYNC = 0x0040
"""adjtimex(2) `status` bit: the clock is not synchronised, whichever NTP daemon runs."""


class Clock(Protocol):
    """What the agent needs to know of time; seconds as float throughout."""

    boot_id: str
    """Identifies one run of the kernel; monotonic times compare only within it."""

    def monotonic(self) -> float:
        """Seconds that never step back within one boot."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC as the kernel believes."""

    def good(self) -> bool:
        """True if the kernel's clock is disciplined by NTP."""


class _Timex(ctypes.Structure):
    """Head of `struct timex` (adjtimex(2)); the tail is padding large enough for every kernel."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_byte * 256),
    )


_WORD_HOLDS_S = 0.1
"""Each event asks several times; the kernel itself looks at its own clock once a second."""


class SystemClock:
    """The kernel's clocks; `libc` is the C library that is asked."""

    def __init__(self, *, boot_id: Path = _BOOT_ID, libc: object | None = None) -> None:
        try:
            self.boot_id = boot_id.read_text(encoding="ascii").strip()
        except OSError:
            # Without /proc (not Linux) one start of the agent counts as one boot: safe, only less is comparable.
            self.boot_id = f"start-{time.time_ns()}"
        self._adjtimex = getattr(ctypes.CDLL(None, use_errno=True) if libc is None else libc, "adjtimex", None)
        self._said: tuple[float, bool] = (-math.inf, False)
        """The kernel's last word, and when it was heard."""

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """CLOCK_REALTIME, seconds."""
        return time.time()

    def good(self) -> bool:
        """Ask adjtimex(2), read-only: it answers for chrony, ntpd and systemd-timesyncd alike."""
        now = time.monotonic()
        heard, said = self._said
        if now - heard < _WORD_HOLDS_S:
            return said
        timex = _Timex()
        good = self._adjtimex is not None and self._adjtimex(ctypes.byref(timex)) >= 0
        good = good and not timex.status & _STA_UNSYNC
        self._said = (now, good)
        return good


class FakeClock:
    """A clock that moves only when told: 24 hours of station time take as long as the work in them."""

    def __init__(self, *, wall: float = 1_780_000_000.0, monotonic: float = 1000.0, good: bool = True) -> None:
        self.boot_id = "00000000-0000-4000-8000-000000000001"
        self._wall = wall
        self._monotonic = monotonic
        self._good = good

    def monotonic(self) -> float:
        """Fake seconds since boot."""
        return self._monotonic

    def wall(self) -> float:
        """Fake Unix seconds."""
        return self._wall

    def good(self) -> bool:
        """As set by `set_wall`."""
        return self._good

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        self._monotonic += seconds
        self._wall += seconds

    def set_wall(self, wall: float, *, good: bool = True) -> None:
        """Step the wall clock as NTP, an operator or a dead battery does."""
        self._wall = wall
        self._good = good

    def reboot(self, boot_id: str, *, monotonic: float = 5.0) -> None:
        """Start a new boot: the monotonic clock begins again."""
        self.boot_id = boot_id
        self._monotonic = monotonic
