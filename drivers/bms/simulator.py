"""A slot's wire seen from its other side: a battery that can be put in and taken out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from drivers.bms.options import BmsOptions
from drivers.bms.pack import Pack
from drivers.bms.twins import TWINS, Board
from edge_agent.driver import Chunk, Site

_CELLS = 16
_FULL_AH = 20.0


@dataclass(frozen=True, slots=True)
class SimulatedBattery:
    """A battery as physics would have it: %, °C, A (+ = charging)."""

    sn: str
    soc_pct: float
    temp_c: float = 25.0
    current_a: float = 0.0
    cycles: int = 12
    protections: tuple[str, ...] = ()

    def pack(self) -> Pack:
        """What its board measures: 16 LFP cells whose voltage follows the state of charge."""
        cells = tuple(round(3.1 + 0.3 * self.soc_pct / 100 + 0.001 * (index % 3), 3) for index in range(_CELLS))
        return Pack(
            voltage_v=round(sum(cells), 2),
            current_a=self.current_a,
            soc_pct=self.soc_pct,
            remaining_ah=round(_FULL_AH * self.soc_pct / 100, 2),
            full_ah=_FULL_AH,
            cycles=self.cycles,
            charge_mos=True,
            discharge_mos=True,
            protections=self.protections,
            cells_v=cells,
            temps_c=(self.temp_c, self.temp_c - 0.5),
            temp_mos_c=self.temp_c,
            soh_pct=100,
            production_date="2025-03-18",
            label="JBD48100000",
        )


class BmsSimulator:
    """Silent without a battery; has one at first, so that a driver finds something to read."""

    def __init__(self, options: BmsOptions, site: Site) -> None:
        del site
        self._options = options
        self.battery: SimulatedBattery | None = None
        self.insert(f"SIM{options.address or 1:05d}", 80.0)

    def insert(self, sn: str, soc_pct: float, *, temp_c: float = 25.0, current_a: float = 0.0) -> None:
        """Put a battery in: serial number (ASCII, at most 16 characters on every make), %, °C, A."""
        self.battery = SimulatedBattery(sn, soc_pct, temp_c, current_a)

    def remove(self) -> None:
        """Take the battery out."""
        self.battery = None

    def measure(
        self, *, soc_pct: float, temp_c: float, current_a: float = 0.0, protections: tuple[str, ...] = ()
    ) -> None:
        """Let the battery in the slot measure something else: %, °C, A, names of protections."""
        if self.battery is not None:
            self.battery = replace(
                self.battery, soc_pct=soc_pct, temp_c=temp_c, current_a=current_a, protections=protections
            )

    def answer(self, request: bytes) -> bytes:
        """Answer a question for this board; silence without a battery."""
        if self.battery is None:
            return b""
        board = Board(self._options, self.battery.pack(), self.battery.sn)
        return TWINS[self._options.kind](board, request)

    def play(self) -> Iterable[Chunk]:
        """Nothing: the boards never speak unasked."""
        return ()
