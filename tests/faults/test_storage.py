"""A card that fails, fills, slows down or turns read-only under a running agent: real system calls, real process."""

import contextlib
import errno
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.shim.process import Ground, ground
from tests.stations import wait_for

pytestmark = pytest.mark.needs("cc")

POLL_S = 1.0
"""The sensor is asked ten times a second; on a busy machine never later than this."""
WATCHDOG_S = 2.0
"""So long without a sign of life, and systemd would end the agent of these tests."""


def begin(ground: Ground, visits: int = 3) -> None:
    """See that all is well before the trouble starts."""
    ground.swipe(visits)
    ground.settle(visits)


def test_fsync_fails_once(shim: Path, tmp_path: Path) -> None:
    """A commit whose fsync failed is tried again under the same seq: the visit counts once, after a restart too."""
    with ground(shim, tmp_path) as it:
        with it.agent() as agent:
            begin(it)
            it.faults.fail_sync(times=1)
            it.swipe()
            wait_for(lambda: agent.view["trouble"], "trouble shown")
            it.settle(4)
            wait_for(lambda: not agent.view["trouble"], "trouble over")
            agent.kill()
        with it.agent():
            it.swipe()
            it.settle(5)


def test_killed_after_a_failed_fsync(shim: Path, tmp_path: Path) -> None:
    """The failed commit may have happened or not; after a kill it is there once or not at all, and all agrees."""
    with ground(shim, tmp_path) as it:
        with it.agent() as agent:
            begin(it)
            it.faults.fail_sync()
            it.swipe()
            wait_for(lambda: agent.view["trouble"], "trouble shown")
            assert agent.view["visits"] == 3
            agent.kill()
        it.faults.heal()
        with it.agent() as agent:
            it.settle_with_one_more(agent)
        assert it.visits_at_sink() in {4, 5}


def test_fsync_fails_for_ever(shim: Path, tmp_path: Path) -> None:
    """Nothing is accepted and that is said; sensors are still asked, and once the card is well all of it counts."""
    with ground(shim, tmp_path) as it, it.agent() as agent:
        begin(it)
        it.faults.fail_sync()
        began = time.monotonic()
        it.swipe(3)
        wait_for(lambda: agent.view["trouble"], "trouble shown")
        wait_for(lambda: it.faults.count("failures") >= 3, "three tries")
        assert agent.process.poll() is None
        assert agent.view["visits"] == 3
        assert it.visits_at_sink() == 3
        assert it.longest_pause(began) < POLL_S
        it.faults.heal()
        it.settle(6)
        wait_for(lambda: not agent.view["trouble"], "trouble over")


@pytest.mark.parametrize("delay", [0.3, 5.0])
def test_slow_fsync(shim: Path, tmp_path: Path, delay: float) -> None:
    """A slow card delays acceptance, never acquisition: sensors are asked in time, swipes count late."""
    with ground(shim, tmp_path) as it, it.agent() as agent:
        begin(it)
        it.faults.slow_sync(delay)
        began = time.monotonic()
        for _ in range(4):
            it.swipe()
        wait_for(lambda: agent.view["visits"] == 7, "late visits", within=30)
        assert time.monotonic() - began >= delay
        assert it.longest_pause(began) < POLL_S
        assert not agent.view["stuck"]
        signs = [at for at in agent.signs if at > began]
        assert signs or time.monotonic() - began < 1.0
        it.faults.heal()
        it.settle(7)


def test_an_fsync_that_outlasts_every_promise(shim: Path, tmp_path: Path) -> None:
    """A journal stuck for over 15 s ends the signs of life, though sensors are asked on; the kill costs nothing."""
    with ground(shim, tmp_path) as it:
        with it.agent() as agent:
            begin(it)
            it.faults.slow_sync(60.0)
            began = time.monotonic()
            it.swipe()
            wait_for(lambda: time.monotonic() - agent.signs[-1] > WATCHDOG_S, "the watchdog starved", within=30)
            assert time.monotonic() - began > 15.0
            assert it.longest_pause(began) < POLL_S
            assert agent.view["visits"] == 3
            # What systemd does now.
            agent.kill()
        it.faults.heal()
        with it.agent() as agent:
            it.settle_with_one_more(agent)
        assert it.visits_at_sink() in {4, 5}


def test_enospc(shim: Path, tmp_path: Path) -> None:
    """A full disk stops acceptance aloud; when there is room again, what had waited is accepted, once."""
    with ground(shim, tmp_path) as it, it.agent() as agent:
        begin(it)
        it.faults.refuse_writes(errno.ENOSPC)
        began = time.monotonic()
        it.swipe(3)
        wait_for(lambda: it.faults.count("failures") >= 2, "writes refused")
        assert agent.process.poll() is None
        assert it.longest_pause(began) < POLL_S
        it.faults.heal()
        it.settle(6)


def test_no_file_can_grow(shim: Path, tmp_path: Path) -> None:
    """A disk without a block to give costs no visit: the log of the transactions has its length already."""
    with ground(shim, tmp_path) as it, it.agent():
        begin(it)
        wal = tmp_path / "journal" / "journal.db-wal"
        wait_for(lambda: wal.stat().st_size >= 4 << 20, "the log at its full length")
        it.faults.limit_space(0)
        it.swipe(3)
        it.settle(6)


def test_read_only_file_system(shim: Path, tmp_path: Path) -> None:
    """A file system that has turned read-only is said so, with the reason; acquisition goes on and recovers."""
    with ground(shim, tmp_path) as it, it.agent() as agent:
        begin(it)
        it.faults.refuse_writes(errno.EROFS)
        began = time.monotonic()
        it.swipe(2)
        wait_for(lambda: agent.view["trouble"], "trouble shown")
        assert agent.view["visits"] == 3
        assert it.longest_pause(began) < POLL_S
        it.faults.heal()
        it.settle(5)


@pytest.mark.parametrize("space", [None, 0], ids=["read-only", "full"])
def test_start_without_a_writable_disk(shim: Path, tmp_path: Path, space: int | None) -> None:
    """The agent counts in memory and says so; the next start, on a disk that is well, goes on where the disk stood."""
    alarm = "alarm/station/journal_unwritable"
    with ground(shim, tmp_path) as it:
        with it.agent() as agent:
            begin(it)
            agent.stop()
        if space is None:
            it.faults.refuse_writes(errno.EROFS)
        else:
            it.faults.limit_space(space)
        with it.agent() as agent:
            it.swipe(2)
            wait_for(lambda: it.visits_at_sink() == 5, "counted in memory, told to the centre")
            wait_for(lambda: it.broker.last(alarm).get("state") == "raised", "said")
            agent.stop()
        it.faults.heal()
        with it.agent():
            it.swipe()
            wait_for(lambda: it.visits_at_sink() == 6, "visit")
            assert it.broker.last(alarm) == {}
            assert sum(row.type == "visit" for row in it.rows()) == 4


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own; left out aloud where the machine lets nobody mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"needs a machine that lets root mount a tmpfs: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_disk_filled_by_others(shim: Path, tmp_path: Path, small_disk: Path) -> None:
    """A disk that something else has filled costs no visit: the reserve takes them, and is back when there is room."""
    with ground(shim, tmp_path, journal=small_disk / "journal") as it, it.agent() as agent:
        begin(it)
        ballast = small_disk / "journal" / "journal.ballast"
        wait_for(ballast.exists, "reserve set aside")
        hog = small_disk / "hog"
        fill(hog)
        it.swipe(20)
        it.settle(23)
        wait_for(lambda: it.polls[-1] > time.monotonic() - POLL_S, "polled on")
        hog.unlink()
        it.swipe()
        it.settle(24)
        wait_for(ballast.exists, "reserve taken back")
        agent.stop()


def fill(path: Path) -> None:
    """Write until the file system is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
