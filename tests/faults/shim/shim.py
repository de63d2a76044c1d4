"""Builds and steers the LD_PRELOAD shim `faults.c`: real system calls that fail, wait, or are recorded."""

import ctypes
import errno
import mmap
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ALWAYS = -1
_FIELDS = (
    "sync_errno", "sync_times", "sync_delay_us", "space", "write_errno", "syncs", "writes", "bytes", "failures",
)  # fmt: skip
_HEAD = struct.Struct("=cQqI")
_INT = struct.Struct("=q")


def build(directory: Path) -> Path:
    """Compile the shim into `directory`."""
    target = directory / "faults.so"
    source = Path(__file__).with_name("faults.c")
    flags = ["-std=gnu11", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", str(target), str(source), "-ldl", "-lpthread"], check=True)
    return target


class Faults:
    """The control of one shim: `environment` for the process under test, the rest while it runs."""

    def __init__(self, shim: Path, directory: Path, control: Path, record: Path | None = None) -> None:
        self._shim = shim
        self._directory = directory.resolve()
        self._path = control
        self._record = record
        self._path.write_bytes(_INT.pack(0) * len(_FIELDS))
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._set(space=-1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process under these faults."""
        found = {
            **os.environ,
            "LD_PRELOAD": str(self._shim),
            "FAULTS_DIR": str(self._directory),
            "FAULTS_CONTROL": str(self._path),
        }
        return found | ({"FAULTS_RECORD": str(self._record)} if self._record else {})

    def fail_sync(self, number: int = errno.EIO, *, times: int = ALWAYS) -> None:
        """Let the next `times` fsyncs fail."""
        self._set(sync_times=times, sync_errno=number)

    def slow_sync(self, seconds: float) -> None:
        """Let each fsync take so much longer."""
        self._set(sync_delay_us=round(seconds * 1e6))

    def limit_space(self, bytes_left: int) -> None:
        """Let files grow by so many bytes; then ENOSPC."""
        self._set(space=bytes_left)

    def refuse_writes(self, number: int = errno.EROFS) -> None:
        """Let every change of a file or a name fail."""
        self._set(write_errno=number)

    def heal(self) -> None:
        """All is well again."""
        self._set(sync_errno=0, sync_delay_us=0, space=-1, write_errno=0)

    def count(self, field: str) -> int:
        """Return `syncs`, `writes`, `bytes` or `failures` so far."""
        found: int = _INT.unpack_from(self._map, _FIELDS.index(field) * _INT.size)[0]
        return found

    def _set(self, **values: int) -> None:
        for name, value in values.items():
            _INT.pack_into(self._map, _FIELDS.index(name) * _INT.size, value)


@dataclass(frozen=True, slots=True)
class Operation:
    """One recorded operation.

    `kind`: W write `data` at `offset`, T truncate to `offset`, S fsync of a file, D of a directory, C create `text`,
    U unlink, M mkdir, X rmdir, R rename (two paths, a line each), ! mark.
    """

    kind: str
    inode: int = 0
    offset: int = 0
    data: bytes = b""

    @property
    def text(self) -> str:
        """Path, paths or mark."""
        return self.data.decode()


def operations(record: Path) -> Iterator[Operation]:
    """Read what the shim recorded."""
    raw = record.read_bytes()
    at = 0
    while at < len(raw):
        kind, inode, offset, length = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        yield Operation(kind.decode(), inode, offset, raw[at : at + length])
        at += length


def mark(text: str) -> None:
    """Inside a process under the shim: note in its record that `text` is true from here on."""
    ctypes.CDLL(None).faults_mark(text.encode())
