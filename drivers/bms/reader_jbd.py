"""Reads a battery behind a JBD board, in either of its framings."""

from drivers.bms import codec_dd as dd
from drivers.bms import codec_up as up
from drivers.bms.pack import Pack
from drivers.bms.reader import Ask, Question, Source
from edge_agent.driver import DeviceError, ReplyShape


class DdReader:
    """Classic frames without an address."""

    def read(self, ask: Ask) -> Pack:
        """See Reader: two questions."""
        basic = dd.decode_basic(self._ask(ask, dd.BASIC))
        cells = dd.decode_cells(self._ask(ask, dd.CELLS))
        if len(cells) != basic.cell_count:
            raise DeviceError(f"{len(cells)} cells listed, {basic.cell_count} said to exist", op="read register 04")
        return Pack(
            voltage_v=basic.voltage_v,
            current_a=basic.current_a,
            soc_pct=basic.soc_pct,
            remaining_ah=basic.remaining_ah,
            full_ah=basic.nominal_ah,
            cycles=basic.cycles,
            charge_mos=basic.charge_mos,
            discharge_mos=basic.discharge_mos,
            protections=dd.protections(basic.protection_bits),
            cells_v=cells,
            temps_c=basic.temps_c,
            production_date=basic.production_date,
        )

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: the text of register 05."""
        del source
        text = self._ask(ask, dd.NAME).decode("latin-1").strip("\x00 ")
        return text if text.isascii() and text.isprintable() and text else None

    def _ask(self, ask: Ask, register: int) -> bytes:
        shape = ReplyShape(("jbd", register), lambda data: dd.find_reply(data, register))
        return dd.data_of(ask(Question(dd.request(register), shape)))


class UpReader:
    """Addressed frames of UP boards: one question."""

    def __init__(self, address: int) -> None:
        self._address = address

    def read(self, ask: Ask) -> Pack:
        """See Reader."""
        return up.decode_status(self._ask(ask, up.STATUS))

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: the board's own number."""
        del source
        return up.decode_parameters(self._ask(ask, up.PARAMETERS)).board_sn or None

    def _ask(self, ask: Ask, area: tuple[int, int]) -> bytes:
        address = self._address
        shape = ReplyShape(("jbd_up", address, area), lambda data: up.find_reply(data, address, area))
        return up.data_of(ask(Question(up.request(address, area), shape)))
