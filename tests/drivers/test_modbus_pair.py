"""A full pair at 9600 baud: nobody waits without need, and a dead device costs its neighbours next to nothing."""

from itertools import pairwise

from tests.benchmarks.pair import CYCLES, MOST, Pair, cycle, devices

DEAD = "climate-3"
DEAD_UNIT = 103
TIMEOUT = 1.0
"""The profile's."""


def test_a_poll_cycle_takes_little_more_than_the_wire_and_the_devices() -> None:
    """12 batteries, 2 lock boards and 4 sensors take at most 1.15 times what their bytes and answers take alone."""
    took, limit = cycle()
    assert limit < took <= MOST * limit


def test_every_device_is_asked_in_every_cycle() -> None:
    """The figure above is of whole cycles: each device is heard each time."""
    pair = Pair()
    for _ in range(CYCLES):
        pair.worker.step()
        pair.clock.advance(pair.every)
    assert {name: pair.sink.heard[name] for name, _, _ in devices()} == dict.fromkeys(
        (name for name, _, _ in devices()), CYCLES
    )


def test_a_dead_device_costs_one_timeout_a_probe_at_most_once_a_minute() -> None:
    """Once found dead, a device is probed at most once a minute, each probe is one question and one timeout."""
    pair = Pair(dead=frozenset({DEAD}))
    pair.run(30.0)
    pair.forget()
    pair.run(400.0)
    times = [at for at, _ in pair.asked]
    probes = [index for index, (_, data) in enumerate(pair.asked[:-1]) if (data[0], data[1]) == (DEAD_UNIT, 4)]
    assert len(probes) >= 2
    assert all(later - earlier >= 60.0 for earlier, later in pairwise(times[index] for index in probes))
    # The pair is never idle here: the next question waits for nothing but the probe.
    assert all(TIMEOUT <= times[index + 1] - times[index] <= TIMEOUT + 0.05 for index in probes)


def test_the_others_are_heard_as_often_beside_a_dead_device() -> None:
    """In ten minutes the neighbours of a dead device lose no more polls than its probes take time."""
    with_dead, without = Pair(dead=frozenset({DEAD}), every=5.0), Pair(every=5.0)
    for pair in (with_dead, without):
        pair.run(600.0)
    for name, _, _ in devices():
        if name != DEAD:
            assert with_dead.sink.heard[name] >= 0.97 * without.sink.heard[name]
    assert with_dead.sink.heard[DEAD] == 0
