"""A small copy of what a damaged or exchanged journal could not say about itself: `journal.head` beside it.

It holds the names of the epochs, the newest seqs, the lifetime totals and the time, as of about a minute ago. Two slots
are written in turn, in place and without fsync: the card takes one page a minute, and a torn write costs one slot. It
is always older than a healthy journal; a journal older than its head has been put back from a copy.
"""

import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.wire_json import fields_of

FILE = "journal.head"
_SLOT = 4096
_CRC_DIGITS = 8
_EPOCHS = 32
"""Names of the newest epochs that fit into a slot beside everything else."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known apart from the journal itself."""

    number: int = 0
    """Counts the writes: the valid slot with the higher number holds."""
    epochs: dict[int, str] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    """Stream -> newest seq of the newest epoch."""
    lifetime: dict[str, int] = field(default_factory=dict)
    wall_ms: int = 0
    """The latest time that a good clock has shown."""
    written: dict[int, int] = field(default_factory=dict)
    """Hour of the station's running time -> bytes that the agent wrote."""


def load(directory: Path) -> Head:
    """Return the newest valid slot; an empty Head if there is none."""
    try:
        content = (directory / FILE).read_bytes()
    except OSError:
        return Head()
    slots = (_parse(content[at : at + _SLOT]) for at in range(0, len(content), _SLOT))
    return max((head for head in slots if head is not None), key=lambda head: head.number, default=Head())


def save(directory: Path, head: Head) -> None:
    """Write `head` into the slot that holds the older one; failing is harmless and says nothing."""
    kept = dict(sorted(head.epochs.items())[-_EPOCHS:])
    text = json.dumps({**fields_of(head), "epochs": kept}, separators=(",", ":")).encode()
    if len(text) + _CRC_DIGITS > _SLOT:
        return
    slot = (f"{zlib.crc32(text):0{_CRC_DIGITS}x}".encode() + text).ljust(_SLOT, b"\n")
    with suppress(OSError):
        descriptor = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, slot, head.number % 2 * _SLOT)
        finally:
            os.close(descriptor)


def _parse(slot: bytes) -> Head | None:
    crc, text = slot[:_CRC_DIGITS], slot[_CRC_DIGITS:].rstrip(b"\n")
    if crc != f"{zlib.crc32(text):0{_CRC_DIGITS}x}".encode():
        return None
    try:
        fields = json.loads(text)
        for key in ("epochs", "written"):
            fields[key] = {int(number): value for number, value in fields[key].items()}
        return Head(**fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        # The checksum is right, so another version wrote it: what it says cannot be used here.
        return None
