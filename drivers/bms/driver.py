"""One battery behind a battery-management board, read-only.

A battery comes and goes. What is remembered of it (its serial number, whether it was hot) ends with the first poll that
fails, so that nothing of one battery can be said of the next.
"""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.bms import codec_dd as dd
from drivers.bms import codec_up as up
from drivers.bms.pack import Pack
from drivers.bms.simulator import BmsSimulator
from edge_agent.driver import (
    Alarm,
    DeviceError,
    Duration,
    Link,
    LinkError,
    LinkTimeout,
    Options,
    Reading,
    Record,
    ReplyShape,
    Site,
    Wire,
)

_RETRIES = 2
_SERIAL_TRIES = 3
"""Polls that ask for the serial number of a battery that keeps it to itself, before a longer pause."""
_SERIAL_EVERY = 10
"""Polls between two looks at the serial number of a battery that seems to be the same."""
_SOC_JUMP_PCT = 2.0
"""No battery gains or loses so much between two polls: it is another one."""


class BmsOptions(Options):
    """Keys of a battery."""

    family: Literal["jbd"] = "jbd"
    """Make of the board."""
    framing: Literal["dd", "up"] = "dd"
    """`dd`: classic frames without an address, one battery alone on its link. `up`: addressed frames of UP boards."""
    address: Annotated[int, Field(ge=1, le=247)] | None = None
    """Board address (DIP switches) on the pair; `up` framing only."""
    serial_from: Literal["board", "label", "none"] | None = None
    """What identifies a battery: `board` = serial number of an UP board, `label` = text the pack's maker wrote (must be
    unique!), `none`. Default: `board` with `up` framing, `none` with `dd`."""
    max_temperature: Annotated[float, Field(ge=30, le=90)] = 60.0
    """The alarm `battery_over_temp` is raised at this temperature, °C, and cleared 5 °C below."""
    timeout: Annotated[Duration, Field(gt=0, le=5)] = 0.8
    """Longest wait for an answer, seconds."""

    @model_validator(mode="after")
    def _fits_framing(self) -> Self:
        if self.framing == "up" and self.address is None:
            raise ValueError("framing 'up' needs the board's address")
        if self.framing == "dd" and self.address is not None:
            raise ValueError("framing 'dd' carries no address: give each battery its own link, or use 'up' boards")
        if self.framing == "dd" and self.serial_from == "board":
            raise ValueError("a 'dd' board tells its serial number only in factory mode; use 'label' or 'none'")
        return self


class Bms:
    """One battery at a serial link."""

    Options: ClassVar[type[BmsOptions]] = BmsOptions
    Simulator: ClassVar[type[BmsSimulator]] = BmsSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: BmsOptions, site: Site) -> None:
        del site
        self._options = options
        self._sizes: dict[Hashable, int] = {}
        self._forget()

    def poll(self, link: Link) -> Iterable[Record]:
        """Read the battery once: one question with `up` framing, two with `dd`, one more now and then for its serial.

        An absent battery costs one timeout: LinkTimeout leaves at once.
        """
        try:
            pack = self._read_dd(link) if self._options.framing == "dd" else self._read_up(link)
            self._identify(link, pack)
        except (LinkError, DeviceError):
            self._forget()
            raise
        return self._records(pack)

    def _forget(self) -> None:
        self._traits: tuple[object, ...] | None = None
        self._soc: float = 0.0
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
        protections = pack.active_protections()
        yield Alarm("battery_protection", bool(protections), {"protections": list(protections)})

    def _identify(self, link: Link, pack: Pack) -> None:
        """Learn the serial number when the battery is new, looks like another one, or was not asked for long."""
        another = self._traits != pack.traits() or abs(pack.soc_pct - self._soc) > _SOC_JUMP_PCT
        self._traits, self._soc = pack.traits(), pack.soc_pct
        source = self._options.serial_from or ("board" if self._options.framing == "up" else "none")
        if another:
            self._sn, self._tries, self._age = None, 0, 0
        self._age += 1
        waiting = self._sn is None and self._tries < _SERIAL_TRIES
        if source == "label" and self._options.framing == "up":
            self._sn = pack.label
        elif source != "none" and (waiting or self._age > _SERIAL_EVERY):
            self._tries += 1
            self._age = 1
            self._read_serial(link)

    def _read_serial(self, link: Link) -> None:
        """Keep the number known so far if it cannot be read now: the battery itself still looks the same."""
        try:
            if self._options.framing == "up":
                self._sn = up.decode_parameters(self._ask_up(link, up.PARAMETERS)).board_sn or None
            else:
                text = self._ask_dd(link, dd.NAME).decode("latin-1").strip("\x00 ")
                self._sn = text if text.isascii() and text.isprintable() and text else None
        except (LinkTimeout, DeviceError):
            # Boards that sit behind another one answer for their status only; that is no reason to call them dead.
            return

    def _read_dd(self, link: Link) -> Pack:
        basic = dd.decode_basic(self._ask_dd(link, dd.BASIC))
        cells = dd.decode_cells(self._ask_dd(link, dd.CELLS))
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

    def _read_up(self, link: Link) -> Pack:
        return up.decode_status(self._ask_up(link, up.STATUS))

    def _ask_dd(self, link: Link, register: int) -> bytes:
        shape = ReplyShape(("jbd", register), lambda data: dd.find_reply(data, register))
        return dd.data_of(self._ask(link, dd.request(register), shape))

    def _ask_up(self, link: Link, area: tuple[int, int]) -> bytes:
        address = self._options.address or 0
        shape = ReplyShape(("jbd_up", address, area), lambda data: up.find_reply(data, address, area))
        return up.data_of(self._ask(link, up.request(address, area), shape))

    def _ask(self, link: Link, request: bytes, shape: ReplyShape) -> bytes:
        """Ask, at most twice more after a garbled answer; the length seen last time tells when one is spent."""
        shape = replace(shape, size=self._sizes.get(shape.key, 0))
        for _ in range(_RETRIES):
            try:
                frame = link.ask(request, reply=shape, within=self._options.timeout)
                break
            except DeviceError:
                continue
        else:
            frame = link.ask(request, reply=shape, within=self._options.timeout)
        self._sizes[shape.key] = len(frame)
        return frame
