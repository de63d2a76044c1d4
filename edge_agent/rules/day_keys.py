"""Keys that live for a day: with one, cards can be told apart that day; without it nobody can, ever again.

The reference of a card lasts for as long as the operator's key does, so it is not stored with anything: what the
station must remember of a card (has it been here today, was it here ten seconds ago) it remembers under the day's key.
The keys are in a file of their own, in place, so that to overwrite it is to destroy them: what a database leaves in its
free pages and its log is then worth nothing. (A flash card may keep the old block for a while; see
docs/what-the-numbers-mean.md.)
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

FILE = "visitors.keys"
UNNAMED = "-"
"""Name of a key made while nobody knew which day it was; sorts before every date."""
_SLOTS = 4
_SLOT = 128
"""Bytes; smaller than any sector, so that a slot is written whole or not at all."""
_SECRET = 32
_SUM = 8


class DayKeys:
    """Used by the journal's thread only. Where the file cannot be written, keys last until the agent ends."""

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / FILE
        self._slots: list[tuple[str, bytes] | None] = [None] * _SLOTS
        with suppress(OSError):
            content = b"" if self._path is None else self._path.read_bytes()
            self._slots = [_parsed(content[at * _SLOT : (at + 1) * _SLOT]) for at in range(_SLOTS)]

    @property
    def days(self) -> list[str]:
        """Names of the days (ISO) whose keys are at hand, oldest first; `UNNAMED` comes before them."""
        return sorted(slot[0] for slot in self._slots if slot is not None)

    @property
    def newest(self) -> str:
        """The last of them, `UNNAMED` if there is none."""
        return max((slot[0] for slot in self._slots if slot is not None), default=UNNAMED)

    def visitor(self, day: str, card: str) -> str:
        """Return what stands for `card` on a day, 16 hex digits of HMAC-SHA256; makes a key if the day has none."""
        secret = next((slot[1] for slot in self._slots if slot is not None and slot[0] == day), None)
        if secret is None:
            secret = secrets.token_bytes(_SECRET)
            if None not in self._slots:
                self.destroy(self.days[0])
            self._write(self._slots.index(None), (day, secret))
        return hmac.digest(secret, card.encode(), "sha256").hex()[:16]

    def names(self, card: str) -> frozenset[str]:
        """Return what stands for `card` under each of the keys at hand."""
        return frozenset(self.visitor(day, card) for day in self.days)

    def rename(self, before: str, after: str) -> None:
        """Let the key of one day be that of another."""
        for index, slot in enumerate(self._slots):
            if slot is not None and slot[0] == before:
                self._write(index, (after, slot[1]))

    def destroy(self, day: str) -> None:
        """Overwrite the key of a day."""
        for index, slot in enumerate(self._slots):
            if slot is not None and slot[0] == day:
                self._write(index, None)

    def _write(self, index: int, slot: tuple[str, bytes] | None) -> None:
        self._slots[index] = slot
        if self._path is None:
            return
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, bytes(_SLOT) if slot is None else _stored(*slot), index * _SLOT)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _stored(day: str, secret: bytes) -> bytes:
    text = f"{day} {secret.hex()}".encode()
    return (hashlib.sha256(text).hexdigest()[:_SUM].encode() + text).ljust(_SLOT)


def _parsed(slot: bytes) -> tuple[str, bytes] | None:
    """Undo `_stored`; None for an empty slot or one cut short."""
    text = slot[_SUM:].rstrip()
    if slot[:_SUM] != hashlib.sha256(text).hexdigest()[:_SUM].encode():
        return None
    day, _, secret = text.decode().partition(" ")
    return day, bytes.fromhex(secret)
