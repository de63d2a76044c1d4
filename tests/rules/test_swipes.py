"""Double swipes are one visit, across restarts."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Stamp
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.swipes import Swipes

A, B = "visit/" + "a" * 32, "visit/" + "b" * 32
KEYS = DayKeys(None)


def at(seconds: float, boot: int = 1) -> Stamp:
    """Return a stamp."""
    return Stamp(boot, round(seconds * 1000), 5_000_000 + round(seconds * 1000), good=True)


def test_the_same_card_within_the_window_is_one_visit() -> None:
    """The window runs from the visit that counted, not from the last swipe."""
    swipes = Swipes(10.0, {}, KEYS)
    assert [swipes.admit(A, at(t)) for t in (0, 5, 9.999, 10, 15, 20)] == [True, False, False, True, False, True]


def test_cards_do_not_hide_each_other() -> None:
    """A, B, A within the window are two visits."""
    swipes = Swipes(10.0, {}, KEYS)
    assert [swipes.admit(card, at(t)) for t, card in ((0, A), (1, B), (2, A), (3, B))] == [True, True, False, False]


def stored(swipes: Swipes, told: list[tuple[str, Stamp]]) -> dict[tuple[str, str], int]:
    """Admit each and return what the ledger's table then holds of them."""
    kept: dict[tuple[str, str], int] = {}
    for card, stamp in told:
        if swipes.admit(card, stamp):
            for key, value in swipes.remembered(card, stamp).items():
                if value is None:
                    del kept[key]
                else:
                    kept[key] = value
    return kept


def test_the_window_survives_a_restart() -> None:
    """What was admitted within the boot still holds after a restart; what is older than the window does not."""
    again = Swipes(10.0, stored(Swipes(10.0, {}, KEYS), [(A, at(0)), (B, at(15))]), KEYS)
    assert not again.admit(B, at(20))
    assert again.admit(A, at(20))


def test_only_the_newest_swipes_are_kept() -> None:
    """What is remembered stays within a page, through restarts too, and counts of the ledger are left alone."""
    cards = [(f"visit/{n:032x}", at(n / 100)) for n in range(40)]
    kept = stored(Swipes(10.0, {}, KEYS), cards)
    assert len(kept) == 16
    again = Swipes(10.0, kept | {("life", "visits"): 40}, KEYS)
    assert [again.admit(card, at(1)) for card, _ in cards[-16:]] == [False] * 16
    key, *gone = again.remembered(A, at(2))
    assert key[0] == "recent/1"
    assert "a" * 32 not in key[1]
    assert gone == [next(iter(kept))]


def test_a_reboot_is_longer_than_any_window() -> None:
    """The monotonic clock of another boot says nothing."""
    kept = stored(Swipes(10.0, {}, KEYS), [(A, at(5, boot=1))])
    assert Swipes(10.0, kept, KEYS).admit(A, at(6, boot=2))


def test_swipes_read_late_are_judged_by_when_they_were() -> None:
    """What a controller stored during an outage does not hide behind a swipe of today, nor twice in itself."""
    swipes = Swipes(10.0, {}, KEYS)
    told = [(A, 3600), (A, 60), (A, 65), (A, 120), (A, 3605), (A, 3612), (B, 118), (A, 145)]
    assert [swipes.admit(card, at(t)) for card, t in told] == [True, True, False, True, False, True, True, True]


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 40)), max_size=30))
def test_any_order_of_swipes(told: list[tuple[str, int]]) -> None:
    """A swipe that is no visit has a visit within the window; in order of time, no two visits of a card are closer."""
    swipes = Swipes(10.0, {}, KEYS)
    visits: list[tuple[str, int]] = []
    latest = 0
    for card, t in told:
        new = swipes.admit(card, at(t))
        near = [one for one in visits if one[0] == card and abs(one[1] - t) < 10]
        assert near or new
        if t >= latest:
            assert new is not bool(near)
        latest = max(latest, t)
        if new:
            visits.append((card, t))


def test_no_window() -> None:
    """With a window of 0 every swipe counts."""
    swipes = Swipes(0.0, {}, KEYS)
    assert swipes.admit(A, at(0))
    assert swipes.admit(A, at(0))


def test_a_damaged_memory_of_swipes() -> None:
    """An entry that makes no sense is forgotten; the agent starts."""
    assert Swipes(10.0, {("recent/x", "a" * 32): 0}, KEYS).admit(A, at(0))
