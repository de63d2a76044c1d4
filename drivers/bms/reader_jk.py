"""Reads a battery behind a JK board."""

from drivers.bms import codec_jk as jk
from drivers.bms.pack import Pack
from drivers.bms.reader import Ask, Question, Source
from edge_agent.driver import DeviceError, ReplyShape


class JkReader:
    """One question for everything."""

    def read(self, ask: Ask) -> Pack:
        """See Reader."""
        answer = ask(Question(jk.request(), ReplyShape(("jk",), jk.find)))
        status = jk.decode_status(jk.decode(answer)[2])
        if status.voltage_v is None or not status.cells_v:
            raise DeviceError("neither cells nor voltage in the answer", op="read all", raw=answer)
        return Pack(
            voltage_v=status.voltage_v,
            current_a=status.current_a,
            soc_pct=status.soc_pct,
            full_ah=status.capacity_ah,
            cycles=status.cycles,
            charge_mos=status.charge_mos,
            discharge_mos=status.discharge_mos,
            protections=status.protections(),
            cells_v=status.cells_v,
            temps_c=status.temps_c,
            temp_mos_c=status.mos_temp_c,
            label=status.name or None,
        )

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: only the label, which stands in the answer for everything."""
        del ask, source
        return None
