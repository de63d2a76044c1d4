"""What a door controller kept while the agent was away is counted in its own day, once, and that day is closed anew."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drivers.uhppote import DRIVER, Options, Simulator
from edge_agent.cards import CardKey
from edge_agent.driver import Site
from edge_agent.links import hostile
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.simulated import SimulatedPort
from edge_agent.rules import reconcile, unique
from edge_agent.rules.alarms import AlarmLife
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.swipes import Swipes
from tests.journals import CALENDAR, Bench

OPTIONS = Options(controller=405419896, doors=("front",))
CARDS = range(8_100_001, 8_100_007)


class Site24(Bench):
    """A journal, and a controller that goes on by itself while the agent does not."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.make_rules = lambda journal: [
            reconcile.Controllers(CALENDAR, journal.state().get(reconcile.KEY)),
            Swipes(10.0, journal.ledger(), keys := DayKeys(self.directory)),
            unique.Unique(CALENDAR, 5, keys, journal.state().get(unique.KEY), journal.ledger()),
            reconcile.Doors(30, {}, CALENDAR),
            AlarmLife(journal.state()),
        ]
        self.controller = Simulator(OPTIONS, Site())
        self.controller.clock = self.local
        wire = hostile.Wire(SimulatedPort([self.controller], self.clock))
        self.link = ByteLink("net", lambda: wire, self.clock, Timing(guard=0, echo="no"))
        self.link.open()

    def local(self) -> datetime:
        """Return what a clock on the wall shows."""
        return datetime.fromtimestamp(self.clock.wall(), CALENDAR.zone).replace(tzinfo=None)

    def start(self) -> None:
        """Start the agent and poll the controller once."""
        self.open()
        self.poll()

    def poll(self) -> None:
        """Ask the controller for what is new, with a driver as after a restart."""
        key = CardKey("k1", b"a secret of the tests, 32 bytes..")
        driver = DRIVER(OPTIONS, Site(key, self.recorder.recall("gate")))
        self.recorder.submit("gate", driver.poll(self.link))
        self.step()

    def until(self, hour: int, *, days: int = 0) -> None:
        """Let time pass until a local hour; the agent works only where it is told to."""
        then = (self.local() + timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)
        self.clock.advance((then - self.local()).total_seconds())

    def closed(self) -> list[dict[str, Any]]:
        """Return the records of days."""
        return [json.loads(row.body) for row in self.rows("usage", "day_closed")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site24]:
    """Give a site, in the evening."""
    made = Site24(tmp_path)
    made.until(20)
    made.start()
    yield made
    made.link.close()
    made.crash()


def test_a_night_without_the_agent(site: Site24) -> None:
    """Each swipe is dated by the controller; the days' figures are as if the agent had never been away."""
    site.until(21)
    for card in CARDS[:3]:
        site.controller.swipe(card)
        site.clock.advance(60)
    site.poll()
    site.close()
    for hour, days, cards in ((22, 0, CARDS[2:]), (1, 1, CARDS[:5])):
        site.until(hour, days=days)
        for card in cards:
            site.controller.swipe(card)
            site.clock.advance(3)
            site.controller.swipe(card)
            site.clock.advance(57)
    site.until(6)
    site.open()
    before = [day["totals"]["visits"] for day in site.closed()]
    site.poll()
    site.close()
    site.start()
    assert site.view.totals.today == {"visits": 5}
    assert before == [3]
    first, second = site.closed()
    assert second["revised"] is True
    assert second["totals"] == {"visits": 7}
    assert Counter({hour: n for hour, n in enumerate(second["hours"]["visits"]) if n}) == {21: 3, 22: 4}
    assert second["unique_visitors"] == 6
    assert "unique_visitors" not in first
    assert second["controllers"] == {"gate": {"told": 11, "missing": 0}}
    site.until(0, days=1)
    site.step()
    assert site.closed()[-1]["totals"] == {"visits": 5}
    assert site.closed()[-1]["unique_visitors"] == 5


def test_what_the_controller_overwrote_is_told_as_missing(site: Site24) -> None:
    """The figure of the day says how many were lost, and an alarm that some were."""
    site.close()
    for card in CARDS:
        site.controller.swipe(card)
        site.clock.advance(60)
    site.controller.overwrite(4)
    site.start()
    site.until(0, days=1)
    site.step()
    assert site.closed()[-1]["controllers"] == {"gate": {"told": 2, "missing": 4}}
    assert ("gate", "count_mismatch") in site.view.alarms
