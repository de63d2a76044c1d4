"""One battery behind a battery-management board, read-only.

A battery comes and goes. What is remembered of it (its serial number, whether it was hot) ends with the first poll that
fails, so that nothing of one battery can be said of the next.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from drivers.bms.options import BmsOptions as BmsOptions  # noqa: PLC0414  (the driver's keys, by its users' habit)
from drivers.bms.pack import Pack
from drivers.bms.reader import Question, Reader
from drivers.bms.reader_daly import A5Reader, DalyModbusReader
from drivers.bms.reader_jbd import DdReader, UpReader
from drivers.bms.reader_jk import JkReader
from drivers.bms.reader_seplos_v3 import SeplosV3Reader
from drivers.bms.reader_ydt import YdtReader
from drivers.bms.simulator import BmsSimulator
from edge_agent.driver import Alarm, DeviceError, Link, LinkError, LinkTimeout, Reading, Record, Site, Wire

_RETRIES = 2
_SERIAL_TRIES = 3
"""Polls that ask for the serial number of a battery that keeps it to itself, before a longer pause."""
_SERIAL_EVERY = 10
"""Polls between two looks at the serial number of a battery that seems to be the same."""
_SOC_JUMP_PCT = 2.0
"""No battery gains or loses so much between two polls: it is another one."""
_STILL_A = 1.0
"""A board that calls itself stationary may measure so much."""


class Bms:
    """One battery at a serial link."""

    Options: ClassVar[type[BmsOptions]] = BmsOptions
    Simulator: ClassVar[type[BmsSimulator]] = BmsSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: BmsOptions, site: Site) -> None:
        del site
        self._options = options
        self._reader = _reader(options)
        self._sizes: dict[bytes, int] = {}
        self._forget()

    def poll(self, link: Link) -> Iterable[Record]:
        """Read the battery once: one to six questions by its family, one more now and then for its serial number.

        An absent battery costs one timeout: LinkTimeout leaves at once.
        """
        try:
            pack = self._signed(self._reader.read(lambda question: self._ask(link, question)))
            self._identify(link, pack)
        except (LinkError, DeviceError):
            self._forget()
            raise
        return self._records(pack)

    def _forget(self) -> None:
        self._traits: tuple[object, ...] | None = None
        self._soc: float | None = None
        self._sn: str | None = None
        self._tries = 0
        self._age = 0
        self._hot = False

    def _records(self, pack: Pack) -> Iterable[Record]:
        yield from pack.readings()
        yield Reading("sn", self._sn)
        hottest = pack.hottest_c()
        if hottest is not None:
            limit = self._options.max_temperature - (5.0 if self._hot else 0.0)
            self._hot = hottest >= limit
        yield Reading("over_temp", self._hot, prompt=True)
        yield Alarm("battery_over_temp", self._hot, {} if hottest is None else {"temperature_c": hottest})
        if pack.protections is not None:
            protections = pack.active_protections()
            yield Alarm("battery_protection", bool(protections), {"protections": list(protections)})

    def _signed(self, pack: Pack) -> Pack:
        """Return the pack with + for charging."""
        current = pack.current_a
        if current is None or self._options.sign == "as_sent":
            return pack
        if self._options.sign == "reversed":
            return replace(pack, current_a=-current + 0.0)
        if pack.mode == "stationary":
            if abs(current) <= _STILL_A:
                return pack
            return replace(pack, current_a=None, why_current=f"{abs(current):g} A in a battery that calls itself idle")
        return replace(pack, current_a=abs(current) if pack.mode == "charging" else -abs(current) + 0.0)

    def _identify(self, link: Link, pack: Pack) -> None:
        """Learn the serial number when the battery is new, looks like another one, or was not asked for long."""
        jumped = None not in (pack.soc_pct, self._soc) and abs((pack.soc_pct or 0) - (self._soc or 0)) > _SOC_JUMP_PCT
        another = self._traits != pack.traits() or jumped
        self._traits, self._soc = pack.traits(), pack.soc_pct
        source = self._options.serial_source
        if another:
            self._sn, self._tries, self._age = None, 0, 0
        self._age += 1
        waiting = self._sn is None and self._tries < _SERIAL_TRIES
        if source == "label" and pack.label is not None:
            self._sn = pack.label
        elif source != "none" and (waiting or self._age > _SERIAL_EVERY):
            self._tries += 1
            self._age = 1
            try:
                self._sn = self._reader.serial(lambda question: self._ask(link, question), source)
            except (LinkTimeout, DeviceError):
                # Boards that sit behind another one answer for their status only; that is no reason to call them dead.
                # The number known so far is kept: the battery itself still looks the same.
                return

    def _ask(self, link: Link, question: Question) -> bytes:
        """Ask, at most twice more after a garbled answer; the length seen last time tells when one is spent."""
        shape = question.reply
        if not shape.size:
            shape = replace(shape, size=self._sizes.get(question.request, 0))
        for _ in range(_RETRIES):
            try:
                frame = link.ask(question.request, reply=shape, within=self._options.timeout)
                break
            except DeviceError:
                continue
        else:
            frame = link.ask(question.request, reply=shape, within=self._options.timeout)
        self._sizes[question.request] = len(frame)
        return frame


def _reader(options: BmsOptions) -> Reader:
    address = options.address or 0
    match options.kind:
        case "jbd_dd":
            return DdReader()
        case "jbd_up":
            return UpReader(address)
        case "daly_a5":
            return A5Reader(int(options.host))
        case "daly_modbus":
            return DalyModbusReader(address)
        case "seplos_v3":
            return SeplosV3Reader(address, float(options.current_unit))
        case "jk":
            return JkReader()
        case "ydt1363":
            dialect = options.dialect
            return YdtReader(None if dialect in {None, "auto"} else dialect, address)  # type: ignore[arg-type]
