"""`edge-agent ledger`: a month as people, spreadsheets and programs want it, and the proof that nobody changed it."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.clock import FakeClock
from edge_agent.journal.file import FILE
from tests.journals import Bench, bench
from tests.stations import HEAD

DAY = 86_400.0


@pytest.fixture(name="station")
def _station(tmp_path: Path) -> Iterator[tuple[Bench, str, str]]:
    """Two closed days and an open one; yields the journal, the station file and the month."""
    file = tmp_path / "station.toml"
    text = HEAD.replace("DIRECTORY", str(tmp_path)).replace("BROKER", "127.0.0.1:1883").replace("PAGE", "127.0.0.1:80")
    file.write_text(text.replace(f'key_file = "{tmp_path}/card-key"', ""), encoding="utf-8")
    clock = FakeClock()
    clock.advance(5 * DAY)  # into a month that is long enough
    with bench(tmp_path, clock) as it:
        for visits in (3, 5, 1):
            for number in range(visits):
                it.swipe(f"{number:032x}", seconds=60.0)
            it.step(DAY - visits * 60.0)
        it.swipe("ff")
        yield it, str(file), it.view.totals.day.isoformat()[:7] if it.view.totals.day else ""


def test_a_month_for_people(station: tuple[Bench, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A line a day, what is closed and what is not, and the sum."""
    _, file, month = station
    assert main(["ledger", month, file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "测试驿站" in lines[0]
    assert [line.split()[1:] for line in lines[2:]] == [
        ["closed", "3"],
        ["closed", "5"],
        ["closed", "1"],
        ["open", "1"],
        ["10"],
    ]


def test_a_month_for_a_spreadsheet(station: tuple[Bench, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """By day and by hour the figures are the same."""
    _, file, month = station
    main(["ledger", month, file, "--csv"])
    days = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    main(["ledger", month, file, "--csv", "--hours"])
    hours = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(day["visits"]) for day in days] == [3, 5, 1, 1]
    assert len(hours) == 4 * 24
    for day in days:
        assert sum(int(hour["visits"]) for hour in hours if hour["day"] == day["day"]) == int(day["visits"])


def test_a_month_for_a_program(station: tuple[Bench, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """One object with the sum, the days and the lifetime."""
    _, file, month = station
    main(["ledger", month, file, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["total"] == {"visits": 10}
    assert found["lifetime"] == {"visits": 10}
    assert [day["visits"] for day in found["days"]] == [3, 5, 1, 1]


def test_a_month_without_anything(station: tuple[Bench, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, and it is no error; nor is an empty spreadsheet."""
    _, file, _ = station
    assert main(["ledger", "1999-01", file]) == 0
    assert "nothing was counted" in capsys.readouterr().out
    assert main(["ledger", "1999-01", file, "--csv"]) == 0
    assert capsys.readouterr().out.split() == ["day,status"]


def test_without_a_month_it_is_this_one(station: tuple[Bench, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A station file alone is enough."""
    _, file, _ = station
    assert main(["ledger", file]) == 0
    assert "测试驿站" in capsys.readouterr().out


def test_verify(station: tuple[Bench, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 while everything holds; 1, with the day named, once a record has been changed."""
    it, file, _ = station
    assert main(["ledger", "verify", file]) == 0
    assert "the ledger holds" in capsys.readouterr().out
    db = sqlite3.connect(it.directory / FILE)
    with db:
        db.execute("DELETE FROM usage WHERE id & 0xff = 6")
    db.close()
    assert main(["ledger", "verify", file]) == 1
    out = capsys.readouterr().out
    assert out.count("BROKEN") == 1
    assert "the ledger has been changed" in out
    assert main(["ledger", "verify", file, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["good"]
    assert [one["finding"] for one in found["seals"]] == ["holds", "broken", "holds"]


def test_what_is_neither_month_nor_verify(capsys: pytest.CaptureFixture[str]) -> None:
    """A kind refusal, exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        main(["ledger", "2026-13"])
    assert stopped.value.code == 2
    assert 'neither a month like "2026-11" nor "verify"' in capsys.readouterr().err
