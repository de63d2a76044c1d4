"""Opening the journal, always: a damaged file is set aside, what can be read is carried over, the loss is declared."""

import hashlib
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from edge_agent.errors import JournalDamaged, JournalError, JournalFull
from edge_agent.journal.file import BALLAST, FILE, SUSPECT, Connect, connect, fault, hold, wrap
from edge_agent.journal.head import Head, load
from edge_agent.journal.journal import Journal
from edge_agent.journal.missing import END_OF_EPOCH, Missing
from edge_agent.journal.salvage import Salvage
from edge_agent.journal.schema import STREAMS
from edge_agent.journal.seed import seed

log = logging.getLogger(__name__)

_KEPT = 2
"""Damaged files kept for whoever wants to look; older ones go."""
_CHECKED_WHOLE = 64 << 20
"""Bytes up to which every page is checked at the start; a larger file would hold acquisition up for seconds."""
_EVERYTHING = 1 << 62
MACHINE_ID = Path("/etc/machine-id")
"""Differs between installations of the system (machine-id(5)); hashed, because it must not leave the machine."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The journal, and what had to be done to get it.

    `damage` says what was wrong with the file, "" = nothing; `missing` is lost for good; `salvage` carries over what
    is left; `head` is what the side file knew.
    """

    journal: Journal
    damage: str = ""
    missing: tuple[Missing, ...] = ()
    salvage: Salvage | None = None
    head: Head = field(default_factory=Head)


def open_journal(
    directory: Path,
    boot_id: str,
    *,
    station: str = "",
    connect: Connect = connect,
    machine_id: Path = MACHINE_ID,
    check_up_to: int = _CHECKED_WHOLE,
) -> Opened:
    """Open the journal of `directory`.

    Every page of a file of at most `check_up_to` bytes is looked at. On a full disk the ballast is given up. Raises
    JournalRefused if it is in use or newer, and JournalError if nothing can be written.
    """
    attempt = partial(
        _attempt, directory, boot_id, station=station, connect=connect, machine_id=machine_id, check_up_to=check_up_to
    )
    try:
        return attempt()
    except JournalFull as error:
        if not (directory / BALLAST).exists():
            raise
        log.warning("no room for the journal at the start, its reserve is given up: %s", error)
        with suppress(OSError):
            (directory / BALLAST).unlink()
    return attempt()


def _attempt(
    directory: Path, boot_id: str, *, station: str, connect: Connect, machine_id: Path, check_up_to: int
) -> Opened:
    held = hold(directory)
    try:

        def make() -> Journal:
            # The lock is released with its last descriptor, so each owner has one of its own.
            return Journal(directory, boot_id, held=os.dup(held), connect=connect)

        opened = _open(directory, make, station, connect, check_up_to)
    except sqlite3.Error as error:
        raise wrap(error, directory / FILE, "a new journal cannot be begun") from error
    except OSError as error:
        raise JournalError(f"{directory}: {error}; see that the agent's user may write there") from error
    finally:
        os.close(held)
    journal = opened.journal
    try:
        opened = _check_origin(opened, station, _fingerprint(machine_id))
        salvage = Salvage.resume(directory, journal, opened.head)
        (directory / SUSPECT).unlink(missing_ok=True)
    except BaseException:
        journal.close()
        raise
    return replace(opened, salvage=salvage)


def _open(directory: Path, make: Callable[[], Journal], station: str, connect: Connect, check_up_to: int) -> Opened:
    """Open what is there; begin anew, with what can be salvaged, where that cannot be used."""
    head = load(directory)
    path = directory / FILE
    if not path.exists() or path.stat().st_size == 0:
        damage = _lost(directory, head)
    else:
        damage = fault(path, _EVERYTHING if (directory / SUSPECT).exists() else check_up_to)
    if not damage:
        try:
            journal = make()
            owner = journal.meta("station") or station
            if owner in {"", station} or not station:
                return Opened(journal, head=head)
            journal.close()
            log.error("journal belongs to another station and is set aside file=%s station=%r", path, owner)
            _set_aside(directory)
            return Opened(make(), f"the file belonged to station {owner}")
        except JournalDamaged as error:
            damage = str(error)
    log.error("journal is damaged and set aside file=%s: %s", path, damage)
    seed(_set_aside(directory) / FILE, path, head, connect)
    return Opened(make(), damage, head=head)


def _check_origin(opened: Opened, station: str, machine: str) -> Opened:
    """See whether the file is the one that was here before; records given out twice under one name must not be."""
    journal = opened.journal
    before = journal.meta("machine")
    missing = _unknown_to(journal, opened.head)
    if missing:
        log.warning("journal is older than known, a new epoch begins file=%s", journal.path)
        journal.begin_epoch("older than known")
    elif before not in {None, machine}:
        log.warning("journal comes from another machine, a new epoch begins file=%s", journal.path)
        journal.begin_epoch("other machine")
    for key, value in (("machine", machine), ("station", station)):
        if journal.meta(key) != value:
            journal.set_meta(key, value)
    return replace(opened, missing=missing)


def _unknown_to(journal: Journal, head: Head) -> tuple[Missing, ...]:
    """Return what the head knows to have been given out and the file does not hold."""
    newest = max(head.epochs, default=0)
    name = head.epochs.get(newest, "")
    names = journal.epochs().values()
    if not name or (name in names and name != journal.epoch_name):
        # Nothing is known, or the file has begun a newer epoch since.
        return ()
    held = {stream: journal.last_seq(stream) if name in names else 0 for stream in STREAMS}
    if name in names and all(held[stream] >= head.seqs.get(stream, 0) for stream in STREAMS):
        return ()
    return tuple(Missing(stream, name, held[stream] + 1, END_OF_EPOCH) for stream in STREAMS)


def _fingerprint(path: Path) -> str:
    """Return a digest of the machine's id, "" where there is none."""
    try:
        return hashlib.sha256(b"edge-agent journal " + path.read_bytes().strip()).hexdigest()[:32]
    except OSError:
        return ""


def _folders(directory: Path) -> list[Path]:
    """Return the folders of damaged files, oldest first."""
    return sorted(directory.glob("damaged-*"), key=lambda folder: int(folder.name.removeprefix("damaged-")))


def _lost(directory: Path, head: Head) -> str:
    """Say why there is no file, or an empty one, where there should be more; "" at a first start."""
    folders = _folders(directory)
    if folders and (folders[-1] / FILE).exists() and not (directory / FILE).exists():
        return "setting it aside was interrupted"
    return "the file is gone or empty" if head.epochs else ""


def _set_aside(directory: Path) -> Path:
    """Move the file, then what belongs to it, into a folder of their own; keep the newest few."""
    folders = _folders(directory)
    if (directory / FILE).exists() or not folders or not (folders[-1] / FILE).exists():
        number = int(folders[-1].name.removeprefix("damaged-")) + 1 if folders else 1
        folders.append(directory / f"damaged-{number}")
        folders[-1].mkdir(mode=0o700)
    for suffix in ("", "-wal", "-shm"):
        part = directory / (FILE + suffix)
        if part.exists():
            part.replace(folders[-1] / part.name)
    for old in folders[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folders[-1]
