"""The public card: what is known goes on it, what is not is left out, and nothing of anybody's."""

from datetime import date

from edge_agent.picture import Device, Point, Totals, View
from edge_agent.public import Card, public
from edge_agent.records import Quality, Reading, Value

CARD = Card({"zh": "站", "en": "Station"}, {"lat": 1.0}, ("room", "temperature_c"), ("cabinet", "annex"))


def device(quality: Quality = Quality.GOOD, **values: Value) -> Device:
    """Return a device with these values."""
    return Device({name: Point(Reading(name, value, quality=quality), 0, 0.0, 0) for name, value in values.items()})


def test_everything_known() -> None:
    """Open since when, whole degrees and a word for them, all cabinets together, what is offered."""
    view = View(
        {
            "station": device(open=True, open_since_ms=5000, people_inside=3, staff="li"),
            "room": device(temperature_c=23.4),
            "cabinet": device(batteries_available=4),
            "annex": device(batteries_available=3),
            "abilities": device(rest="available", coolness="unknown", coolness_cause="power", water="degraded"),
        },
        totals=Totals(lifetime={"visits": 9}, day=date(2026, 5, 29)),
    )
    assert public(CARD, view) == {
        "name": {"zh": "站", "en": "Station"},
        "place": {"lat": 1.0},
        "open": True,
        "since_ms": 5000,
        "temperature_c": 23,
        "comfort": "comfortable",
        "charged_batteries": 7,
        "abilities": {"rest": "available", "water": "degraded"},
    }


def test_what_is_not_known_is_left_out() -> None:
    """A value that cannot be believed, and the sum of cabinets one of which is silent, are not guessed."""
    view = View({"room": device(Quality.BAD, temperature_c=23.4), "cabinet": device(batteries_available=4)})
    assert public(CARD, view) == {"name": {"zh": "站", "en": "Station"}, "place": {"lat": 1.0}}
    assert public(Card({"zh": "站", "en": "Station"}, {}, None, ()), View()) == {"name": {"zh": "站", "en": "Station"}}


def test_words_for_temperatures() -> None:
    """From cold to hot."""
    words = [
        public(CARD, View({"room": device(temperature_c=celsius)}))["comfort"] for celsius in (-5.0, 15.0, 20.0, 30, 40)
    ]
    assert words == ["cold", "cool", "comfortable", "warm", "hot"]
