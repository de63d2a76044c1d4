"""The siren of a whole station: real contacts and a real relay's driver, whatever the journal and the uplink do."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.commands import Request
from edge_agent.demo.station import SimulatedStation
from edge_agent.journal.journal import Batch
from edge_agent.station import Station
from tests.stations import HEAD, far_ends, running, wait_for

TEXT = (
    HEAD
    + """
[commands]
allow = ["station/acknowledge"]

[[link]]
name = "header"
kind = "gpio"

[[device]]
name = "hall"
link = "header"
driver = "contacts"
inputs = [
  { role = "sos", line = 22, active = "closed" },
  { role = "smoke", line = 23, active = "open" },
  { role = "input", name = "battery_01", line = 24, active = "closed" },
  { role = "input", name = "smoke_01", line = 25, active = "closed" },
  { role = "input", name = "hot", line = 26, active = "closed" },
]

[[cabinet]]
name = "box"
slots = 1
presence = "hall.battery_{slot:02}"
smoke = "hall.smoke_{slot:02}"

[[alarm]]
name = "thermostat"
code = "battery_over_temp"
when = "hall.hot"

[[device]]
name = "outputs"
link = "header"
driver = "relay_gpio"
every = "1s"
outputs = [{ name = "siren", line = 5, on = "high", longest = "30s" }]

[[reflex]]
name = "siren"
device = "outputs"
on = "on_siren"
off = "off_siren"
lasts = "60s"
"""
)
NOBODY = 1
"""A port at which no broker listens."""


def is_on(ends: SimulatedStation) -> bool:
    """Return whether the relay's line is at the level that means on."""
    return bool(ends._pins.pin(5).state)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[SimulatedStation]:
    """Give a station without any centre."""
    with far_ends(tmp_path, TEXT, NOBODY) as made:
        yield made


@pytest.mark.parametrize(
    ("contact", "alarm"),
    [("sos", ("hall", "sos")), ("smoke_01", ("box-01", "smoke")), ("hot", ("hall", "battery_over_temp"))],
    ids=["a contact", "a cabinet", "a condition"],
)
def test_it_sounds_without_centre_and_journal(ends: SimulatedStation, contact: str, alarm: tuple[str, str]) -> None:
    """While the journal's thread is stuck the siren sounds all the same; the alarm is stored as soon as it can be."""
    with running(ends) as station:
        stuck, go_on = threading.Event(), threading.Event()
        commit = station.journal.commit

        def hang(batch: Batch) -> None:
            stuck.set()
            assert go_on.wait(20.0)
            commit(batch)

        station.journal.commit = hang  # type: ignore[method-assign]
        station.recorder.commit_soon()
        wait_for(stuck.is_set, "the journal is stuck")
        ends.simulators["hall"].set(contact, True)
        wait_for(lambda: is_on(ends), "the siren sounds")
        assert alarm not in station.picture.view.alarms
        go_on.set()
        wait_for(lambda: alarm in station.picture.view.alarms, "the alarm is stored")
    assert not is_on(ends)


def test_an_operator_ends_it(ends: SimulatedStation) -> None:
    """By acknowledging; what happened is on record: that it sounded, how soon, and why it ended."""
    with running(ends) as station:
        ends.simulators["hall"].set("sos", True)
        wait_for(lambda: is_on(ends), "the siren sounds")
        wait_for(lambda: ("hall", "sos") in station.picture.view.alarms, "the alarm is stored")
        body = {"id": "c1", "by": "li", "ts": datetime.now(UTC).isoformat(), "device": "hall", "code": "sos"}
        answer = station.gate.handle(Request("station/acknowledge", json.dumps(body).encode(), 30.0))
        assert answer.ok, answer.reason
        wait_for(lambda: not is_on(ends), "the siren is silent")
        alarm = station.picture.view.alarms["hall", "sos"].state
        assert alarm.by == "li"
        assert alarm.stands
        wait_for(lambda: len(events(station)) == 2, "both are on record")
        began, ended = events(station)
        assert '"on":true' in began
        assert '"causes":["hall/sos"]' in began
        assert '"why":"silenced"' in ended


def test_smoke_before_the_start(ends: SimulatedStation) -> None:
    """A detector that has tripped while the agent was off sounds the siren as soon as the agent looks."""
    ends.simulators["hall"].set("smoke", True)
    pin = ends._pins.pin(23)
    wait_for(lambda: pin.state, "the detector has opened its contact")
    with running(ends):
        wait_for(lambda: is_on(ends), "the siren sounds")


def events(station: Station) -> list[str]:
    """Return what the journal has of the reflex."""
    reader = station.reader()
    try:
        return [row.body for row in reader.all_rows() if row.type == "reflex"]
    finally:
        reader.close()
