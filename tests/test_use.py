"""Use detection: a use is what lasts, pauses belong to it, and what nobody saw begin is no event."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.device import Use
from edge_agent.records import Event, Quality, Reading, Record
from edge_agent.use import UseDetector, UseRule

RULE = UseRule("power_kw", on=0.1, off=0.05, on_for=10.0, off_for=180.0)


def told(detector: UseDetector, samples: Iterable[tuple[float, float]]) -> list[Record]:
    """Feed (time, value) pairs."""
    return [record for at, value in samples for record in detector.take([Reading("power_kw", value)], at)]


def events(records: Iterable[Record]) -> list[tuple[str, float | None]]:
    """Type and time of the events."""
    return [(record.type, record.at) for record in records if isinstance(record, Event)]


def every(step: float, begin: float, end: float, value: float) -> list[tuple[float, float]]:
    """Equal samples from `begin` up to, not including, `end`."""
    return [(begin + index * step, value) for index in range(round((end - begin) / step))]


def stopped() -> UseDetector:
    """A detector that knows by t = 200 s that nothing runs."""
    detector = UseDetector(RULE)
    records = told(detector, every(5, 0, 205, 0.0))
    assert events(records) == []
    assert records[-1] == Reading("running", value=False)
    return detector


def test_a_use_begins_and_ends_when_the_value_turned() -> None:
    """The events carry the moments of the turn, not those of the proof, and how long and strong the use was."""
    detector = stopped()
    records = told(detector, every(5, 205, 505, 1.2) + every(5, 505, 700, 0.0))
    assert events(records) == [("use_started", 205), ("use_ended", 505)]
    ended = next(record for record in records if isinstance(record, Event) and record.type == "use_ended")
    assert ended.data == {"point": "power_kw", "seconds": 300.0, "mean": 1.2}
    assert records[-1] == Reading("running", value=False)


def test_a_compressors_pauses_belong_to_the_use() -> None:
    """Pauses shorter than `off_for` neither end the use nor start another."""
    detector = stopped()
    cycle = [(begin, value) for start in range(205, 3000, 300) for begin, value in every(5, start, start + 150, 1.0)]
    pauses = [(begin, value) for start in range(355, 3000, 300) for begin, value in every(5, start, start + 150, 0.0)]
    assert events(told(detector, sorted(cycle + pauses))) == [("use_started", 205)]


def test_a_spike_is_no_use() -> None:
    """What does not last `on_for` does not count."""
    detector = stopped()
    assert events(told(detector, [(205, 2.0), (210, 2.0), (214, 0.0), (220, 0.0)])) == []


def test_between_the_thresholds_nothing_changes() -> None:
    """A value that hovers keeps the state it was in, and ends a turn that had begun."""
    detector = stopped()
    assert events(told(detector, every(5, 205, 600, 0.07))) == []
    assert events(told(detector, [(600, 1.0), (605, 0.07), (612, 1.0)])) == []


def test_what_was_running_at_the_start_is_no_event() -> None:
    """It shows as running; its end is an event that says nobody saw the beginning."""
    detector = UseDetector(RULE)
    records = told(detector, every(5, 0, 30, 1.0))
    assert events(records) == []
    assert records[-1] == Reading("running", value=True)
    records = told(detector, every(5, 30, 230, 0.0))
    assert [record.data for record in records if isinstance(record, Event)] == [
        {"point": "power_kw", "observed": False}
    ]


def test_silence_proves_nothing() -> None:
    """Two looks a long silence apart do not make a duration, and the silence is in no mean."""
    detector = stopped()
    assert events(told(detector, [(205, 1.0), (1205, 1.0)])) == []
    records = told(detector, [*every(5, 1210, 1300, 1.0), *every(5, 2300, 2600, 0.0)])
    assert events(records) == [("use_started", 1205), ("use_ended", 2300)]
    ended = records[-1 - next(i for i, record in enumerate(reversed(records)) if isinstance(record, Event))]
    assert isinstance(ended, Event)
    assert ended.data["mean"] == 1.0


def test_only_good_numbers_of_the_point_are_judged() -> None:
    """Other points, doubtful values, texts and truth values are passed over."""
    detector = stopped()
    strange: list[Record] = [
        Reading("current_a", 9.0),
        Reading("power_kw", None),
        Reading("power_kw", 9.0, quality=Quality.BAD),
        Reading("power_kw", "high"),
        Reading("power_kw", value=True),
        Event("visit"),
    ]
    assert [record for at in (205, 225) for record in detector.take(strange, at)] == []


@given(st.lists(st.tuples(st.floats(0.1, 400), st.floats(-1, 3)), max_size=60))
def test_events_alternate_and_never_lie_about_time(steps: list[tuple[float, float]]) -> None:
    """Whatever comes: starts and ends take turns, in the order of time, and never in the future."""
    detector = UseDetector(RULE)
    now, before, last = 0.0, "", 0.0
    for step, value in steps:
        now += step
        for record in detector.take([Reading("power_kw", value)], now):
            if isinstance(record, Event):
                assert record.type != before
                assert record.at is not None
                assert last <= record.at <= now
                before, last = record.type, record.at


def test_thresholds_the_wrong_way_round_are_refused() -> None:
    """`off` above `on` would flutter."""
    with pytest.raises(ValueError, match="off must be the lower"):
        Use(point="power_kw", on=0.1, off=0.2)
