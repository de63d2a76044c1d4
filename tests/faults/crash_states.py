"""What a medium may hold after a power cut, rebuilt from the recorded system calls of one process.

The model is a journalling file system on a disk that honours flush: what was written to a file before its last fsync is
there; each write since then is there or not, 512-byte sector by sector, in any order; names (create, rename, unlink,
mkdir, rmdir) follow in their order, and only those before the last fsync of a directory, or of the new file, are sure.
"""

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.shim.shim import Operation

SECTOR = 512


@dataclass(slots=True)
class _File:
    sure: bytearray = field(default_factory=bytearray)
    now: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)


class Medium:
    """The state of one directory while `apply` goes through its operations."""

    def __init__(self, directory: Path) -> None:
        """Begin with what `directory` holds now, taken as durable; the operations to come must be of this path."""
        self._root = directory.resolve()
        self._files: dict[int, _File] = {}
        self._numbers: dict[int, int] = {}
        self._sure_names: dict[str, int | None] = {}
        self._pending_names: list[tuple[Operation, int]] = []
        self.changed = False
        """Whether the last `apply` changed what a process that dies would leave behind."""
        for path in sorted(self._root.rglob("*")):
            name = str(path.relative_to(self._root))
            if path.is_dir():
                self._sure_names[name] = None
            elif not name.endswith("-shm"):
                content = path.read_bytes()
                number = self._new_file(path.stat().st_ino)
                self._files[number] = _File(bytearray(content), bytearray(content))
                self._sure_names[name] = number

    def apply(self, operation: Operation) -> None:
        """Let the next recorded operation happen."""
        self.changed = operation.kind not in "SD!"
        if operation.kind in "WTS":
            self._file_operation(operation)
        elif operation.kind == "D":
            self._names_are_sure(len(self._pending_names))
        elif operation.kind != "!":
            number = self._new_file(operation.inode) if operation.kind == "C" else 0
            self._pending_names.append((operation, number))

    def after_kill(self, target: Path) -> None:
        """Rebuild what a killed process leaves: everything that the kernel was told."""
        names = self._names(len(self._pending_names))
        _build(target, names, {number: bytes(file.now) for number, file in self._files.items()})

    def after_power_cut(self, target: Path, rng: random.Random) -> None:
        """Rebuild one of the states that a power cut may leave, chosen by `rng`."""
        names = self._names(rng.randint(0, len(self._pending_names)))
        _build(target, names, {number: _torn(file, rng) for number, file in self._files.items()})

    def _new_file(self, inode: int) -> int:
        """Inode numbers are used again after an unlink: each life of one is a file of its own."""
        number = len(self._files) + 1
        self._numbers[inode] = number
        self._files[number] = _File()
        return number

    def _file_operation(self, operation: Operation) -> None:
        number = self._numbers[operation.inode]
        file = self._files[number]
        if operation.kind == "S":
            file.sure = bytearray(file.now)
            file.pending.clear()
            born = [i for i, (_, created) in enumerate(self._pending_names) if created == number]
            if born:
                self._names_are_sure(born[-1] + 1)
            return
        _write(file.now, operation)
        file.pending.append(operation)

    def _names_are_sure(self, count: int) -> None:
        self._sure_names = self._names(count)
        del self._pending_names[:count]

    def _names(self, count: int) -> dict[str, int | None]:
        names = dict(self._sure_names)
        for operation, number in self._pending_names[:count]:
            paths = [self._relative(text) for text in operation.text.split("\n")]
            if operation.kind == "C":
                names[paths[0]] = number
            elif operation.kind == "M":
                names[paths[0]] = None
            elif operation.kind in "UX":
                names.pop(paths[0], None)
            else:
                before, after = paths
                moved = {
                    name: names.pop(name) for name in list(names) if name == before or name.startswith(f"{before}/")
                }
                names |= {after + name.removeprefix(before): file for name, file in moved.items()}
        return names

    def _relative(self, text: str) -> str:
        return os.path.relpath(text, self._root)


def _write(content: bytearray, operation: Operation) -> None:
    if operation.kind == "T":
        del content[operation.offset :]
        content.extend(bytes(operation.offset - len(content)))
        return
    _put(content, operation.offset, operation.data)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


def _torn(file: _File, rng: random.Random) -> bytes:
    """Return the file with some of the writes since its last fsync."""
    pending = file.pending
    if not pending:
        return bytes(file.sure)
    how = rng.choice(("none", "some", "some shuffled", "sectors", "torn tail"))
    if how == "none":
        return bytes(file.sure)
    content = bytearray(file.sure)
    if how == "torn tail":
        *whole, last = pending[: rng.randint(1, len(pending))]
        for operation in whole:
            _write(content, operation)
        _write_sectors(content, last, rng, 0.5)
        return bytes(content)
    chosen = [operation for operation in pending if rng.random() < 0.6]
    if how == "some shuffled":
        rng.shuffle(chosen)
    for operation in chosen:
        if how == "sectors":
            _write_sectors(content, operation, rng, 0.7)
        else:
            _write(content, operation)
    return bytes(content)


def _write_sectors(content: bytearray, operation: Operation, rng: random.Random, probability: float) -> None:
    """Let each sector of a write arrive or not; the length of the file may have grown without its data."""
    if operation.kind == "T":
        _write(content, operation)
        return
    end = operation.offset + len(operation.data)
    if rng.random() < 0.5:
        content.extend(bytes(max(0, end - len(content))))
    at = operation.offset
    while at < end:
        stop = min(end, at - at % SECTOR + SECTOR)
        if rng.random() < probability:
            _put(content, at, operation.data[at - operation.offset : stop - operation.offset])
        at = stop


def _build(target: Path, names: dict[str, int | None], contents: dict[int, bytes]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for name, number in sorted(names.items()):
        path = target / name
        if name == ".":
            continue
        if number is None:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif path.parent.is_dir():
            path.write_bytes(contents[number])
