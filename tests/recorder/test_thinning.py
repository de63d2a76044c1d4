"""Which readings become a row, and what the row says."""

import json

import pytest

from edge_agent.recorder.thinning import Thinner
from edge_agent.records import Quality, Reading


def told(thinner: Thinner, now: float, *readings: Reading) -> dict[str, object] | None:
    """Return the row's body."""
    sample = thinner.offer("climate", readings, now)
    return None if sample is None else dict(sample.body())


@pytest.fixture
def thinner() -> Thinner:
    """At most every 10 s, all of it every 300 s."""
    return Thinner(min_interval=10.0, heartbeat=300.0)


def test_first_everything_then_changes(thinner: Thinner) -> None:
    """The first words are told whole; later only what left its dead-band, at most every 10 s."""
    first = (Reading("temperature_c", 23.1, 0.5), Reading("humidity_pct", 40.0, 2.0))
    assert told(thinner, 0, *first) == {"temperature_c": 23.1, "humidity_pct": 40.0}
    assert told(thinner, 5, Reading("temperature_c", 25.0, 0.5)) is None
    assert told(thinner, 11, Reading("temperature_c", 23.5, 0.5)) is None
    assert told(thinner, 12, Reading("temperature_c", 23.6, 0.5)) == {"temperature_c": 23.6}


def test_a_change_that_had_to_wait_is_told(thinner: Thinner) -> None:
    """What changed within the shortest interval is told at the next reading after it."""
    told(thinner, 0, Reading("temperature_c", 20.0, 0.5))
    assert told(thinner, 3, Reading("temperature_c", 30.0, 0.5)) is None
    assert told(thinner, 10, Reading("temperature_c", 30.0, 0.5)) == {"temperature_c": 30.0}


def test_doors_do_not_wait(thinner: Thinner) -> None:
    """A prompt point is told at once, with whatever else has changed meanwhile."""
    told(thinner, 0, Reading("door", "closed", prompt=True), Reading("temperature_c", 20.0, 0.5))
    told(thinner, 1, Reading("temperature_c", 22.0, 0.5))
    assert told(thinner, 2, Reading("door", "open", prompt=True)) == {"door": "open", "temperature_c": 22.0}
    sample = thinner.offer("climate", [Reading("door", "closed", prompt=True)], 3)
    assert sample is not None
    assert sample.prompt


def test_the_heartbeat_repeats_everything(thinner: Thinner) -> None:
    """Unchanged values are told again after 300 s."""
    told(thinner, 0, Reading("a", 1), Reading("b", 2))
    assert told(thinner, 299, Reading("a", 1)) is None
    assert told(thinner, 300, Reading("a", 1)) == {"a": 1, "b": 2}


def test_quality_is_told(thinner: Thinner) -> None:
    """A value that turns bad says so once, and is told again when it is good; how bad it is does not matter."""
    told(thinner, 0, Reading("a", 1))
    bad = Reading("a", 1, quality=Quality.BAD, why="timeout")
    assert told(thinner, 20, bad) == {"quality": {"a": "bad"}}
    assert told(thinner, 40, bad) is None
    assert told(thinner, 60, Reading("a", 1)) == {"a": 1}


def test_absent_is_absent(thinner: Thinner) -> None:
    """A value that left is no key; a row that says nothing is an empty body."""
    told(thinner, 0, Reading("soc_pct", 80.0))
    assert told(thinner, 20, Reading("soc_pct", None)) == {}


def test_tuples_and_kinds(thinner: Thinner) -> None:
    """Cell voltages are compared one by one; a bool is no number; another length or kind is a change."""
    told(thinner, 0, Reading("cells_v", (3.30, 3.31), 0.01), Reading("on", value=True, change=5.0))
    assert told(thinner, 20, Reading("cells_v", (3.301, 3.312), 0.01)) is None
    assert told(thinner, 40, Reading("cells_v", (3.30, 3.33), 0.01)) == {"cells_v": [3.30, 3.33]}
    assert told(thinner, 60, Reading("cells_v", (3.30,), 0.01)) == {"cells_v": [3.30]}
    assert told(thinner, 80, Reading("on", value=False, change=5.0)) == {"on": False}
    assert told(thinner, 100, Reading("on", "x", 5.0)) == {"on": "x"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), (1.0, float("-inf"))])
def test_numbers_that_json_does_not_know(thinner: Thinner, value: float) -> None:
    """They are bad values, and the row stays valid JSON."""
    body = told(thinner, 0, Reading("a", value), Reading("b", 1.0))
    assert body == {"b": 1.0, "quality": {"a": "bad"}}
    json.dumps(body, allow_nan=False)


def test_the_latest_of_a_device(thinner: Thinner) -> None:
    """Every point's newest reading is at hand, told or not; of a stranger there is none."""
    told(thinner, 0, Reading("a", 1))
    told(thinner, 1, Reading("a", 2))
    assert thinner.latest("climate") == [Reading("a", 2)]
    assert thinner.latest("stranger") == []
