"""Where the figures were taken, and how they are put: medians, percentiles, bytes."""

import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path


def describe(directory: Path) -> str:
    """Name processor, kernel, Python, SQLite and the file system of `directory`, with the time of its fsync."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith(("model name", "Model"))
        ),
        platform.machine(),
    )
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Linux {platform.release()}"
    return (
        f"{cpu}, {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} of them busy with other work; {versions}; "
        f"{file_system(directory)}, write of 4 KiB + fdatasync {fsync_time(directory) * 1e3:.2f} ms (median)"
    )


def file_system(directory: Path) -> str:
    """Return the type of the file system that holds `directory`."""
    best = ("", "?")
    for line in _lines("/proc/mounts"):
        _, point, kind, *_ = line.split()
        if directory.resolve().is_relative_to(point) and len(point) > len(best[0]):
            best = (point, kind)
    return best[1]


def fsync_time(directory: Path, times: int = 50) -> float:
    """Return the median seconds of an appended page with fdatasync."""
    path = directory / "fsync-probe"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(took)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def bytes_written(pid: int | str = "self") -> int:
    """Return the bytes that a process has caused to be written to the storage layer (proc(5), `write_bytes`)."""
    fields = dict(line.split(": ") for line in _lines(f"/proc/{pid}/io"))
    return int(fields["write_bytes"])


def memory(pid: int | str = "self") -> int:
    """Return the resident set of a process in bytes."""
    return 1024 * next(int(line.split()[1]) for line in _lines(f"/proc/{pid}/status") if line.startswith("VmRSS"))


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
