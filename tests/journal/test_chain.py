"""The hash chain: what was sealed cannot be changed, taken out or put in unseen; the centre can prove it, too."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from edge_agent.journal.account import Finding, read, verify
from edge_agent.journal.chain import Chain, Seal, seal
from edge_agent.journal.file import FILE
from edge_agent.journal.row import Row
from edge_agent.uplink.payloads import Names, event
from tests.journals import CALENDAR, Bench, bench

DAY = 86_400.0


@contextmanager
def three_days(directory: Path, *, publish_card_ref: bool = False) -> Iterator[Bench]:
    """Give a journal of three closed days with five events each, and a fourth day that is open."""
    with bench(directory, publish_card_ref=publish_card_ref) as it:
        for _ in range(3):
            for number in range(5):
                it.swipe(f"{number:032x}", seconds=60.0)
            it.step(DAY - 300.0)
        it.swipe("ff")
        yield it


def findings(it: Bench) -> list[Finding]:
    """Return what became of each seal."""
    with it.reader() as reader:
        return [one.finding for one in verify(reader).seals]


def tamper(it: Bench, statement: str, *values: str) -> None:
    """Change the file behind the agent's back, and let no checksum tell of it: that is for accidents."""
    db = sqlite3.connect(it.directory / FILE)
    with db:
        db.execute(statement, values)
        db.execute("UPDATE usage SET crc = NULL")
    db.close()


def test_each_closed_day_seals_what_came_before(tmp_path: Path) -> None:
    """Seals follow each other without a hole, and what is behind the last is said to be unsealed."""
    with three_days(tmp_path) as it:
        with it.reader() as reader:
            verdict = verify(reader)
        assert verdict.good
        assert [(one.finding, one.seal.from_seq, one.seal.to_seq, one.seal.count) for one in verdict.seals] == [
            (Finding.HOLDS, 1, 5, 5),
            (Finding.HOLDS, 6, 11, 6),
            (Finding.HOLDS, 12, 17, 6),
        ]
        assert verdict.unsealed == 2


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What the chain must know is stored with its last link."""
    with three_days(tmp_path) as it:
        it.crash()
        it.open()
        it.step(DAY)
        assert findings(it) == [Finding.HOLDS] * 4


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE usage SET type = 'denied' WHERE id & 0xff = 8", [Finding.HOLDS, Finding.BROKEN, Finding.HOLDS]),
        ("UPDATE usage SET wall_ms = wall_ms + 1 WHERE id & 0xff = 8", [Finding.HOLDS, Finding.BROKEN, Finding.HOLDS]),
        ("UPDATE usage SET body = '{\"x\":1}' WHERE id & 0xff = 1", [Finding.BROKEN, Finding.HOLDS, Finding.HOLDS]),
        ("DELETE FROM usage WHERE id & 0xff = 14", [Finding.HOLDS, Finding.HOLDS, Finding.BROKEN]),
        ("DELETE FROM usage WHERE id & 0xff = 5", [Finding.BROKEN, Finding.HOLDS, Finding.HOLDS]),
        ("DELETE FROM usage WHERE id & 0xff < 4", [Finding.GONE, Finding.HOLDS, Finding.HOLDS]),
        ("DELETE FROM usage WHERE id & 0xff < 7", [Finding.GONE, Finding.HOLDS]),
        (
            'UPDATE usage SET body = replace(body, \'"previous":"\', \'"previous":"0\') WHERE id & 0xff = 18',
            [Finding.HOLDS, Finding.HOLDS, Finding.UNCHAINED],
        ),
    ],
)
def test_tampering_shows(tmp_path: Path, statement: str, expected: list[Finding]) -> None:
    """A changed, removed or redated event breaks its day's seal; only the oldest may have gone."""
    with three_days(tmp_path) as it:
        tamper(it, statement)
        assert findings(it) == expected


def test_a_whole_day_made_up_anew_does_not_fit(tmp_path: Path) -> None:
    """Who changes an event and its seal must change every later seal, and the centre has those."""
    with three_days(tmp_path) as it:
        with it.reader() as reader:
            rows = reader.rows("usage", (0, 0), 5)
            forged = seal(it.journal.epoch_name, 1, 5, "", [rows[0]._replace(type="denied"), *rows[1:]])
            (first, *_) = verify(reader).seals
        body = json.dumps({"day": first.day, "totals": {}, "hours": {}, "seal": forged.body()})
        tamper(it, "UPDATE usage SET type = 'denied' WHERE id & 0xff = 1")
        tamper(it, "UPDATE usage SET body = ? WHERE id & 0xff = 6", body)
        assert findings(it)[:2] == [Finding.HOLDS, Finding.UNCHAINED]


def test_a_new_epoch_continues_the_chain(tmp_path: Path) -> None:
    """Seqs begin at 1 again; the digest before is still the one continued."""
    with three_days(tmp_path) as it:
        it.recorder.distrust("a copy was put back")
        it.swipe("aa")
        it.step(DAY)
        with it.reader() as reader:
            verdict = verify(reader)
        assert verdict.good
        assert verdict.seals[-1].seal.from_seq == 1
        assert verdict.seals[-1].seal.previous == verdict.seals[-2].seal.digest


def test_a_chain_whose_memory_is_lost_begins_anew(tmp_path: Path) -> None:
    """After a repair that is no sign of tampering, but it is said."""
    with three_days(tmp_path) as it:
        it.crash()
        tamper(it, "UPDATE state SET value = 'x' WHERE key = 'chain'")
        it.open()
        it.step(DAY)
        with it.reader() as reader:
            verdict = verify(reader)
        assert verdict.seals[-1].finding is Finding.ANEW
        assert verdict.good


def test_the_card_may_be_erased(tmp_path: Path) -> None:
    """The reference is not part of what is sealed."""
    with three_days(tmp_path, publish_card_ref=True) as it:
        assert '"card_ref"' in it.rows("usage")[0].body
        tamper(it, "UPDATE usage SET body = '{}' WHERE type = 'visit'")
        assert findings(it) == [Finding.HOLDS] * 3


def test_the_centre_can_prove_a_seal_by_what_it_received(tmp_path: Path) -> None:
    """Topic and payload of each event are enough to compute the digest, as the documents describe it."""
    with three_days(tmp_path, publish_card_ref=True) as it:
        with it.reader() as reader:
            names = Names("365-001", reader.epochs(), reader.offsets())
        digest = hashlib.sha256(b"")
        for row in it.rows("usage"):
            body = json.loads(event(row, names, late=False))
            if body["type"] == "day_closed":
                assert body["seal"]["digest"] == digest.hexdigest()
                digest = hashlib.sha256(body["seal"]["digest"].encode())
            at_ms = round(datetime.fromisoformat(body["ts"]).timestamp() * 1000) if body["clock"] == "synced" else None
            known = {"id", "epoch", "seq", "type", "ts", "clock", "late", "card_ref", "key_id"}
            own = {key: value for key, value in body.items() if key not in known}
            line = [body["epoch"], body["seq"], row.device, body["type"], at_ms, own]
            digest.update(json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n")


def test_gaps_and_unknown_times_in_a_seal() -> None:
    """Gaps are no events; a time that nobody knew is null."""
    at_ms = 1_780_027_200_000
    rows = [
        Row("usage", 1, 2, "journal", "gap", 1, 5, at_ms, True, "{}"),
        Row("usage", 1, 3, "door", "visit", 1, 5, 7, False, '{"z":1,"a":"门"}'),
    ]
    line = 'p["e",3,"door","visit",null,{"a":"门","z":1}]\n'
    assert seal("e", 1, 3, "p", rows) == Seal("e", 1, 3, 1, "p", hashlib.sha256(line.encode()).hexdigest())


def test_an_empty_day_has_a_seal(tmp_path: Path) -> None:
    """Nothing new is sealed as nothing."""
    with bench(tmp_path) as it:
        made, _ = Chain(it.journal, None).seal([])
        assert (made.from_seq, made.to_seq, made.count) == (1, 0, 0)


def test_the_account_of_closed_and_open_days(tmp_path: Path) -> None:
    """Closed days are as their newest records say, the open one as the ledger stands."""
    with three_days(tmp_path) as it:
        with it.reader() as reader:
            account = read(reader, CALENDAR)
        days = list(account.days.values())
        assert sorted((day.totals["visits"], day.closed) for day in days) == [(1, False), *[(5, True)] * 3]
        assert account.lifetime["visits"] == 16
        assert len(account.month("2026")) == 4
        assert account.month("1999-01") == []
