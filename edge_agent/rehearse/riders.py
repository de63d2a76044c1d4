"""Riders at the swap cabinets: doors, batteries, and what a station can know of them."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from edge_agent.cabinet.layout import SlotLayout
from edge_agent.config.cabinet import Cabinet as CabinetConfig
from edge_agent.config.model import Config
from edge_agent.config.types import Table
from edge_agent.demo.cabinet_model import Battery, CabinetModel
from edge_agent.errors import AgentError
from edge_agent.rehearse.acts import Bring, Overheat, Swap, Take
from edge_agent.rehearse.stimuli import Sign, Stimulus
from edge_agent.rehearse.wires import Wires

_REACH_S = 2.0
"""From the door's opening to the battery's move."""
_SAME = "same"
_DOOR_S = 20.0
"""How long a door stands open."""

Steps = Iterator[tuple[float, Stimulus]]
Known = dict[tuple[str, int], str]
"""(cabinet, slot) -> serial number of the battery in it."""


class Bank:
    """One cabinet as people use it."""

    def __init__(self, config: CabinetConfig, wires: Wires, stock: int) -> None:
        self.name = config.name
        self.slots = {wiring.index: wiring for wiring in config.wiring}
        self.reserved: set[int] = set()
        """Slots that somebody is at."""
        self.hot: set[int] = set()
        self._wires = wires
        bays: list[Any] = [wires.simulator(wiring.battery or "") for wiring in config.wiring]
        batteries = [Battery(f"SN{n:06}", 100.0) if n <= stock else None for n in range(1, len(bays) + 1)]
        self.model = CabinetModel(self, bays, batteries, door_open_s=float("inf"))

    def open_door(self, lock: int) -> None:
        """Open a door."""
        self._door(self.slots[lock], open_=True)

    def close_door(self, lock: int) -> None:
        """Shut a door."""
        self._door(self.slots[lock], open_=False)

    def moved(self, slot: int) -> None:
        """Somebody has moved the battery of a slot."""
        self._wires.moved(self.slots[slot].battery or "")

    def devices(self) -> set[str]:
        """Return the devices that must work for the cabinet to be used."""
        points = {wiring.lock[0] for wiring in self.slots.values() if wiring.lock}
        return points | {wiring.battery for wiring in self.slots.values() if wiring.battery}

    def free(self) -> list[int]:
        """Return the empty slots that nobody is at."""
        return [slot for slot in self.slots if self.model.battery(slot) is None and slot not in self.reserved]

    def full(self) -> list[int]:
        """Return the slots with a sound battery that nobody is at, the fullest first."""
        charge = {slot: one.soc_pct for slot in self.slots if (one := self.model.battery(slot)) is not None}
        free = (slot for slot in charge if slot not in self.reserved | self.hot)
        return sorted(free, key=lambda slot: -charge[slot])

    def sign(self, slot: int, kind: str, sn: str) -> Sign:
        """Return the record that shows a battery's move."""
        return Sign("usage", f"{self.name}-{slot:02d}", kind, (("sn", sn),))

    def _door(self, wiring: SlotLayout, *, open_: bool) -> None:
        if wiring.lock is None:
            return
        device, point = wiring.lock
        if self._wires.driver_of(device) == "lockboard":
            lock = int(point.rpartition("_")[2])
            self._wires.move(device, lambda board: board.open_door(lock) if open_ else board.close_door(lock))
        else:
            self._wires.move(device, lambda contacts: contacts.set(point, open_))

    def door(self, slot: int, *, open_: bool) -> Stimulus:
        """Return the stimulus of a door; only a contact tells of it by itself."""
        stimulus = Stimulus(
            lambda: (self.open_door if open_ else self.close_door)(slot),
            lambda: (self.close_door if open_ else self.open_door)(slot),
        )
        lock = self.slots[slot].lock
        if lock is not None and self._wires.driver_of(lock[0]) == "contacts":
            kind = "door_opened" if open_ else "door_closed"
            stimulus.sign = Sign("usage", lock[0], kind, (("door", lock[1]),))
            stimulus.counts = ("door_openings",) if open_ else ()
        return stimulus


class Riders:
    """Everybody who moves batteries, in all cabinets."""

    def __init__(self, config: Config, wires: Wires, rng: random.Random, stock: dict[str, int]) -> None:
        self._rng = rng
        self._taken: Battery | None = None
        self._serials = max((cabinet.slots for cabinet in config.cabinet), default=0)
        self.banks = {
            cabinet.name: Bank(cabinet, wires, stock.get(cabinet.name, cabinet.slots - 1))
            for cabinet in config.cabinet
            if cabinet.controller is None and cabinet.batteries is not None
        }

    def bank(self, name: str | None) -> Bank:
        """Return a cabinet, by default the first."""
        return self.banks[name] if name is not None else next(iter(self.banks.values()))

    def known(self) -> Known:
        """Return what is in every slot."""
        return {
            (bank.name, slot): one.sn
            for bank in self.banks.values()
            for slot in bank.slots
            if (one := bank.model.battery(slot)) is not None
        }

    def advance(self, seconds: float) -> None:
        """Let batteries charge."""
        for bank in self.banks.values():
            bank.model.advance(seconds)

    @staticmethod
    def longest(act: Table) -> float:
        """Return the seconds that an act takes."""
        return _DOOR_S + (act.pause if isinstance(act, Swap) else 0.0) + 1.0

    def steps(self, act: Bring | Take | Swap | Overheat) -> Steps:
        """Yield what `act` is made of."""
        bank = self.bank(act.cabinet)
        match act:
            case Bring():
                slot = act.slot or self._chosen(bank.free(), f"every slot of {bank.name} is taken")
                yield from self._visit(bank, slot, 0.0, self._in(bank, slot, self._battery(act.sn, act.soc)))
            case Take():
                slot = self._wanted(bank, act)
                yield from self._visit(bank, slot, 0.0, self._out(bank, slot))
            case Swap():
                full = bank.full()
                into = self._chosen(bank.free(), f"every slot of {bank.name} is taken")
                if not full:
                    raise AgentError(f"nobody can swap: {bank.name} has no battery")
                bring = self._in(bank, into, self._battery(act.sn, act.soc))
                take = self._out(bank, full[0], completes=bring)
                yield from self._visit(bank, into, 0.0, bring)
                yield from self._visit(bank, full[0], act.pause, take)
            case Overheat():
                slot = act.slot or (bank.full() or [0])[0]
                if bank.model.battery(slot) is None if slot else True:
                    raise AgentError(f"no battery of {bank.name} can overheat: there is none")
                yield 0.0, self._heat(bank, slot, act.means)

    def _battery(self, sn: str | None, soc: float) -> Battery:
        self._serials += sn is None
        if sn == _SAME and self._taken is not None:
            return self._taken
        return Battery(sn or f"SN{self._serials:06}", soc)

    def _wanted(self, bank: Bank, act: Take) -> int:
        if act.sn is not None:
            found = [slot for (cabinet, slot), sn in self.known().items() if (cabinet, sn) == (bank.name, act.sn)]
        elif act.hot:
            found = sorted(bank.hot - bank.reserved)
        elif act.slot is not None:
            found = [act.slot] if bank.model.battery(act.slot) is not None else []
        else:
            found = bank.full()
        if not found:
            raise AgentError(f"nobody can take that battery: {bank.name} does not hold it")
        return found[0]

    def _chosen(self, slots: Sequence[int], why: str) -> int:
        if not slots:
            raise AgentError(f"nobody can bring a battery: {why}")
        return self._rng.choice(slots)

    def _visit(self, bank: Bank, slot: int, begin: float, move: Stimulus) -> Steps:
        """Yield a door that opens, what is done behind it, and the door that falls shut."""
        bank.reserved.add(slot)
        close = bank.door(slot, open_=False)
        shut = close.do

        def leave() -> None:
            shut()
            bank.reserved.discard(slot)

        close.do = leave
        yield begin, bank.door(slot, open_=True)
        yield begin + _REACH_S, move
        yield begin + _DOOR_S, close

    def _in(self, bank: Bank, slot: int, battery: Battery) -> Stimulus:
        def do() -> None:
            bank.model.insert(slot, battery)
            bank.moved(slot)

        return Stimulus(
            do,
            lambda: _ignore(bank.model.remove(slot)),
            sign=bank.sign(slot, "battery_in", battery.sn),
            counts=("batteries_in",),
        )

    def _out(self, bank: Bank, slot: int, completes: Stimulus | None = None) -> Stimulus:
        battery = bank.model.battery(slot)
        assert battery is not None  # noqa: S101  (by construction; tells the type checker)
        hot = slot in bank.hot

        def undo() -> None:
            bank.model.insert(slot, battery)
            if hot:
                bank.hot.add(slot)
                bank.model.overheat(slot)

        def do() -> None:
            self._taken = bank.model.remove(slot)
            bank.hot.discard(slot)
            bank.moved(slot)

        stimulus = Stimulus(do, undo, bank.sign(slot, "battery_out", battery.sn), ("batteries_out",))
        stimulus.completes = completes
        if hot:
            stimulus.clears = f"{bank.slots[slot].battery}/battery_over_temp"
        return stimulus

    def _heat(self, bank: Bank, slot: int, code: str) -> Stimulus:
        def do() -> None:
            bank.hot.add(slot)
            bank.model.overheat(slot)

        stimulus = Stimulus(do)
        if code != "nothing":
            device = bank.slots[slot].battery or ""
            stimulus.raises = f"{device}/{code}"
        return stimulus


def _ignore(_: object) -> None:
    pass
