"""A journal in memory, for a station whose disk takes nothing: it goes on sensing, counting and telling.

What it holds is lost with the power, and that is said: the alarm `journal_unwritable` stands as long as it is in use.
It is a whole journal of its own, with its own epoch, so that nothing it told can be mistaken for what the disk holds.
"""

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.errors import JournalError, JournalRefused
from edge_agent.journal.open import Opened, open_journal
from edge_agent.picture import Picture

log = logging.getLogger(__name__)

MAX_BYTES = 32_000_000
"""Room for records in memory: weeks of counts, a day or two of telemetry, and a Pi with 512 MB does not notice."""
_LOOK_S = 20.0
_LONGEST_TRIAL_S = 60.0
_PATIENCE_S = 3600.0
_MEMORY = Path("/dev/shm")  # noqa: S108  (made by mkdtemp, for this user only)


@dataclass(frozen=True, slots=True)
class Place:
    """The journal in use and where it lies; `why` says why it is a spare one, "" if it is not."""

    opened: Opened
    directory: Path
    why: str = ""


def open_somewhere(directory: Path, boot_id: str, *, station: str, memory: Path = _MEMORY) -> Place:
    """Open the journal of `directory`, or a spare one in memory if nothing can be written there.

    Raises JournalRefused if it is another's or of a newer version, and JournalError if there is no memory either.
    """
    try:
        return Place(open_journal(directory, boot_id, station=station), directory)
    except JournalRefused:
        raise
    except JournalError as error:
        log.error("nothing can be stored; what is counted now is kept in memory and lost with the power: %s", error)  # noqa: TRY400
        why = str(error)
    try:
        spare = Path(tempfile.mkdtemp(prefix="edge-agent-", dir=memory if memory.is_dir() else None))
    except OSError as error:
        raise JournalError(f"{why}; and no room in memory either: {error}") from error
    return Place(open_journal(spare, boot_id, station=station), spare, why)


def writable(directory: Path) -> bool:
    """Tell whether a file can be made, filled and synced in `directory`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as trial:
            trial.write(bytes(1 << 16))
            trial.flush()
    except OSError:
        return False
    return True


class DiskWatch:
    """Looks whether the disk takes records again, and asks for a new start when it does.

    Not before the centre has what lies in memory, or `_PATIENCE_S` has passed: a new start forgets the rest.
    """

    def __init__(self, directory: Path, picture: Picture, clock: Clock, well: threading.Event) -> None:
        self._directory = directory
        self._picture = picture
        self._clock = clock
        self._well = well
        self._stopping = threading.Event()
        self._since: float | None = None

    def stop(self) -> None:
        """Make `run` return (any thread)."""
        self._stopping.set()

    def run(self, promise: Callable[[float], None]) -> None:
        """Look every `_LOOK_S` seconds; `promise(deadline)` is told by when the next look will be done."""
        while not self._stopping.wait(_LOOK_S):
            promise(self._clock.monotonic() + _LOOK_S + _LONGEST_TRIAL_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        if not writable(self._directory):
            self._since = None
            return
        now = self._clock.monotonic()
        self._since = now if self._since is None else self._since
        if not any(self._picture.view.uplink.pending.values()) or now - self._since > _PATIENCE_S:
            log.warning("the disk takes records again; a new start returns to it dir=%s", self._directory)
            self._well.set()
