"""Reads a battery behind a Daly board: the classic frames, or the registers of newer boards."""

from dataclasses import replace
from typing import Any

from drivers.bms import codec_a5 as a5
from drivers.bms import map_daly
from drivers.bms.pack import Pack
from drivers.bms.reader import Ask, Question, Source
from drivers.modbus.codec import decode_reply, encode_request
from drivers.modbus.codec_shape import reply_shape
from edge_agent.driver import DeviceError, ReplyShape


class A5Reader:
    """Classic frames without an address: six questions."""

    def __init__(self, host: int) -> None:
        self._host = host

    def read(self, ask: Ask) -> Pack:
        """See Reader."""
        summary = a5.decode_summary(self._ask(ask, a5.SUMMARY)[0])
        state = a5.decode_state(self._ask(ask, a5.MODE)[0])
        counts = a5.decode_counts(self._ask(ask, a5.COUNTS)[0])
        if not 0 < counts.cells <= a5.MAX_CELLS or counts.temp_sensors > a5.MAX_TEMPS:
            raise DeviceError(f"{counts.cells} cells and {counts.temp_sensors} sensors do not fit", op="94")
        cells = a5.cells_of(self._ask(ask, a5.CELLS, a5.frames_for(counts.cells, a5.CELLS_A_FRAME)))
        temps: tuple[int | None, ...] = ()
        if counts.temp_sensors:
            temps = a5.temps_of(self._ask(ask, a5.TEMPS, a5.frames_for(counts.temp_sensors, a5.TEMPS_A_FRAME)))
        return Pack(
            voltage_v=summary.voltage_v,
            current_a=summary.current_raw_a,
            soc_pct=summary.soc_pct,
            remaining_ah=state.remaining_ah,
            cycles=counts.cycles,
            charge_mos=state.charge_mos,
            discharge_mos=state.discharge_mos,
            protections=a5.protections_of(self._ask(ask, a5.FAULTS)[0]),
            cells_v=cells[: counts.cells],
            temps_c=tuple(float(temp) for temp in temps[: counts.temp_sensors] if temp is not None),
            mode=state.mode,
        )

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: these boards tell none."""
        del ask, source
        return None

    def _ask(self, ask: Ask, command: int, frames: int = 0) -> list[bytes]:
        """Return the data of the answer's frames."""
        key = ("daly_a5", command)
        shape = ReplyShape(key, lambda data: a5.find_reply(data, command, frames), a5.SIZE * max(frames, 1))
        answer = ask(Question(a5.request(self._host, command), shape))
        return [a5.decode(answer[at : at + a5.SIZE])[2] for at in range(0, len(answer), a5.SIZE)]


class DalyModbusReader:
    """Newer boards, asked as unit 80 + address and answering as unit 50 + address: two questions."""

    def __init__(self, address: int) -> None:
        self._address = address

    def read(self, ask: Ask) -> Pack:
        """See Reader."""
        pack = map_daly.decode_values(self._ask(ask, map_daly.VALUES))
        counters: dict[str, Any] = dict(map_daly.decode_counters(self._ask(ask, map_daly.COUNTERS)))
        return replace(pack, **counters)

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: where it stands is not known."""
        del ask, source
        return None

    def _ask(self, ask: Ask, block: tuple[int, int]) -> tuple[int, ...]:
        request = map_daly.request(self._address, block)
        shape = reply_shape(request, map_daly.REPLY_BASE + self._address)
        reply = decode_reply(ask(Question(encode_request(request), shape)))
        if reply.exception:
            raise DeviceError(f"refused with exception {reply.exception}", op=str(request))
        return reply.values
