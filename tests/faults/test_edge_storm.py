"""A contact that chatters 10,000 times a second: bounded work, one alarm, and every swipe still counts."""

import threading
import time
from pathlib import Path

from tests.faults.told import AlarmSink
from tests.stations import HEAD, READER, centre, far_ends, running, wait_for

INPUTS = """
[[link]]
name = "inputs"
kind = "gpio"

[[device]]
name = "entrance"
link = "inputs"
driver = "contacts"
inputs = [
    { name = "door", role = "door", line = 5, active = "open" },
    { name = "smoke", role = "smoke", line = 19, active = "open" },
]
"""
DOOR = 5
EDGES = 20_000
RATE = 10_000
STORM = ("input_storm", "raised")
CALM = ("input_storm", "cleared")


def chatter(pin: object, started: threading.Event) -> float:
    """Move a pin `EDGES` times at `RATE` a second, or as fast as the machine can; return the seconds it took."""
    pause = threading.Event()
    began = time.monotonic()
    for number in range(EDGES):
        (pin.drive_low if number % 2 else pin.drive_high)()  # type: ignore[attr-defined]
        started.set()
        if number % 100 == 0:
            pause.wait(max(0.0, began + number / RATE - time.monotonic()))
    return time.monotonic() - began


def test_edge_storm(tmp_path: Path) -> None:
    """A storm is said once and over once; the door passes few events through it, smoke is seen, people are counted."""
    with centre() as broker, far_ends(tmp_path, HEAD + READER + INPUTS, broker.thread.port) as ends:
        told = broker.sink = AlarmSink()
        with running(ends) as station:
            wait_for(lambda: station.picture.view.uplink.online, "online")
            worker = station._threads._held["inputs"].thread
            assert worker.ident is not None
            cpu = time.pthread_getcpuclockid(worker.ident)
            before = time.clock_gettime(cpu)
            took: list[float] = []
            started = threading.Event()
            storm = threading.Thread(target=lambda: took.append(chatter(ends._pins.pin(DOOR), started)))
            storm.start()
            started.wait(5.0)
            for card in range(1, 6):
                ends.simulators["door-reader"].swipe(card, stay=0)
            ends.simulators["entrance"].set("smoke", True)
            wait_for(lambda: station.picture.view.totals.lifetime.get("visits") == 5, "visits during the storm")
            wait_for(lambda: ("smoke", "raised") in told.states("entrance"), "smoke during the storm")
            storm.join()
            spent = time.clock_gettime(cpu) - before
            assert spent / took[0] < 0.5, f"{spent:.2f} s of processor time in {took[0]:.2f} s"
            wait_for(lambda: CALM in told.states("entrance"), "storm over")
            assert [state for state in told.states("entrance") if state[0] == "input_storm"] == [STORM, CALM]
            totals = station.picture.view.totals.lifetime
            assert totals.get("door_openings", 0) <= 3
