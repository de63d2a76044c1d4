"""What people put on record: through the gate, durable before the answer, and counted once."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_agent.commands import Answer, Gate, Request
from edge_agent.maintenance import Known, MaintenanceVerbs
from tests.journals import Bench, bench

KNOWN = Known(devices={"aircon"}, consumables={"water"}, rounds={"floor"}, counts=lambda: {"visits"})


class Desk:
    """Somebody at the gate of a station whose recorder runs."""

    def __init__(self, it: Bench) -> None:
        self.it = it
        self.gate = Gate(it.recorder, it.clock, ["station/*"], {})
        MaintenanceVerbs(self.gate, it.recorder, KNOWN, it.clock.good)
        self._asked = 0

    def ask(self, verb: str, **arguments: Any) -> Answer:
        """Ask as the centre does."""
        self._asked += 1
        ts = datetime.fromtimestamp(self.it.clock.wall(), tz=UTC).isoformat()
        body = {"id": f"c{self._asked}", "by": "li", "ts": ts, **arguments}
        return self.gate.handle(Request(f"station/{verb}", json.dumps(body).encode(), 60.0))

    def last(self) -> dict[str, Any]:
        """Return the newest maintenance record or correction."""
        rows = [row for row in self.it.rows("usage") if row.type in {"maintenance", "correction"}]
        found: dict[str, Any] = json.loads(rows[-1].body)
        return found


@contextmanager
def desk(directory: Path) -> Iterator[Desk]:
    """Give a desk; the recorder works in its own thread, as the gate waits for it."""
    with bench(directory) as it:
        thread = threading.Thread(target=it.recorder.run, args=(lambda _deadline: None,))
        thread.start()
        try:
            yield Desk(it)
        finally:
            it.recorder.stop()
            thread.join(10.0)


@pytest.mark.parametrize(
    ("verb", "arguments", "expected"),
    [
        ("arrive", {"who": "王师傅"}, {"what": "arrived", "who": "王师傅"}),
        (
            "depart",
            {"who": "王师傅", "checklist": {"lights": True}, "notes": "ok"},
            {"what": "departed", "who": "王师傅", "checklist": {"lights": True}, "notes": "ok"},
        ),
        ("refill", {"consumable": "water"}, {"what": "refilled", "consumable": "water", "level_pct": 100.0}),
        (
            "level",
            {"consumable": "water", "level_pct": 40},
            {"what": "measured", "consumable": "water", "level_pct": 40.0},
        ),
        ("done", {"round": "floor"}, {"what": "done", "round": "floor"}),
        (
            "replace",
            {"device": "aircon", "new_serial": "A2"},
            {"what": "replaced", "device": "aircon", "old_serial": "?", "new_serial": "A2"},
        ),
        ("close", {"notes": "water pipe"}, {"what": "closed", "notes": "water pipe"}),
        ("open", {}, {"what": "opened"}),
    ],
)
def test_each_verb_is_one_record(
    tmp_path: Path, verb: str, arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Who asked stands in it, and it is in the journal when the answer comes."""
    with desk(tmp_path) as it:
        assert it.ask(verb, **arguments).ok
        assert it.last() == {"by": "li", **expected}


@pytest.mark.parametrize(
    ("verb", "arguments", "reason"),
    [
        ("refill", {"consumable": "beer"}, "there is no consumable 'beer' here; known: water"),
        ("done", {"round": "roof"}, "there is no round 'roof' here; known: floor"),
        ("replace", {"device": "oven"}, "there is no device 'oven' here; known: aircon"),
        ("correct", {"name": "miracles", "amount": 1, "why": "x"}, "there is no count 'miracles' here; known: visits"),
        ("correct", {"name": "visits", "amount": 0, "why": "x"}, "an amount of 0 corrects nothing"),
        ("level", {"consumable": "water", "level_pct": 101}, "level_pct: Input should be less than or equal to 100"),
        ("arrive", {}, "who: Field required"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, verb: str, arguments: dict[str, Any], reason: str) -> None:
    """With the reason, and nothing but the audit is recorded."""
    with desk(tmp_path) as it:
        answer = it.ask(verb, **arguments)
        assert not answer.ok
        assert answer.reason == reason
        it.it.recorder.commit_soon()
    assert {row.type for row in it.it.rows("usage")} == {"audit"}


def test_a_correction_stands_beside_the_count(tmp_path: Path) -> None:
    """The count stays as it was counted; the correction has a name of its own and may be negative."""
    with desk(tmp_path) as it:
        assert it.ask("correct", name="visits", amount=-2, why="the door was tested").ok
        assert it.ask("correct", name="visits", amount=5, why="the reader was off").ok
        assert it.last() == {"by": "li", "name": "visits", "amount": 5, "why": "the reader was off"}
        assert it.it.view.totals.lifetime == {"visits_corrected": 3}


def test_no_correction_without_a_date(tmp_path: Path) -> None:
    """It belongs to a day; while nobody knows the day it is refused."""
    with desk(tmp_path) as it:
        it.it.clock.set_wall(1000.0, good=False)
        answer = it.ask("correct", name="visits", amount=1, why="x")
        assert "does not know the time" in answer.reason


def test_what_maintenance_counts(tmp_path: Path) -> None:
    """Visits of staff, refills and rounds have their own names in the ledger."""
    with desk(tmp_path) as it:
        it.ask("arrive", who="li")
        it.ask("refill", consumable="water")
        it.ask("done", round="floor")
        it.ask("depart", who="li")
        it.ask("replace", device="aircon")
        assert it.it.view.totals.lifetime == {
            "maintenance_visits": 1,
            "refills": 1,
            "rounds_done": 1,
            "devices_replaced": 1,
        }
