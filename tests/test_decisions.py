"""What people decide about alarms, through the gate, into the journal and before everybody's eyes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from edge_agent.alarms import CATALOGUE
from edge_agent.commands import Answer, Gate, Request
from edge_agent.decisions import Decisions, Known
from edge_agent.records import Alarm
from tests.journals import Bench

NUMBERS = count(1)


class Duty:
    """Somebody on duty at the centre."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.silenced: list[tuple[str, str]] = []
        self.gate = Gate(bench.recorder, bench.clock, ["station/*"], {})
        known = Known(CATALOGUE, {"hall", "station"})
        Decisions(
            self.gate, bench.recorder, bench.picture, known, lambda device, code: self.silenced.append((device, code))
        )
        self.worker = Thread(target=bench.recorder.run, args=(lambda _by: None,))
        self.worker.start()

    def ask(self, verb: str, device: str = "hall", code: str = "smoke", **args: Any) -> Answer:
        """Send a command and return the answer."""
        ts = datetime.fromtimestamp(self.bench.clock.wall(), tz=UTC).isoformat()
        body = {"id": f"c{next(NUMBERS)}", "by": "li", "ts": ts, "device": device, "code": code, **args}
        return self.gate.handle(Request(f"station/{verb}", json.dumps(body).encode(), 30.0))

    def raise_it(self, *, active: bool = True) -> None:
        """Let the detector speak, and wait until that is durable."""
        assert self.bench.recorder.submit_durably("hall", [Alarm("smoke", active)], {}, 10.0)

    def told(self) -> list[dict[str, Any]]:
        """Return the bodies on the alarm stream."""
        return [json.loads(row.body) for row in self.bench.rows("alarm")]

    def end(self) -> None:
        """Go off duty."""
        self.bench.recorder.stop()
        self.worker.join(10.0)


@pytest.fixture
def duty(tmp_path: Path) -> Iterator[Duty]:
    """Give a journal at work with somebody who watches it."""
    bench = Bench(tmp_path)
    bench.open()
    on = Duty(bench)
    yield on
    on.end()
    bench.crash()


def test_acknowledging(duty: Duty) -> None:
    """The name is on the alarm's record and on the picture; a second time is refused with the first one's name."""
    assert duty.ask("acknowledge").reason == "that alarm is not up"
    duty.raise_it()
    assert duty.ask("acknowledge").ok
    assert duty.ask("acknowledge").reason == "acknowledged already by li"
    assert [(body["state"], body.get("by")) for body in duty.told()] == [("raised", None), ("acknowledged", "li")]
    assert duty.silenced == [("hall", "smoke")] * 3


def test_clearing(duty: Duty) -> None:
    """What stands cannot be cleared; what is only latched can, once."""
    duty.raise_it()
    assert "not over" in duty.ask("clear").reason
    duty.raise_it(active=False)
    assert duty.ask("clear").ok
    assert duty.ask("clear").reason == "that alarm is not up"
    assert [body["state"] for body in duty.told()] == ["raised", "raised", "cleared"]


def test_shelving(duty: Duty) -> None:
    """An alarm can be put aside before it is raised; it is recorded, marked, and taken up again."""
    assert duty.ask("shelve", minutes=60).ok
    duty.raise_it()
    assert duty.ask("unshelve").ok
    assert duty.ask("unshelve").reason == "that alarm is not shelved"
    told = duty.told()
    assert [(body["state"], "shelved" in body) for body in told] == [
        ("cleared", True),
        ("raised", True),
        ("raised", False),
    ]
    assert told[0]["shelved"]["by"] == "li"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"device": "attic", "minutes": 5}, "no such device here"),
        ({"code": "dragons", "minutes": 5}, "no such alarm here"),
        ({"minutes": 0}, "minutes"),
        ({}, "minutes"),
    ],
)
def test_what_makes_no_sense_is_refused(duty: Duty, args: dict[str, Any], reason: str) -> None:
    """With the reason, and without a record on the alarm stream."""
    answer = duty.ask("shelve", **args)
    assert not answer.ok
    assert reason in answer.reason
    assert duty.told() == []
