"""Time as the agent sees it."""

import os
import re

from edge_agent.clock import FakeClock, SystemClock


def test_the_fake_clock_moves_only_when_told() -> None:
    """Both clocks advance together; the wall alone can be stepped; a reboot begins a new monotonic clock."""
    clock = FakeClock(wall=100.0, monotonic=10.0, good=False)
    clock.advance(5.0)
    assert (clock.wall(), clock.monotonic(), clock.good()) == (105.0, 15.0, False)
    clock.set_wall(1000.0)
    assert (clock.wall(), clock.monotonic(), clock.good()) == (1000.0, 15.0, True)
    clock.set_wall(1000.0, good=False)
    assert not clock.good()
    clock.reboot("other")
    assert (clock.boot_id, clock.monotonic(), clock.wall()) == ("other", 5.0, 1000.0)


def test_the_systems_clock() -> None:
    """The kernel's boot id, a clock that never goes back, and a word about its quality."""
    clock = SystemClock()
    assert re.fullmatch(r"[0-9a-f-]{36}|start-\d+", clock.boot_id)
    assert clock.boot_id == SystemClock().boot_id or not os.path.exists("/proc")  # noqa: PTH110
    assert 0 < clock.monotonic() <= clock.monotonic()
    assert clock.wall() > 1_500_000_000
    assert clock.good() in {True, False}


def test_a_system_that_cannot_say() -> None:
    """Without a boot id every start counts as a boot of its own; without adjtimex no clock is good."""
    from pathlib import Path  # noqa: PLC0415

    clock = SystemClock(boot_id=Path("/nowhere/boot_id"), libc=object())
    assert clock.boot_id.startswith("start-")
    assert not clock.good()


def test_what_the_kernel_says_decides() -> None:
    """Only adjtimex's STA_UNSYNC counts; an error is no good clock."""

    class Libc:
        """Answers as the kernel does: the status is the sixth field of struct timex."""

        def __init__(self, result: int, status: int) -> None:
            self.result = result
            self.status = status

        def adjtimex(self, timex: object) -> int:
            """Fill in the status."""
            timex._obj.status = self.status  # type: ignore[attr-defined]
            return self.result

    clock = SystemClock(libc=Libc(0, 0x2001))
    assert clock.good()
    assert clock.good()
    assert not SystemClock(libc=Libc(5, 0x0040)).good()
    assert not SystemClock(libc=Libc(-1, 0)).good()
