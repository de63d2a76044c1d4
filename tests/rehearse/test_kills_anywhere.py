"""The agent is killed, or restarted, wherever chance says, hundreds of times in a few days: no total changes.

A stage is a device that was heard and whose records are not in the journal yet, or records that just are. Each is as
likely to be the end as any other. `EDGE_AGENT_KILLS=all python -m pytest tests/rehearse` plays the whole month and the
whole week 25 times, and ends at every 25th stage, at another one each time.
"""

import faulthandler
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.rehearse.agent import Stage
from edge_agent.rehearse.file import load_script
from edge_agent.rehearse.play import Ended, Rehearsal
from edge_agent.rehearse.result import result_of
from edge_agent.rehearse.truth import COUNTED, INFERRED

SCRIPTS = Path(__file__).parents[2] / "config" / "rehearsals"
DAY = 86_400.0
EVERY = 25

Watch = Callable[[Stage, int], None]


def by_chance(seed: int) -> Watch:
    """End at one in ten acceptances and one in fifty hearings, a third of the times in order."""
    rng = random.Random(seed)
    chance = {"heard": 0.02, "accepted": 0.1}

    def watch(stage: Stage, number: int) -> None:
        if rng.random() < chance[stage]:
            raise Ended(in_order=rng.random() < 1 / 3)

    return watch


def at_every(step: int, first: int) -> Watch:
    """End at stage `first` and at each `step`th behind it."""

    def watch(stage: Stage, number: int) -> None:
        if number % step == first:
            raise Ended(in_order=bool(number // step % 3 == 0))

    return watch


CASES = [("month", 2 * DAY, by_chance(0)), ("week", 3 * DAY, by_chance(2))]
if os.environ.get("EDGE_AGENT_KILLS") == "all":
    CASES = [("month", 30 * DAY, at_every(EVERY, n)) for n in range(EVERY)]
    CASES += [("week", 7 * DAY, at_every(EVERY, n)) for n in range(EVERY)]


def played(name: str, lasts: float, directory: Path, watch: Watch | None) -> tuple[Rehearsal, dict[str, Any]]:
    """Play the first `lasts` seconds of a script."""
    directory.mkdir()
    loaded = load_script(SCRIPTS / f"{name}.toml", directory)
    script = loaded.script.model_copy(update={"lasts": lasts, "expect": {}})
    rehearsal = Rehearsal(script, loaded.config, watch=watch)
    rehearsal.play()
    return rehearsal, result_of(rehearsal, loaded.config.journal.dir)


@pytest.mark.parametrize(("name", "lasts", "watch"), CASES)
def test_an_end_anywhere_changes_no_total(name: str, lasts: float, watch: Watch, memory: Path) -> None:
    """Every figure of the ledger is what happened, and what it is when nothing ends."""
    faulthandler.cancel_dump_traceback_later()
    rehearsal, result = played(name, lasts, memory / "ended", watch)
    assert rehearsal.kills > 10
    assert rehearsal.restarts > 5
    assert wrong(result) == []
    _, calm = played(name, lasts, memory / "calm", None)
    assert totals(result) == totals(calm)


def wrong(result: dict[str, Any]) -> list[Any]:
    """The counts that are not the truth, and the alarms that the script means and that are not as it says.

    When somebody who was interrupted comes again the hour may be another one, and a door is open for longer.
    """
    judged = {f"alarms.{name}" for name in result["truth"]["alarms"]}
    judged |= {f"ledger.lifetime.{name}{found}" for name in COUNTED for found in ("", INFERRED)}
    return [check for check in result["checks"] if not check["holds"] and check["what"] in judged]


def totals(result: dict[str, Any]) -> dict[str, int]:
    """What people did."""
    return {name: count for name, count in result["ledger"]["lifetime"].items() if name in COUNTED}
