"""The scripts that are shipped: every figure ends as the truth, and the same script gives the same result."""

import faulthandler
from pathlib import Path
from typing import Any

import pytest

from edge_agent.rehearse.file import load_script
from edge_agent.rehearse.play import Rehearsal
from edge_agent.rehearse.result import result_of

SCRIPTS = Path(__file__).parents[2] / "config" / "rehearsals"


def played(script: Path, directory: Path, **changes: Any) -> dict[str, Any]:
    """Play a script, with `changes` of its own tables, and return the result."""
    directory.mkdir(exist_ok=True)
    loaded = load_script(script, directory)
    rehearsal = Rehearsal(loaded.script.model_copy(update=changes), loaded.config)
    rehearsal.play()
    return result_of(rehearsal, loaded.config.journal.dir)


@pytest.mark.parametrize("name", ["month", "week"])
def test_a_shipped_script_ends_as_the_truth(name: str, memory: Path) -> None:
    """Ledger by hour, swaps, alarms and what is at the centre are what happened, and what the script expects."""
    # More than a minute is no hang on a busy machine.
    faulthandler.cancel_dump_traceback_later()
    result = played(SCRIPTS / f"{name}.toml", memory)
    assert [check for check in result["checks"] if not check["holds"]] == []
    assert len(result["checks"]) > 15


def test_the_month_has_what_a_month_has(memory: Path) -> None:
    """Its figures are not right for want of events: visits, swaps, faults and starts really occur in it."""
    script = load_script(SCRIPTS / "month.toml", memory).script
    verbs = {name for entry in (*script.at, *script.every) for name in entry.model_fields_set}
    assert {"swipe", "swap", "take", "contact", "overheat", "fault", "power_cut"} <= verbs
    assert {"kill", "restart", "network_down", "clock"} <= verbs
    assert script.lasts == 30 * 86_400


def test_the_same_script_gives_the_same_result(memory: Path) -> None:
    """To the last record; another seed gives another one, as true as the first."""
    faulthandler.cancel_dump_traceback_later()
    week = SCRIPTS / "week.toml"
    first, second = (played(week, memory / name, lasts=2 * 86_400.0, expect={}) for name in ("a", "b"))
    assert first == second
    other = played(week, memory / "c", lasts=2 * 86_400.0, expect={}, seed=53)
    assert other["holds"]
    assert other["ledger"] != first["ledger"]
