"""A station whose disk takes nothing keeps a journal in memory, and returns to the disk when that is well."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.clock import FakeClock
from edge_agent.errors import JournalError, JournalRefused
from edge_agent.journal.open import open_journal
from edge_agent.journal.spare import DiskWatch, open_somewhere, writable
from edge_agent.picture import Link, Picture


def test_a_disk_that_is_well_is_used(tmp_path: Path) -> None:
    """Nothing is spare where the directory can be written."""
    place = open_somewhere(tmp_path / "journal", "boot", station="s-1")
    assert (place.directory, place.why) == (tmp_path / "journal", "")
    place.opened.journal.close()


def test_a_disk_that_takes_nothing_is_replaced_by_memory(tmp_path: Path) -> None:
    """A whole journal with an epoch of its own, and the reason in words."""
    blocked = tmp_path / "file"
    blocked.touch()
    place = open_somewhere(blocked / "journal", "boot", station="s-1", memory=tmp_path)
    assert place.directory.parent == tmp_path
    assert str(blocked) in place.why
    assert place.opened.journal.last_seq("usage") == 0
    place.opened.journal.close()


def test_anothers_journal_is_no_reason_for_a_spare_one(tmp_path: Path) -> None:
    """Two agents on one station would count everything twice."""
    opened = open_journal(tmp_path, "boot")
    with pytest.raises(JournalRefused, match="another agent"):
        open_somewhere(tmp_path, "boot", station="s-1")
    opened.journal.close()


def test_without_disk_and_memory_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both reasons are given."""
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr("tempfile.tempdir", str(blocked / "tmp"))
    with pytest.raises(JournalError, match="no room in memory either"):
        open_somewhere(blocked / "journal", "boot", station="s-1", memory=blocked)


def test_the_watch_waits_until_the_centre_has_it_all(tmp_path: Path) -> None:
    """Back to the disk once it takes files and nothing is left to send, or after an hour of patience."""
    blocked, clock, picture, well = tmp_path / "file", FakeClock(), Picture(), threading.Event()
    blocked.touch()
    watch = DiskWatch(blocked / "journal", picture, clock, well)
    picture.change(lambda view: replace(view, uplink=Link(pending={"usage": 1})))
    watch.look()
    blocked.unlink()
    assert writable(blocked / "journal")
    watch.look()
    clock.advance(3500)
    watch.look()
    assert not well.is_set()
    clock.advance(200)
    watch.look()
    assert well.is_set()
    well.clear()
    picture.change(lambda view: replace(view, uplink=Link(pending={"usage": 0})))
    watch.look()
    assert well.is_set()


def test_the_watch_ends_when_told(tmp_path: Path) -> None:
    """`stop` ends it without waiting for the next look."""
    watch = DiskWatch(tmp_path, Picture(), FakeClock(), threading.Event())
    watch.stop()
    watch.run(lambda _deadline: None)
