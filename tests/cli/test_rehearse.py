"""`edge-agent rehearse`: prints what came out, and whether it is the truth."""

import json
from pathlib import Path

import pytest

from edge_agent.cli import main

SCRIPT = """
start = "2026-10-20 00:00"
lasts = "4h"
ask_every = "30m"

[[every]]
per_day = 9
hours = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
swipe = {}

[[at]]
time = "day 1 03:30"
swap = {}
"""


def written(directory: Path, more: str = "") -> str:
    """Write the script and return its path."""
    path = directory / "script.toml"
    path.write_text(SCRIPT + more, encoding="utf-8")
    return str(path)


def test_a_rehearsal_that_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and one object with the documented keys; `--keep` leaves the journal."""
    assert main(["rehearse", written(tmp_path), "--json", "--keep", str(tmp_path / "kept")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ledger"]["lifetime"]["visits"] == 9
    assert result["truth"]["ledger"]["lifetime"] == {"batteries_in": 1, "batteries_out": 1, "swaps": 1, "visits": 9}
    assert result["holds"]
    assert len(result["swaps"]) == 1
    page = (Path(__file__).parents[2] / "docs" / "rehearse.md").read_text(encoding="utf-8")
    assert [key for key in result if f"`{key}`" not in page] == []
    assert (tmp_path / "kept" / "journal" / "journal.db").exists()
    assert main(["rehearse", written(tmp_path), "--keep", str(tmp_path / "kept")]) == 1
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("language", "word"), [("en", "Ledger"), ("zh", "台账")])
def test_the_tables(language: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In both languages, with the verdict last; another seed makes other visits and as many."""
    assert main(["rehearse", written(tmp_path), "--lang", language, "--seed", "9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert word in lines
    assert "seed 9" in lines[0]
    assert any(line.split()[:3] == ["visits", "9", "9"] for line in lines)


def test_a_rehearsal_that_does_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the figure that is not what the script expects."""
    assert main(["rehearse", written(tmp_path, "\n[expect]\nledger = { lifetime = { visits = 10 } }\n")]) == 1
    assert "ledger.lifetime.visits: should be 10, is 9" in capsys.readouterr().out


def test_a_script_with_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the line, as with a station file."""
    assert main(["rehearse", written(tmp_path, '\n[[at]]\ntime = "soon"\nkill = {}\n')]) == 2
    assert "script.toml:16: at number 2: time" in capsys.readouterr().err
