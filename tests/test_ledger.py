"""Totals that add up: life, days, hours, what nobody can date yet, and days that are closed."""

from datetime import date, time
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.ledger import LIFE, Calendar, Changes, Ledger, counts
from edge_agent.records import Event

SHANGHAI = Calendar(ZoneInfo("Asia/Shanghai"), time(0))
NOON = 1_780_027_200_000
"""2026-05-29 12:00 in Shanghai."""
HOUR = 3_600_000
DAY = 24 * HOUR


def applied(stored: Changes, changes: Changes) -> Changes:
    """Return what a journal holds after `changes`."""
    return {key: count for key, count in (stored | changes).items() if count is not None}


def test_what_counts() -> None:
    """Visits and the like count; what was only inferred counts apart; maintenance and records of the journal do not."""
    assert counts(Event("visit")) == {"visits": 1}
    assert counts(Event("swap", {"observed": True})) == {"swaps": 1}
    assert counts(Event("battery_out", {"observed": False})) == {"batteries_out_inferred": 1}
    assert counts(Event("visit", {"group": "courier"})) == {"visits": 1, "visits_courier": 1}
    assert counts(Event("no_charged", {"seconds": 90})) == {"no_charged_s": 90}
    assert counts(Event("no_charged")) == {}
    assert counts(Event("maintenance")) == {}
    assert counts(Event("day_closed", {"observed": False})) == {}


def test_a_count_enters_life_and_its_hour() -> None:
    """One visit changes two buckets; a day is the sum of its hours."""
    ledger = Ledger(SHANGHAI, {})
    assert ledger.add({"visits": 1}, NOON, 1) == {(LIFE, "visits"): 1, ("2026-05-29 12", "visits"): 1}
    assert ledger.add({"visits": 1}, NOON + HOUR, 1) == {(LIFE, "visits"): 2, ("2026-05-29 13", "visits"): 1}
    assert ledger.day(date(2026, 5, 29)) == {"visits": 2}
    assert ledger.hours(date(2026, 5, 29))["visits"][12:14] == [1, 1]
    assert ledger.today(NOON) == (date(2026, 5, 29), 12)
    assert ledger.day(date(2026, 5, 30)) == {}


def test_the_business_day_begins_when_the_station_says() -> None:
    """With `day_starts` 04:30 the small hours belong to the day before; the hour stays that of the clock."""
    calendar = Calendar(ZoneInfo("Asia/Shanghai"), time(4, 30))
    assert calendar.hour(NOON - 8 * HOUR) == (date(2026, 5, 28), 4)
    assert calendar.hour(NOON - 7 * HOUR) == (date(2026, 5, 29), 5)


def test_a_clock_beyond_all_calendars() -> None:
    """A broken clock may show any number; it is counted somewhere and nothing fails."""
    assert SHANGHAI.hour(-(10**15))[0].year == 1970
    assert SHANGHAI.hour(10**18)[0].year == 9999


def test_undated_counts_find_their_hours() -> None:
    """They are in the lifetime at once, and move when their boot is dated: nothing is counted twice or lost."""
    ledger = Ledger(SHANGHAI, {})
    stored: Changes = {}
    for boot in (1, 1, 2):
        stored = applied(stored, ledger.add({"visits": 1}, None, boot))
    stored = applied(stored, ledger.add({"swaps": 1}, None, 1))
    assert ledger.undated() == {"visits": 3, "swaps": 1}
    assert ledger.lifetime() == {"visits": 3, "swaps": 1}
    stored = applied(
        stored, ledger.settle(1, [({"visits": 1}, NOON), ({"visits": 1}, NOON + DAY), ({"swaps": 1}, NOON)])
    )
    assert ledger.undated() == {"visits": 1}
    assert ledger.day(date(2026, 5, 29)) == {"visits": 1, "swaps": 1}
    assert ("undated/1", "visits") not in stored
    assert stored["undated/2", "visits"] == 1
    assert Ledger(SHANGHAI, {k: v or 0 for k, v in stored.items()}).lifetime() == ledger.lifetime()


def test_no_more_is_dated_than_was_counted() -> None:
    """Records of one boot cannot bring more into the hours than its bucket holds."""
    ledger = Ledger(SHANGHAI, {("undated/1", "visits"): 1})
    assert ledger.settle(1, [({"visits": 1}, NOON), ({"visits": 1}, NOON), ({"swaps": 1}, NOON)]) == {
        ("undated/1", "visits"): None,
        ("2026-05-29 12", "visits"): 1,
    }


def test_days_are_closed_once_and_in_order() -> None:
    """Every day before today that has counts and is not closed; after a restart the same."""
    ledger = Ledger(SHANGHAI, {})
    for day in (0, 1, 3):
        ledger.add({"visits": 1}, NOON + day * DAY, 1)
    assert ledger.days_to_close(NOON) == []
    days = ledger.days_to_close(NOON + 3 * DAY)
    assert days == [date(2026, 5, 29), date(2026, 5, 30)]
    for over in days:
        assert ledger.close(over) == {}
    assert ledger.days_to_close(NOON + 3 * DAY) == []
    again = Ledger(SHANGHAI, {("2026-05-30 12", "visits"): 1}, "2026-05-30")
    assert again.days_to_close(NOON + 3 * DAY) == []


def test_a_closed_day_that_is_counted_into_is_said_once() -> None:
    """A clock that was set back lets a visit fall into a day already closed: its record must be written anew."""
    ledger = Ledger(SHANGHAI, {})
    ledger.add({"visits": 1}, NOON, 1)
    ledger.close(date(2026, 5, 29))
    assert ledger.days_reopened() == []
    ledger.add({"visits": 1}, NOON, 1)
    ledger.add({"visits": 1}, NOON, 1)
    assert ledger.days_reopened() == [date(2026, 5, 29)]
    assert ledger.days_reopened() == []
    ledger.close(date(2026, 5, 1))
    assert ledger.closed_until == "2026-05-29"


def test_days_long_closed_are_forgotten() -> None:
    """The memory holds some weeks; the journal is told what to delete, and holds the same."""
    ledger = Ledger(SHANGHAI, {})
    stored: Changes = {}
    for day in range(90):
        stored = applied(stored, ledger.add({"visits": 1}, NOON + day * DAY, 1))
        for over in ledger.days_to_close(NOON + day * DAY):
            stored = applied(stored, ledger.close(over))
    days = {bucket[:10] for bucket, _ in stored if bucket != LIFE}
    assert len(days) == 70
    assert ledger.day(date(2026, 5, 29)) == {}
    assert ledger.lifetime() == {"visits": 90}


def test_what_a_damaged_ledger_did_not_hold() -> None:
    """Counts that records prove are added to life, and to their hours."""
    ledger = Ledger(SHANGHAI, {(LIFE, "visits"): 3})
    assert ledger.regain({"visits": 2}, [({"visits": 1}, NOON)]) == {
        (LIFE, "visits"): 5,
        ("2026-05-29 12", "visits"): 1,
    }


@given(
    st.lists(st.tuples(st.sampled_from(["visits", "swaps"]), st.integers(0, 20 * DAY) | st.none(), st.integers(1, 3)))
)
def test_everything_adds_up(counts: list[tuple[str, int | None, int]]) -> None:
    """Life is always days plus undated, and a ledger loaded from what was stored says the same."""
    ledger = Ledger(SHANGHAI, {})
    stored: Changes = {}
    for name, after, boot in counts:
        stored = applied(stored, ledger.add({name: 1}, None if after is None else NOON + after, boot))
    loaded = Ledger(SHANGHAI, {key: count or 0 for key, count in stored.items()})
    for one in (ledger, loaded):
        for name in ("visits", "swaps"):
            days = sum(one.day(date.fromordinal(date(2026, 5, 29).toordinal() + n)).get(name, 0) for n in range(22))
            assert one.lifetime().get(name, 0) == days + one.undated().get(name, 0)
