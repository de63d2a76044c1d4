"""Rules in a row: each is handed what those before it let through, and time passes for all of them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.records import Alarm, Event, Json, Reading, Record, Stamp
from edge_agent.rules.rule import Kept, Moment, Rule, Rules, Said
from tests.journals import CALENDAR, Bench


def moment(seconds: float, boot: int = 1) -> Moment:
    """Return a moment of a good clock."""
    return Moment(Stamp(boot, round(seconds * 1000), 10**12 + round(seconds * 1000), good=True), dated)


def dated(stamp: Stamp) -> int | None:
    """Believe a good clock, and nothing else."""
    return stamp.wall_ms if stamp.good else None


class Follow(Rule):
    """Says `then` behind each `when`, and again a minute later; remembers how often."""

    def __init__(self, when: str, then: str) -> None:
        self._when, self._then = when, then
        self._at = math.inf
        self._times = 0

    @property
    def due(self) -> float:
        """Return when a minute has passed."""
        return self._at

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Let everything through."""
        yield device, record
        if isinstance(record, Event) and record.type == self._when:
            self._at = moment.mono + 60.0
            self._times += 1
            yield device, Event(self._then)

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Say it again."""
        assert moment.mono >= self._at
        self._at = math.inf
        yield "station", Event(self._then)

    def kept(self) -> Kept:
        """Remember how often it has been said."""
        return Kept({f"rule/{self._then}": str(self._times)})


class Swallow(Rule):
    """Lets no reading through."""

    def judges(self, device: str, point: str) -> bool:
        """See the class."""
        return True

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """See the class."""
        if not isinstance(record, Reading):
            yield device, record


class Deaf(Follow):
    """A Follow that fails on a reading."""

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """See the class."""
        assert isinstance(record, Event)
        yield from super().take(device, record, moment)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a journal whose only rule says `b` behind each `a`."""
    made = Bench(tmp_path)
    made.make_rules = lambda _journal: [Follow("a", "b")]
    made.open()
    yield made
    made.crash()


def kinds(said: Iterable[Said]) -> list[str]:
    """Return the types of events."""
    return [record.type for _, record in said if isinstance(record, Event)]


def test_later_rules_see_what_earlier_ones_say() -> None:
    """And never the other way round, so no two rules can wake each other for ever."""
    rules = Rules([Follow("a", "b"), Follow("b", "c"), Follow("c", "a"), Swallow()])
    assert kinds(rules.take("door", Event("a"), moment(0))) == ["a", "b", "c", "a"]
    assert list(rules.take("door", Reading("x", 1), moment(0))) == []


def test_readings_pass_by_who_does_not_judge_them() -> None:
    """Most records are readings: a rule that judges events only is not asked about them, and they arrive."""
    rules = Rules([Deaf("a", "b"), Follow("b", "c")])
    assert list(rules.take("door", Reading("x", 1), moment(0))) == [("door", Reading("x", 1))]
    assert kinds(rules.take("door", Event("a"), moment(0))) == ["a", "b", "c"]


def test_time_passes_for_all() -> None:
    """What a rule says of the time alone goes through those behind it, after what was due of themselves."""
    rules = Rules([Follow("a", "b"), Follow("b", "c")])
    assert rules.due == math.inf
    rules.take("door", Event("a"), moment(5))
    assert rules.due == 65.0
    assert kinds(rules.tick(moment(70))) == ["c", "b", "c"]
    assert rules.due == 130.0
    assert [dict(kept.state) for kept in rules.kept()] == [{"rule/b": "1"}, {"rule/c": "2"}]


def test_the_time_between_two_moments() -> None:
    """Within a boot the monotonic clock tells; across boots only two dates do."""
    assert moment(9).since(moment(2).stamp) == 7.0
    assert moment(9, boot=2).since(moment(2).stamp) == 7.0
    assert moment(9, boot=2).since(Stamp(1, 2000, 10**12, good=False)) is None


def test_what_a_rule_says_is_stored_with_its_cause(bench: Bench) -> None:
    """One transaction holds the event, what followed from it and what the rule remembers; later time is enough."""
    commits = bench.view.commits.count
    bench.recorder.submit("door", [Event("a")])
    bench.step()
    assert [row.type for row in bench.rows("usage")] == ["a", "b"]
    assert bench.journal.state()["rule/b"] == "1"
    assert bench.view.commits.count == commits + 1
    rest = bench.step()
    assert rest <= 60.0
    bench.step(60.0)
    assert [row.type for row in bench.rows("usage")] == ["a", "b", "b"]


def test_what_waited_is_judged_as_of_its_own_time(bench: Bench) -> None:
    """A minute that was over before the next record came is over before it, however late both are looked at."""
    begin = bench.clock.monotonic()
    bench.recorder.submit("door", [Event("a")])
    bench.clock.advance(100.0)
    bench.recorder.submit("door", [Event("x")], at=begin + 59.0)
    bench.recorder.submit("door", [Event("y")], at=begin + 61.0)
    bench.step()
    assert [row.type for row in bench.rows("usage")] == ["a", "b", "x", "b", "y"]


class Addition(Rule):
    """Adds to the record of a day."""

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Know one thing more of the day that is over."""
        if isinstance(record, Event) and record.type == "day_closed":
            record = replace(record, data={**record.data, "known": moment.at_ms is not None})
        yield device, record

    def today(self) -> Mapping[str, Json]:
        """Know one thing more of the day in progress."""
        return {"so_far": 3}


def test_the_record_of_a_day_holds_what_rules_know_of_it(tmp_path: Path) -> None:
    """It passes them like any other; what time and waiting records bring to the day is in it."""
    made = Bench(tmp_path)
    made.make_rules = lambda _journal: [Follow("visit", "visit"), Addition()]
    made.open()
    made.swipe()
    midnight = (datetime.fromtimestamp(made.clock.wall(), CALENDAR.zone) + timedelta(days=1)).replace(hour=0, minute=0)
    made.clock.advance(midnight.timestamp() - made.clock.wall() - 60)
    made.recorder.submit("door", [Event("visit")])
    made.step(120)
    assert made.view.totals.figures == {"so_far": 3}
    closed = [json.loads(row.body) for row in made.rows("usage", "day_closed")]
    made.crash()
    assert [(body["totals"], body["known"]) for body in closed] == [({"visits": 5}, True)]


class Broken(Rule):
    """Fails at every event, and whenever time passes."""

    due = 5.0

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Fail midway."""
        if isinstance(record, Event):
            yield device, Event("half")
            raise ZeroDivisionError
        yield device, record

    def tick(self, moment: Moment) -> Iterator[Said]:
        """Fail."""
        raise ZeroDivisionError
        yield "station", Event("never")


def test_a_rule_with_a_mistake_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What it fails on goes on whole, the others do their work, it is told once, and time does not spin."""
    rules = Rules([Broken(), Follow("a", "b")])
    said = list(rules.take("door", Event("a"), moment(1)))
    assert kinds(said) == ["a", "b"]
    (told,) = [record for _, record in said if isinstance(record, Alarm)]
    assert (told.code, told.active, told.detail["rule"]) == ("rule_failed", True, "Broken")
    assert kinds(rules.take("door", Event("a"), moment(2))) == ["a", "b"]
    assert list(rules.tick(moment(61))) == []
    assert rules.due > 61
    assert list(rules.tick(moment(130))) != []
    assert len(caplog.records) == 1
