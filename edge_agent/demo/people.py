"""The people of the simulated station: workers who come to rest, riders who swap batteries."""

import random
import threading
from collections.abc import Iterator

from edge_agent.demo.cabinet_model import Battery, CabinetModel
from edge_agent.demo.station import SimulatedStation

_STOCKED = 9
"""Batteries in the cabinet when the demo begins."""
_DOOR_OPEN_S = 1.0
_TURN_S = 0.1
_CHARGED_PCT = 95.0
_SWAP_EVERY_S = 6.0
_CARDS = 1 << 24


class People:
    """People using the station, one thing after another; seeded, so that a demo can be repeated."""

    def __init__(self, station: SimulatedStation, *, seed: int = 1) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (a simulation, no secret)
        self._readers = station.of("card_uart") + station.of("wiegand")
        self._contacts = station.of("contacts")
        bays = station.of("bms")
        stock = [Battery(f"SN{n:06}", self._rng.choice((60.0, 97.0, 99.0))) for n in range(1, _STOCKED + 1)]
        batteries = [*stock, *[None] * (len(bays) - _STOCKED)]
        self._cabinet = CabinetModel(station.of("lockboard")[0], bays, batteries, door_open_s=_DOOR_OPEN_S)
        self._slots = range(1, len(bays) + 1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="people", daemon=True)
        self.visits = 0
        self.swaps = 0

    def start(self) -> None:
        """Open the station to people."""
        self._thread.start()

    def stop(self) -> None:
        """Nobody comes any more; who is in the middle of something finishes it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(20.0)

    def _live(self) -> None:
        """Step time on: doors fall shut, batteries charge, somebody comes."""
        errands = [self._visitors(), self._riders()]
        due = [0.5, _SWAP_EVERY_S]
        now = 0.0
        while not self._stopping.wait(_TURN_S):
            now += _TURN_S
            self._cabinet.advance(_TURN_S)
            for index, errand in enumerate(errands):
                if now >= due[index]:
                    due[index] = now + next(errand)

    def _visitors(self) -> Iterator[float]:
        """Swipe, open the door, close it; yields seconds until the next step."""
        while True:
            self._rng.choice(self._readers).swipe(self._rng.randrange(1, _CARDS))
            self.visits += 1
            for contacts in self._contacts:
                contacts.set("door", "open")
            yield 0.4
            for contacts in self._contacts:
                contacts.set("door", "closed")
            yield self._rng.uniform(0.5, 1.5)

    def _riders(self) -> Iterator[float]:
        """Bring an empty battery to a free slot, take a charged one from another."""
        number = _STOCKED
        while True:
            free = [slot for slot in self._slots if self._cabinet.battery(slot) is None]
            charged = [slot for slot in self._slots if self._charged(slot)]
            if free and charged:
                number += 1
                self._cabinet.return_(self._rng.choice(free), Battery(f"SN{number:06}", 12.0))
                yield _DOOR_OPEN_S + 1.0
                self._cabinet.take(self._rng.choice(charged))
                self.swaps += 1
            yield _SWAP_EVERY_S

    def _charged(self, slot: int) -> bool:
        battery = self._cabinet.battery(slot)
        return battery is not None and battery.soc_pct >= _CHARGED_PCT
