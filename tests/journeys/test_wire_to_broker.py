"""A swipe and a temperature, from bytes on a pseudo-terminal to acknowledged messages."""

import statistics
import time
from functools import partial
from pathlib import Path

from tests.stations import HEAD, READER, ROOM, Centre, centre, far_ends, running, wait_for


def test_swipe_and_room_reach_the_broker(tmp_path: Path) -> None:
    """One swipe is one visit, in the event, in the ledger and in the retained totals; the room shows its value."""
    with centre() as broker, far_ends(tmp_path, HEAD + READER + ROOM, broker.thread.port) as ends, running(ends) as it:
        wait_for(lambda: it.picture.view.uplink.online, "online")
        wait_for(lambda: it.statistics()["room"].good, "room polled")
        ends.simulators["door-reader"].swipe(9357203)
        wait_for(lambda: broker.sink.of("usage"), "visit")
        wait_for(lambda: broker.last("usage").get("lifetime", {}).get("visits") == 1, "totals")
        event = next(iter(broker.sink.of("usage").values()))
        assert event["type"] == "visit"
        wait_for(lambda: broker.last("state/room").get("points", {}).get("temperature_c"), "temperature")
        wait_for(lambda: broker.last("tele/room"), "telemetry")
        assert broker.last("status")["state"] == "online"
    assert broker.last("status")["reason"] == "stopped"


def _has_visits(broker: Centre, count: int) -> bool:
    return len(broker.sink.of("usage")) == count


def test_swipe_is_at_the_broker_within_100_ms(tmp_path: Path) -> None:
    """The median way of a swipe, from the last byte on the wire to the broker, is well below what a person notices."""
    with centre() as broker, far_ends(tmp_path, HEAD + READER, broker.thread.port) as ends, running(ends) as it:
        wait_for(lambda: it.picture.view.uplink.online, "online")
        took = []
        for number in range(1, 21):
            began = time.monotonic()
            ends.simulators["door-reader"].swipe(number * 1001, stay=0)
            wait_for(partial(_has_visits, broker, number), f"visit {number}")
            took.append(max(broker.arrivals.values()) - began)
        assert statistics.median(took) < 0.1, took
