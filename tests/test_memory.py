"""What a driver asks to be remembered: durable together with its events, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.clock import FakeClock
from edge_agent.journal.open import open_journal
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.recorder.recorder import Recorder, Settings
from edge_agent.records import Event, Memory, Reading


@contextmanager
def recorder(directory: Path, clock: FakeClock) -> Iterator[Recorder]:
    """A Recorder over the journal in `directory`; the way out is that of a crash: nothing is flushed."""
    opened = open_journal(directory, clock.boot_id)
    try:
        yield Recorder(opened.journal, clock, Settings(Calendar(ZoneInfo("Asia/Shanghai"), time(0))), Picture())
    finally:
        opened.journal.close()


def visits(directory: Path, clock: FakeClock) -> int:
    """Visits that the journal counts."""
    opened = open_journal(directory, clock.boot_id)
    try:
        return opened.journal.ledger().get(("life", "visits"), 0)
    finally:
        opened.journal.close()


def test_what_is_to_be_remembered_survives_a_restart(tmp_path: Path) -> None:
    """The newest text under a key is there after a restart, for the device that said it only."""
    clock = FakeClock()
    with recorder(tmp_path, clock) as first:
        first.submit("door", [Memory("index", "41"), Memory("other", "x")])
        first.submit("door", [Event("visit"), Memory("index", "42")])
        first.submit("door-2", [Memory("index", "7")])
        first.flush()
    with recorder(tmp_path, clock) as second:
        assert second.recall("door") == {"index": "42", "other": "x"}
        assert second.recall("door-2") == {"index": "7"}
        assert second.recall("gate") == {}


def test_events_and_their_memory_are_durable_together(tmp_path: Path) -> None:
    """A crash before the commit takes both, a crash after it neither: nothing is told twice and nothing skipped."""
    clock = FakeClock()
    with recorder(tmp_path, clock) as first:
        first.submit("door", [Memory("index", "1")])
        first.flush()
        first.submit("door", [Event("visit"), Memory("index", "2")])
    assert visits(tmp_path, clock) == 0
    with recorder(tmp_path, clock) as second:
        assert second.recall("door") == {"index": "1"}
        second.submit("door", [Event("visit"), Memory("index", "2")])
        second.step()
    assert visits(tmp_path, clock) == 1
    with recorder(tmp_path, clock) as third:
        assert third.recall("door") == {"index": "2"}


def test_a_driver_built_anew_is_given_the_last_word(tmp_path: Path) -> None:
    """What still waits for its commit counts already: its events wait with it and will be told."""
    with recorder(tmp_path, FakeClock()) as running:
        running.submit("door", [Reading("state", "closed"), Memory("index", "9")])
        assert running.recall("door") == {"index": "9"}
