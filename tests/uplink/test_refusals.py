"""What a reason code concerns, how long what rests, and what is declared after a day."""

import json

import pytest

from edge_agent.clock import FakeClock
from edge_agent.journal.row import Row
from edge_agent.uplink.refusals import Concerns, Refusals, concerns
from edge_agent.uplink.set_aside import KEPT, Refused, SetAside


@pytest.mark.parametrize(
    ("code", "about"),
    [
        (0x80, Concerns.BROKER),
        (0x83, Concerns.BROKER),
        (0x87, Concerns.TOPIC),
        (0x90, Concerns.MESSAGE),
        (0x93, Concerns.BROKER),
        (0x95, Concerns.MESSAGE),
        (0x97, Concerns.BROKER),
        (0x99, Concerns.MESSAGE),
    ],
)
def test_concerns(code: int, about: Concerns) -> None:
    """Every reason code speaks of a topic, of a message or of the broker."""
    assert concerns(code) is about


def test_a_hold_lasts_an_hour_or_a_connection() -> None:
    """A topic is tried again after an hour and after a reconnect; one that cost the connection only after the hour."""
    refusals = Refusals()
    refusals.hold("a", 0.0)
    refusals.hold("b", 100.0, sticky=True)
    assert refusals.holds("a")
    assert not refusals.due(3599.0)
    refusals.reconnected()
    assert not refusals.holds("a")
    assert refusals.holds("b")
    assert refusals.due(3700.0)
    assert not refusals.any_held()


def test_rest_grows_and_ends_with_success() -> None:
    """The window rests longer each time in a row; refusals of one window count once; an acceptance begins anew."""
    refusals = Refusals()
    now, rests = 0.0, []
    for _ in range(11):
        refusals.rest(now)
        refusals.rest(now)
        rests.append(refusals.pause_until - now)
        now = refusals.pause_until
    assert rests == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    refusals.accepted("t")
    refusals.rest(now)
    assert refusals.pause_until - now == 1.0
    refusals.reconnected()
    assert refusals.pause_until == 0.0


def test_over() -> None:
    """The trouble is over a minute after the last refusal, when what was held has been accepted or is gone."""
    refusals = Refusals()
    assert refusals.over(0.0)
    refusals.refused(0.0)
    refusals.hold("a", 0.0)
    refusals.hold("b", 0.0)
    assert not refusals.over(100.0)
    refusals.accepted("a")
    assert not refusals.over(100.0)
    refusals.forget_tried()
    assert not refusals.over(100.0)
    refusals.due(3600.0)
    assert not refusals.over(3600.0)
    refusals.forget_tried()
    assert refusals.over(3600.0)
    refusals.refused(3601.0)
    assert not refusals.over(3650.0)


class Memory(dict[str, str]):
    """What a restart finds again."""

    def remember(self, key: str, text: str | None) -> None:
        """See Recorder.remember."""
        if text is None:
            self.pop(key, None)
        else:
            self[key] = text

    def apply(self, state: dict[str, str | None]) -> None:
        """Remember several."""
        for key, text in state.items():
            self.remember(key, text)


def row(seq: int, stream: str = "tele", epoch: int = 1) -> Row:
    """A row of no further interest."""
    return Row(stream, epoch, seq, "room", "sample", 1, 0, 0, good=True, body="{}")


def test_declared_after_a_day_once() -> None:
    """What is aside for a day is declared once, range by range, and stays aside."""
    clock, memory = FakeClock(), Memory()
    aside = SetAside({}, memory, clock)
    for seq in (1, 2, 3, 7):
        aside.add(row(seq))
    aside.save()
    assert aside.waiting() == {"tele": 4}
    clock.advance(86_399)
    assert aside.overdue() == ([], {})
    clock.advance(1)
    found, state = aside.overdue()
    assert found == [Refused("tele", 1, 1, 3), Refused("tele", 1, 7, 7)]
    memory.apply(state)
    assert aside.overdue() == ([], {})
    assert aside.waiting() == {}
    assert list(SetAside(dict(memory), memory, clock).all()) == found
    assert SetAside(dict(memory), memory, clock).overdue() == ([], {})


def test_set_aside_by_the_hour() -> None:
    """Each hour has a day of its own, and one hour of refusals is one remembered text."""
    clock, memory = FakeClock(), Memory()
    aside = SetAside({}, memory, clock)
    aside.add(row(1))
    clock.advance(3599)
    aside.add(row(2))
    clock.advance(1)
    aside.add(row(3))
    aside.add(row(1, epoch=2))
    aside.save()
    aside.save()
    assert len(memory) == 3
    assert all(key.startswith(KEPT) for key in memory)
    clock.advance(82_800)
    assert aside.overdue()[0] == [Refused("tele", 1, 1, 2)]
    clock.advance(3600)
    assert aside.overdue()[0] == [Refused("tele", 1, 3, 3), Refused("tele", 2, 1, 1)]
    aside.save()
    assert aside.waiting() == {}


@pytest.mark.parametrize(("wall_step", "declared"), [(86_400.0, True), (-1000.0, False)])
def test_age_across_a_reboot(wall_step: float, *, declared: bool) -> None:
    """After a reboot the wall clock tells the age; if it stepped back no time has passed, and nothing is declared."""
    clock, memory = FakeClock(), Memory()
    aside = SetAside({}, memory, clock)
    aside.add(row(1))
    aside.save()
    clock.reboot("another")
    clock.set_wall(clock.wall() + wall_step)
    again = SetAside(dict(memory), memory, clock)
    assert bool(again.overdue()[0]) is declared
    assert json.loads(next(iter(memory.values())))["ranges"] == [[1, 1]]
