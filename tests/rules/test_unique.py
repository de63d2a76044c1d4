"""Different visitors of a day are counted under a key that is destroyed with the day."""

import random
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import CardRef, Event
from edge_agent.rules.day_keys import FILE, DayKeys
from edge_agent.rules.swipes import Swipes
from edge_agent.rules.unique import KEY, Unique
from tests.journals import CALENDAR as BENCH_CALENDAR
from tests.journals import bench
from tests.rules.rig import CALENDAR, DAY_S, Play

DAY = "2026-11-22"


def card(number: int) -> CardRef:
    """Return the lasting reference of a card."""
    return CardRef(f"{number:02x}" * 16, "k1")


def station(directory: Path, *, known: bool = True) -> Play:
    """Give a station that counts different visitors, at noon."""
    return Play(lambda state, led: [Unique(CALENDAR, 5, DayKeys(directory), state.get(KEY), led)], known=known)


def come(play: Play, *cards: int, ago: float = 0.0) -> None:
    """Let people come."""
    for number in cards:
        play.tell("door", Event("visit", card=card(number)), ago=ago)


def test_whoever_comes_twice_is_one_visitor(tmp_path: Path) -> None:
    """Also across restarts of agent and machine; the next day everybody is new."""
    play = station(tmp_path)
    come(play, 1, 2, 3, 1, 4)
    play.restart()
    come(play, 4, 5)
    play.restart(boot=True)
    come(play, 5, 6, 1)
    assert play.close_day(DAY)["unique_visitors"] == 6
    play.wait(DAY_S)
    come(play, 1, 2, 3, 4, 5)
    assert play.close_day("2026-11-23")["unique_visitors"] == 5


def test_few_people_are_not_told(tmp_path: Path) -> None:
    """Below the limit only that there were few; of nobody nothing at all."""
    play = station(tmp_path)
    assert "unique_visitors_few" not in play.close_day(DAY)
    come(play, 1, 2, 3, 4)
    closed = play.close_day(DAY)
    assert closed["unique_visitors_few"] is True
    assert "unique_visitors" not in closed


def test_today_is_told_at_full_hours(tmp_path: Path) -> None:
    """Nobody can watch the figure to learn which visit was somebody's first."""
    play = station(tmp_path)
    come(play, 1, 2, 3, 4, 5, 6)
    play.wait(1800)
    assert play.rules.today() == {}
    play.wait(1800)
    assert play.rules.today() == {"unique_visitors": 6}
    play.wait(DAY_S)
    assert play.rules.today() == {}


def test_the_key_is_gone_a_quarter_of_an_hour_behind_the_day(tmp_path: Path) -> None:
    """And with it all that was remembered of cards; the number stays for a record that has to be written anew."""
    play = station(tmp_path)
    come(play, 1, 2, 3, 4, 5)
    before = (tmp_path / FILE).read_bytes()
    assert before.strip(b"\0")
    play.wait(DAY_S / 2 + 10 * 60)
    assert (tmp_path / FILE).read_bytes() == before
    come(play, 5, 6, ago=20 * 60)
    play.wait(10 * 60)
    assert not (tmp_path / FILE).read_bytes().strip(b"\0")
    assert play.ledger == {}
    come(play, 1, ago=30 * 60)
    play.restart()
    closed = play.close_day(DAY)
    assert (closed["unique_visitors"], closed["visitors_unmatched"]) == (6, 1)
    assert DayKeys(tmp_path).days == []


def test_a_day_read_late_from_a_controller(tmp_path: Path) -> None:
    """Whoever came while the agent was away is told apart under a key of that day, which is then destroyed."""
    play = station(tmp_path)
    come(play, 1)
    play.wall += 2 * DAY_S
    play.restart(boot=True)
    come(play, 1, 2, 2, 3, 4, 5, ago=1.2 * DAY_S)
    come(play, 2, 3, ago=2 * DAY_S)
    play.wait(3600)
    assert play.close_day("2026-11-23")["unique_visitors"] == 5
    assert play.close_day(DAY)["unique_visitors_few"] is True
    assert DayKeys(tmp_path).days == []


@pytest.mark.parametrize("days", [0, 1, 3])
def test_visits_while_nobody_knew_the_time(tmp_path: Path, days: int) -> None:
    """They join the day they belong to once that is known, whether it is the one that had begun or a later one."""
    play = station(tmp_path)
    come(play, 1, 2, 3)
    play.wall += days * DAY_S
    play.known = False
    play.restart(boot=True)
    come(play, 3, 4)
    play.wait(120)
    play.restart()
    come(play, 4, 5, 6, 7)
    play.known = True
    play.wait(60)
    come(play, 7, 8)
    closed = play.close_day(str(date(2026, 11, 22 + days)))
    assert closed["unique_visitors"] == (8 if days == 0 else 6)
    assert len(DayKeys(tmp_path).days) == 1


def test_a_boot_that_is_never_dated(tmp_path: Path) -> None:
    """Its visitors belong to no day; a first key made then serves the day on which the time is known again."""
    play = station(tmp_path, known=False)
    come(play, 1, 2)
    play.restart(boot=True)
    come(play, 3)
    play.known = True
    come(play, 4, 5, 6, 7)
    assert play.close_day(DAY)["unique_visitors"] == 5
    assert DayKeys(tmp_path).days == [DAY]


def test_a_lost_key_makes_no_visitor_new(tmp_path: Path) -> None:
    """Who came before it was lost stays counted; later visits of that day are told as unmatched."""
    play = station(tmp_path)
    come(play, 1, 2, 3, 4, 5)
    (tmp_path / FILE).unlink()
    play.restart()
    come(play, 1, 9)
    closed = play.close_day(DAY)
    assert (closed["unique_visitors"], closed["visitors_unmatched"]) == (5, 2)


def test_a_clock_that_showed_another_year(tmp_path: Path) -> None:
    """The key of a day to come is destroyed, too, when the time is right again."""
    play = station(tmp_path)
    play.wall += 3650 * DAY_S
    come(play, 1)
    play.wall -= 3650 * DAY_S
    come(play, 1)
    play.wait(7200)
    assert DayKeys(tmp_path).days == [DAY]


def test_visits_without_a_card_are_nobodys(tmp_path: Path) -> None:
    """A number that could not be read is unmatched; a door or beam that counts says nothing of people at all."""
    play = station(tmp_path)
    play.tell("door", Event("visit"), Event("visit", {"by": "door"}))
    assert play.close_day(DAY)["visitors_unmatched"] == 1


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["go on", "restart", "boot", "no clock", "clock"]))))
def test_restarts_change_no_figure(story: list[tuple[int, str]]) -> None:
    """Whatever the agent, the machine and its clock do, the day has as many visitors as it had cards."""
    keys = DayKeys(None)
    play = Play(lambda state, led: [Unique(CALENDAR, 2, keys, state.get(KEY), led)])
    for number, then in [*story, (1, "clock"), (2, "go on")]:
        come(play, number)
        play.wait(7)
        if then in {"restart", "boot"} and (play.known or then == "restart"):
            play.restart(boot=then == "boot")
        elif then.endswith("clock"):
            play.known = then == "clock"
            play.wait(60)
    assert play.close_day(DAY)["unique_visitors"] == len({number for number, _ in story} | {1, 2})


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """Give a place where no file can be made."""
    (tmp_path / "file").write_text("", encoding="ascii")
    return tmp_path / "file" / "below"


def test_keys_without_a_disk(unwritable: Path) -> None:
    """They last until the agent ends."""
    keys = DayKeys(unwritable)
    assert keys.visitor(DAY, "a") == keys.visitor(DAY, "a")
    assert DayKeys(unwritable).days == []


def test_keys_are_few_and_damaged_ones_none(tmp_path: Path) -> None:
    """The oldest goes for a fifth; a slot cut short is empty."""
    keys = DayKeys(tmp_path)
    names = {keys.visitor(f"2026-11-{day}", "a") for day in range(20, 25)}
    assert len(names) == 5
    assert DayKeys(tmp_path).days == ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"]
    content = bytearray((tmp_path / FILE).read_bytes())
    content[40] ^= 1
    (tmp_path / FILE).write_bytes(content[:300])
    assert len(DayKeys(tmp_path).days) == 1


def test_nothing_that_lasts_of_a_card_stays_in_the_journal(tmp_path: Path) -> None:
    """Neither a reference nor, once the day is over, the key under which cards were told apart that day."""
    chance = random.Random(7)
    random_cards = [CardRef(chance.randbytes(16).hex(), "k1") for _ in range(20)]
    with bench(tmp_path) as made:
        made.make_rules = lambda journal: [
            Swipes(10.0, journal.ledger(), keys := DayKeys(made.directory)),
            Unique(BENCH_CALENDAR, 5, keys, journal.state().get(KEY), journal.ledger()),
        ]
        made.crash()
        made.open()
        for one in random_cards:
            made.recorder.submit("door", [Event("visit", card=one)])
            made.step(60.0)
        secret = (made.directory / FILE).read_bytes()[19:83]
        for _ in range(150):
            made.step(600.0)
        assert b'"unique_visitors":20' in made.rows("usage", "day_closed")[0].body.encode()
        content = b"".join(file.read_bytes() for file in made.directory.iterdir() if file.is_file())
    assert len(bytes.fromhex(secret.decode())) == 32
    needles = [one.ref.encode() for one in random_cards] + [bytes.fromhex(one.ref) for one in random_cards]
    assert [needle for needle in [*needles, secret] if needle in content] == []
