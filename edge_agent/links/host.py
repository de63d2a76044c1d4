"""The machine itself as a wire: the questions are text, the answers are what its kernel tells.

| question | answer |
|---|---|
| `read PATH` | the file's content, 64 kB of it at most |
| `list PATH` | the names in the directory, sorted, one a line |
| `statfs PATH` | size and free bytes of the file system that holds PATH, two numbers |
| `clock` | `synced` or `unsynced` |

So drivers for what is inside the machine do no I/O of their own either, and are tried with simulators like all others.
"""

import os
from collections.abc import Callable
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.driver import LinkError, LinkTimeout
from edge_agent.links.asked import AskedLink

_MAX_FILE = 65_536


class HostLink(AskedLink):
    """The machine's own files below `root`; a file that cannot be read is a timeout, as an absent device is."""

    def __init__(self, name: str, clock: Clock, root: Path = Path("/")) -> None:
        super().__init__(name, clock)
        self._root = root
        self._verbs: dict[str, Callable[[Path], str]] = {"read": _read, "list": _list, "statfs": _statfs}

    def _exchange(self, request: bytes, size: int, within: float) -> bytes:
        del size, within
        verb, _, path = request.decode(errors="replace").partition(" ")
        if verb == "clock":
            return b"synced" if self._clock.good() else b"unsynced"
        if verb not in self._verbs:
            raise LinkError(f"{self.name} does not know the question {verb!r}")
        try:
            return self._verbs[verb](self._root / path.lstrip("/")).encode(errors="replace")
        except OSError as error:
            raise LinkTimeout(f"{path} cannot be read: {error.strerror}") from error


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MAX_FILE).decode(errors="replace")


def _list(path: Path) -> str:
    return "".join(f"{name}\n" for name in sorted(entry.name for entry in path.iterdir()))


def _statfs(path: Path) -> str:
    found = os.statvfs(path)
    return f"{found.f_blocks * found.f_frsize} {found.f_bavail * found.f_frsize}"
