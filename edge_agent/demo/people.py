"""The people of the simulated station: workers who come to rest, riders who swap batteries."""

import random
import threading
from collections.abc import Iterator

from edge_agent.demo.cabinet_model import CabinetModel
from edge_agent.demo.station import SimulatedStation

_STOCKED = 9
"""Batteries in the cabinet when the demo begins."""


class People:
    """Riders and workers using the station, one thing after another; seeded, so that a demo can be repeated."""

    def __init__(self, station: SimulatedStation, *, seed: int = 1) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (a simulation, no secret)
        self._readers = station.of("card_uart") + station.of("wiegand")
        self._contacts = station.of("contacts")
        boards = station.of("lockboard")
        self.cabinet = CabinetModel(boards[0], station.of("bms")) if boards else None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="people", daemon=True)
        self.visits = 0
        self.swaps = 0

    def start(self) -> None:
        """Open the station to people."""
        self._thread.start()

    def stop(self) -> None:
        """Nobody comes any more; who is inside finishes."""
        self._stopping.set()
        self._thread.join(20.0)

    def visit(self) -> None:
        """Somebody swipes a card and goes in."""
        self._rng.choice(self._readers).swipe(self._rng.randrange(1, 1 << 24))
        self.visits += 1
        for contacts in self._contacts:
            contacts.set("door", "open")
            self._stopping.wait(0.4)
            contacts.set("door", "closed")

    def _live(self) -> None:
        """Let a visit follow a visit, and bring a rider to the cabinet now and then."""
        riders = self._riders()
        while not self._stopping.wait(self._rng.uniform(0.5, 1.5)):
            self.visit()
            pause = next(riders, 0.0)
            if pause:
                self._stopping.wait(pause)

    def _riders(self) -> Iterator[float]:
        """Swap step by step, yielding seconds to wait: a door opens, a battery comes, another goes."""
        if self.cabinet is None:
            return
        cabinet = self.cabinet
        for slot in range(1, _STOCKED + 1):
            cabinet.return_(slot, f"SN{slot:06}", soc_pct=self._rng.choice((60.0, 97.0, 99.0)))
        number = 100
        while True:
            yield 4.0
            free = cabinet.free_slots()
            charged = cabinet.charged_slots()
            if not free or not charged:
                continue
            number += 1
            cabinet.return_(self._rng.choice(free), f"SN{number:06}", soc_pct=12.0)
            yield 2.0
            cabinet.take(self._rng.choice(charged))
            self.swaps += 1
