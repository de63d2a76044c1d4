"""Swipes at a door controller, over real datagrams, through restarts of the agent: each is one visit."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from drivers.uhppote import Options, Simulator
from drivers.uhppote.simulator import Responder
from edge_agent.demo.station import TrustedClock
from edge_agent.driver import Site
from edge_agent.station import Station
from tests.stations import HEAD, Centre, centre, far_ends, wait_for

CONTROLLER = """
[[link]]
name = "door-network"
kind = "udp"
host = "127.0.0.1"
port = {port}

[[device]]
name = "door-controller"
link = "door-network"
driver = "uhppote"
every = "50ms"
controller = 405419896
"""
CARD = 8165537


def _polled(station: Station) -> bool:
    return station.statistics()["door-controller"].good > 1


def _counted(broker: Centre, visits: int) -> bool:
    found: int | None = broker.last("usage").get("lifetime", {}).get("visits")
    return found == visits


def test_swipes_are_counted_once_through_restarts_and_outages(tmp_path: Path) -> None:
    """What was swiped while the agent was down is counted when it comes back, in its own minute, and nothing twice."""
    controller = Simulator(Options(controller=405419896), Site())
    now = datetime.now()  # noqa: DTZ005  (controllers know no zone)
    controller.clock = lambda: now
    controller.swipe(CARD)  # history
    with Responder(controller, delivers=2) as responder, centre() as broker:
        text = HEAD + CONTROLLER.format(port=responder.port)
        with far_ends(tmp_path, text, broker.thread.port) as ends:
            for run in range(3):
                with Station(ends.config, clock=TrustedClock()) as station:
                    wait_for(partial(_polled, station), "controller polled")
                    controller.swipe(CARD + 1 + run)
                    wait_for(partial(_counted, broker, 4 * run + 1), f"visits of run {run}")
                # Three swipes of one card while the agent is down, a minute apart: they will be read in one poll.
                # The pace differs from run to run, because the agent's own clock does not see these minutes pass.
                pace = timedelta(seconds=60 + 10 * run)
                for _ in range(3):
                    now += pace
                    controller.swipe(CARD)
                now += pace
            with Station(ends.config, clock=TrustedClock()) as station:
                wait_for(lambda: broker.last("usage").get("lifetime", {}).get("visits") == 12, "all visits")
                wait_for(lambda: station.statistics()["door-controller"].good > 3, "polled again")
        told = [event for event in broker.sink.of("usage").values() if "index" in event]
        assert [event["type"] for event in told] == ["visit"] * 12
        indexes = [event["index"] for event in told]
        assert indexes == list(range(2, 14))
        assert str(CARD) not in str(broker.sink.records)


def test_a_controller_answers_at_the_far_end_of_the_demo(tmp_path: Path) -> None:
    """A simulated station may hold a controller too."""
    text = HEAD + CONTROLLER.format(port=60000)
    with centre() as broker, far_ends(tmp_path, text, broker.thread.port) as ends:
        with Station(ends.config, clock=TrustedClock(), make=ends.make) as station:
            wait_for(lambda: station.statistics()["door-controller"].good, "controller polled")
            ends.simulators["door-controller"].swipe(CARD)
            wait_for(lambda: broker.last("usage").get("lifetime", {}).get("visits") == 1, "visit")
            difference = wait_for(lambda: broker.last("state/door-controller").get("points"), "state")
        assert "clock_difference_s" in difference
