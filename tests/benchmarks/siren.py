"""From the edge of an SOS button to the siren's relay, with a healthy journal and with one that is stuck."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.demo.station import SimulatedStation
from edge_agent.journal.journal import Batch
from edge_agent.station import Station
from tests.benchmarks.machine import percentile
from tests.journeys.test_siren import NOBODY, TEXT, is_on
from tests.stations import far_ends, running, wait_for

PRESSES = 100
_SOS = 22
_DEBOUNCE_MS = 30
_REST = threading.Event()


def measure(ends: SimulatedStation, station: Station, presses: int) -> list[float]:
    """Return the milliseconds from each edge to the relay, the contact's debounce included."""
    pin, found = ends._pins.pin(_SOS), []
    for _ in range(presses):
        began = time.perf_counter()
        pin.drive_low()
        while not is_on(ends):
            _REST.wait(0.0005)
        found.append((time.perf_counter() - began) * 1000)
        pin.drive_high()
        _REST.wait(3 * _DEBOUNCE_MS / 1000)
        station._reflexes.silence("hall", "sos")
        wait_for(lambda: not is_on(ends), "the siren is silent")
    return found


def run(directory: Path) -> Mapping[str, Any]:
    """Measure both."""
    with far_ends(directory, TEXT, NOBODY) as ends, running(ends) as station:
        _REST.wait(1.0)
        healthy = measure(ends, station, PRESSES)
        go_on, commit = threading.Event(), station.journal.commit

        def hang(batch: Batch) -> None:
            go_on.wait()
            commit(batch)

        station.journal.commit = hang  # type: ignore[method-assign]
        try:
            stuck = measure(ends, station, PRESSES // 4)
        finally:
            go_on.set()
    return {
        "edge to relay, ms, median and longest": f"{percentile(healthy, 0.5):.0f}, {max(healthy):.0f}",
        "of it the contact's debounce, ms": _DEBOUNCE_MS,
        "the same with a journal that is stuck": f"{percentile(stuck, 0.5):.0f}, {max(stuck):.0f}",
    }
