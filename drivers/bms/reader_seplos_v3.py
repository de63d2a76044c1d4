"""Reads a battery behind a Seplos board of the third generation."""

from typing import Any

from drivers.bms import map_seplos_v3 as seplos
from drivers.bms.pack import Pack
from drivers.bms.reader import Ask, Question, Source
from drivers.modbus.codec import Request, decode_reply, encode_request
from drivers.modbus.codec_shape import reply_shape
from edge_agent.driver import DeviceError


class SeplosV3Reader:
    """Three questions to a unit of 0 … 15; `current_unit` is what one count of the current stands for, A."""

    def __init__(self, unit: int, current_unit: float) -> None:
        self._unit = unit
        self._current_unit = current_unit

    def read(self, ask: Ask) -> Pack:
        """See Reader."""
        words = self._ask(ask, seplos.read(self._unit, seplos.PACK))
        fields: dict[str, Any] = dict(seplos.decode_pack(words, current_unit=self._current_unit))
        fields |= seplos.decode_cells(self._ask(ask, seplos.read(self._unit, seplos.CELLS)))
        fields |= seplos.decode_events(self._ask(ask, seplos.read_events(self._unit)))
        return Pack(**fields)

    def serial(self, ask: Ask, source: Source) -> str | None:
        """See Reader: the text of the board's or of the pack's code."""
        block = seplos.BOARD_TEXT if source == "board" else seplos.PACK_TEXT
        return seplos.text(self._ask(ask, seplos.read(self._unit, block))) or None

    def _ask(self, ask: Ask, request: Request) -> tuple[int, ...]:
        reply = decode_reply(ask(Question(encode_request(request), reply_shape(request))))
        if reply.exception:
            raise DeviceError(f"refused with exception {reply.exception}", op=str(request))
        return reply.values
