"""When to connect again, and how fast a backlog may go."""

import random

import pytest

from edge_agent.uplink.backoff import Backoff, Pace, Pauses


class Upper(random.Random):
    """Always draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        """See random.Random."""
        return max(a, b)


def test_pauses_double_up_to_the_ceiling() -> None:
    """Each failure doubles the bound of the next pause; success begins anew."""
    backoff = Backoff(Pauses(60.0, 300.0), Upper())
    assert [backoff.after_failure() for _ in range(4)] == [60.0, 120.0, 240.0, 300.0]
    backoff.success()
    assert backoff.after_failure() == 60.0


def test_pauses_are_spread() -> None:
    """Stations that lose the broker in one instant come back over the whole bound."""
    pauses = [Backoff(Pauses(60.0, 300.0), random.Random(n)).after_failure() for n in range(1000)]
    assert min(pauses) < 1
    assert max(pauses) > 59
    assert 27 < sum(pauses) / len(pauses) < 33


@pytest.mark.parametrize(("uptime", "backlog", "pause"), [(10.0, True, 60.0), (10.0, False, 0.0), (500.0, True, 0.0)])
def test_at_start(uptime: float, *, backlog: bool, pause: float) -> None:
    """The first attempt waits only if the power has just come back to many with a backlog."""
    assert Backoff(Pauses(60.0, 300.0), Upper()).at_start(uptime, backlog=backlog) == pause


def test_critical_jumps_once_a_minute() -> None:
    """A waiting critical alarm may try at once, but not more than once a minute."""
    backoff = Backoff(Pauses(), random.Random(1))
    assert [backoff.may_jump(now) for now in (0.0, 30.0, 60.0, 61.0)] == [True, False, True, False]


def test_pace() -> None:
    """A second's worth may go at once after a rest, then one each 50 ms."""
    pace = Pace(20.0)
    sent, now = 0, 100.0
    while pace.wait(now) == 0:
        pace.spend()
        sent += 1
    assert sent == 20
    assert pace.wait(now) == pytest.approx(0.05)
    assert pace.wait(now + 0.051) == 0.0


def test_no_pace() -> None:
    """Rate 0 is no limit."""
    pace = Pace(0.0)
    for _ in range(1000):
        assert pace.wait(0.0) == 0.0
        pace.spend()
