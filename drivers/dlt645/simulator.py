"""An electricity meter seen from its other side."""

from collections.abc import Iterable
from typing import Protocol

from drivers.dlt645 import codec
from drivers.dlt645.codec import Frame
from drivers.dlt645.items import EDITIONS
from edge_agent.driver import Chunk, DeviceError, Site

_DEFAULT_ADDRESS = "000000000161"
_VALUES = {
    "energy_kwh": 1234.56,
    "voltage_v": 231.0,
    "current_a": 4.9,
    "power_kw": 1.1021,
    "power_factor": 0.974,
    "frequency_hz": 49.98,
    "meter_temperature_c": -3.5,
}


class MeterOptions(Protocol):
    """What the simulator needs of the driver's options."""

    @property
    def address(self) -> str:
        """Address, or `any`."""

    @property
    def edition(self) -> str:
        """Edition of the standard."""


class MeterSimulator:
    """A meter whose values stand still until they are set."""

    def __init__(self, options: MeterOptions, site: Site) -> None:
        del site
        self.address = options.address if options.address.isdecimal() else _DEFAULT_ADDRESS
        self._edition = options.edition
        self._values = dict(_VALUES)
        self.unknown: set[str] = set()
        """Points that this meter refuses."""

    def set(self, point: str, value: float) -> None:
        """Let the meter show another value; points not set are 0."""
        self._values[point] = value

    def answer(self, request: bytes) -> bytes:
        """Answer a question for this meter, FE in front as meters do."""
        try:
            question = codec.decode(request)
        except DeviceError:
            return b""
        if question.address not in {self.address, codec.ANY_ADDRESS}:
            return b""
        reply = self._reply(question)
        return b"" if reply is None else reply.encode(wake=4)

    def play(self) -> Iterable[Chunk]:
        """Nothing: a meter never speaks unasked."""
        return ()

    def _reply(self, question: Frame) -> Frame | None:
        if question.control == codec.READ_ADDRESS and self._edition == "2007":
            control = codec.READ_ADDRESS | codec.ANSWER
            return Frame(self.address, control, codec.di_bytes(self.address))
        read = codec.READ_2007 if self._edition == "2007" else codec.READ_1997
        if question.control != read:
            return None
        di = codec.di_hex(question.data)
        items = EDITIONS[self._edition]
        if di not in items or items[di].point in self.unknown:
            return Frame(self.address, read | codec.ANSWER | codec.REFUSAL, b"\x02")
        data = items[di].encode(self._values.get(items[di].point, 0.0))
        return Frame(self.address, read | codec.ANSWER, question.data + data)
