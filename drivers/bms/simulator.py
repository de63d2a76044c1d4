"""A slot's wire seen from its other side: a battery that can be put in and taken out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from drivers.bms import codec_dd as dd
from drivers.bms import codec_up as up
from drivers.bms.pack import Pack
from edge_agent.driver import Chunk, Site

_CELLS = 16
_FULL_AH = 20.0


class SlotOptions(Protocol):
    """What the simulator needs of the driver's options."""

    @property
    def framing(self) -> str:
        """`dd` or `up`."""

    @property
    def address(self) -> int | None:
        """Board address with `up` framing."""


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

    def __init__(self, options: SlotOptions, site: Site) -> None:
        del site
        self._options = options
        self.battery: SimulatedBattery | None = None
        self.insert(f"SIM{options.address or 1:05d}", 80.0)

    def insert(self, sn: str, soc_pct: float, *, temp_c: float = 25.0, current_a: float = 0.0) -> None:
        """Put a battery in: serial number (ASCII, at most 30 characters), %, °C, A."""
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
        """Answer a question for this board's address; silence without a battery."""
        if self.battery is None:
            return b""
        if self._options.framing == "dd":
            return _answer_dd(self.battery, request)
        return _answer_up(self.battery, request, self._options.address or 0)

    def play(self) -> Iterable[Chunk]:
        """Nothing: the boards never speak unasked."""
        return ()


def _answer_dd(battery: SimulatedBattery, request: bytes) -> bytes:
    pack = battery.pack()
    if request == dd.request(dd.BASIC):
        bits = sum(1 << dd.PROTECTIONS.index(name) for name in pack.protections)
        basic = dd.Basic(
            voltage_v=pack.voltage_v,
            current_a=pack.current_a,
            remaining_ah=pack.remaining_ah,
            nominal_ah=pack.full_ah,
            cycles=pack.cycles,
            production_date=pack.production_date,
            protection_bits=bits,
            software_version="8.0",
            soc_pct=round(pack.soc_pct),
            charge_mos=pack.charge_mos,
            discharge_mos=pack.discharge_mos,
            cell_count=len(pack.cells_v),
            temps_c=pack.temps_c,
        )
        return dd.reply(dd.BASIC, dd.encode_basic(basic))
    if request == dd.request(dd.CELLS):
        return dd.reply(dd.CELLS, dd.encode_cells(pack.cells_v))
    if request == dd.request(dd.NAME):
        return dd.reply(dd.NAME, battery.sn.encode("ascii"))
    return b""


def _answer_up(battery: SimulatedBattery, request: bytes, address: int) -> bytes:
    if request == up.request(address, up.STATUS):
        return up.reply(address, up.STATUS, up.encode_status(battery.pack()))
    if request == up.request(address, up.PARAMETERS):
        numbers = up.Parameters(battery.sn, "2025-04-17", "JBD48100000", "2025-03-18")
        return up.reply(address, up.PARAMETERS, up.encode_parameters(numbers))
    return b""
