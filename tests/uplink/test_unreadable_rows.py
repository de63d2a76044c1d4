"""Bits that flip in a record at rest: it is never sent as something else, all others are, and the loss is declared."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.journal.file import FILE
from edge_agent.journal.schema import pack
from tests.uplink.rig import Rig


def spoil(rig: Rig, stream: str, seqs: list[int], change: str) -> None:
    """While the agent is down, change records behind SQLite's back, as far as it can tell."""
    rig.uplink.close()
    rig.store.close()
    with closing(sqlite3.connect(rig.store.directory / FILE)) as db:
        statement = f"UPDATE {stream} SET {change} WHERE id = ?"  # noqa: S608  (the words of a test)
        db.executemany(statement, [(pack(1, seq),) for seq in seqs])
        db.commit()
    rig.store._open()
    rig.uplink = rig._make()


def gaps(rig: Rig, stream: str) -> list[tuple[int, int, str]]:
    """What was declared, in order of arrival."""
    return [(body["from_seq"], body["to_seq"], body["reason"]) for body in rig.bodies(f"gap/{stream}")]


@pytest.mark.parametrize(
    "change",
    [
        "body = replace(body, '\"n\"', '\"m\"')",
        "body = '{]'",
        "body = CAST(x'7bff7d' AS TEXT)",
        "wall_ms = wall_ms + 4096",
        "device = 'gate'",
        "type = 'swap'",
        "good = 0",
        "crc = crc + 1",
    ],
)
def test_a_changed_record_is_declared_and_not_sent(tmp_path: Path, change: str) -> None:
    """The others arrive, the alarm is raised, nothing waits for ever, and a restart does not tell it again."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(10)
        spoil(rig, "usage", [4, 5, 8], change)
        rig.drained()
        rig.until(lambda: gaps(rig, "usage") and rig.bodies("alarm/station/journal_damaged"), advance=1.0)
        rig.drained()
        assert rig.seqs("event/door") == [1, 2, 3, 6, 7, 9, 10]
        assert gaps(rig, "usage") == [(4, 5, "damage"), (8, 8, "damage")]
        rig.messages.clear()
        rig.restart_agent()
        rig.drained()
        assert rig.bodies("event/") == rig.bodies("gap/") == []


def test_telemetry_and_alarms(tmp_path: Path) -> None:
    """The same in the other streams; an alarm's record that cannot be read is not said again after a reconnect."""
    with Rig.of(tmp_path) as rig:
        rig.store.samples(5)
        rig.store.alarm("smoke")
        rig.store.alarm("sos")
        spoil(rig, "tele", [2], "body = '{\"temperature_c\":99.9}'")
        spoil(rig, "alarm", [1], "body = replace(body, 'raised', 'cleared')")
        rig.drained()
        rig.until(lambda: gaps(rig, "tele") and gaps(rig, "alarm"), advance=1.0)
        assert [s["seq"] for batch in rig.bodies("tele/room") for s in batch["samples"]] == [1, 3, 4, 5]
        assert not rig.bodies("alarm/room/smoke")
        assert [body["state"] for body in rig.bodies("alarm/room/sos")] == ["raised"]
        assert (gaps(rig, "tele"), gaps(rig, "alarm")) == ([(2, 2, "damage")], [(1, 1, "damage")])


def test_the_newest_record_waits_for_its_successor(tmp_path: Path) -> None:
    """Where a stream ends with it nobody knows which seq it had, until the next record says."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(3)
        spoil(rig, "usage", [3], "boot = boot + 1")
        rig.drained_except({"usage": 1})
        rig.store.visits(1)
        rig.drained()
        rig.until(lambda: gaps(rig, "usage"), advance=1.0)
        assert rig.seqs("event/door") == [1, 2, 4]
        assert gaps(rig, "usage") == [(3, 3, "damage")]


def test_the_last_record_of_an_epoch(tmp_path: Path) -> None:
    """The first record of the next epoch tells where it was."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(3)
        rig.store.recorder.distrust("test")
        rig.store.visits(2)
        spoil(rig, "usage", [3], "boot = boot + 1")
        rig.drained()
        rig.until(lambda: len(gaps(rig, "usage")) == 2, advance=1.0)
        assert min(gaps(rig, "usage")) == (3, 3, "damage")
        assert len(rig.seqs("event/door")) == 4


def test_a_whole_page_of_them(tmp_path: Path) -> None:
    """More in a row than are read at once are passed over, and declared as one range."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(600)
        spoil(rig, "usage", list(range(100, 501)), "body = body || ' '")
        rig.drained()
        rig.until(lambda: gaps(rig, "usage"), advance=1.0)
        assert rig.seqs("event/door") == [*range(1, 100), *range(501, 601)]
        assert gaps(rig, "usage") == [(100, 500, "damage")]


@pytest.mark.parametrize("look", [lambda rig: rig.store.recorder.step(), lambda rig: rig.clock.advance(86_400.0)])
def test_the_journal_goes_on(tmp_path: Path, look: Callable[[Rig], object]) -> None:
    """A day is closed and sealed over a record that cannot be read."""
    with Rig.of(tmp_path) as rig:
        rig.store.visits(3)
        spoil(rig, "usage", [2], "body = '{]'")
        look(rig)
        rig.clock.advance(86_400.0)
        rig.store.visits(1)
        rig.drained()
        (closed, *_) = [body for body in rig.bodies("event/station") if body["type"] == "day_closed"]
        assert closed["totals"] == {"visits": 3}
