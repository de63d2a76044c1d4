"""Keys of a battery, and which of them go together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.driver import Duration, Options

Kind = Literal["jbd_dd", "jbd_up", "daly_a5", "daly_modbus", "ydt1363", "seplos_v3", "jk"]
"""Family and framing in one word: what decides everything else."""
Sign = Literal["as_sent", "reversed", "mode"]
Serial = Literal["board", "label", "none"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What one kind of board allows; `addresses` is None where frames carry none. The first serial is the default."""

    addresses: tuple[int, int] | None = None
    serials: tuple[Serial, ...] = ("none",)
    sign: Sign = "as_sent"
    modbus: bool = False


_KINDS: Mapping[Kind, Traits] = {
    "jbd_dd": Traits(serials=("none", "label")),
    "jbd_up": Traits((1, 247), ("board", "label", "none")),
    "daly_a5": Traits(sign="mode"),
    "daly_modbus": Traits((1, 15), sign="mode", modbus=True),
    "ydt1363": Traits((0, 254), ("board", "none")),
    "seplos_v3": Traits((0, 15), ("board", "label", "none"), modbus=True),
    "jk": Traits(serials=("none", "label")),
}
_FRAMINGS = {"jbd": ("dd", "up"), "daly": ("a5", "modbus")}


class BmsOptions(Options):
    """Keys of a battery."""

    family: Literal["jbd", "daly", "ydt1363", "seplos_v3", "jk"] = "jbd"
    """Make of the board; `ydt1363` is Pylontech, PACE, EG4 and Seplos up to the second generation."""
    framing: Literal["dd", "up", "a5", "modbus"] | None = None
    """JBD: `dd` (default) = classic frames without an address, `up` = addressed frames of UP boards. Daly: `a5`
    (default) = classic frames without an address, `modbus` = newer boards, asked as unit 81."""
    dialect: Literal["pylontech", "pace", "eg4", "seplos", "auto"] | None = None
    """How a `ydt1363` battery fills its frames; `auto` tries, tells by voltage and cells, and reports what it found."""
    address: Annotated[int, Field(ge=0, le=254)] | None = None
    """Board address (DIP switches) on the pair; not for `dd`, `a5` and `jk`, whose frames carry none."""
    serial_from: Serial | None = None
    """What identifies a battery: `board` = serial number in the board, `label` = text the pack's maker wrote (must be
    unique!), `none`. Default: `board` where there is one, else `none`."""
    current_sign: Sign | None = None
    """`as_sent`: + is charging; `reversed`: + is discharging; `mode`: by what the board says it does. Default: `mode`
    with `daly`, else `as_sent`."""
    current_unit: Literal["0.01", "0.1"] = "0.01"
    """Ampere of one count of a `seplos_v3`; boards for 300 A and more count in 0.1 A."""
    host: Literal["4", "8"] = "4"
    """Who asks an `a5` board: 4 = RS-485 or USB port, 8 = UART or Bluetooth port."""
    max_temperature: Annotated[float, Field(ge=30, le=90)] = 60.0
    """The alarm `battery_over_temp` is raised at this temperature, °C, and cleared 5 °C below."""
    timeout: Annotated[Duration, Field(gt=0, le=5)] = 0.8
    """Longest wait for an answer, seconds."""

    @property
    def kind(self) -> Kind:
        """Family and framing in one word."""
        if self.family == "jbd":
            return "jbd_up" if self.framing == "up" else "jbd_dd"
        if self.family == "daly":
            return "daly_modbus" if self.framing == "modbus" else "daly_a5"
        return self.family

    @property
    def modbus(self) -> bool:
        """The frames of UP boards have only the checksum of Modbus."""
        return _KINDS[self.kind].modbus

    @property
    def serial_source(self) -> Serial:
        """Where the serial number stands, the default resolved."""
        if self.dialect in {"eg4", "seplos"}:
            return "none"
        return self.serial_from or _KINDS[self.kind].serials[0]

    @property
    def sign(self) -> Sign:
        """How the current's sign is meant, the default resolved."""
        return self.current_sign or _KINDS[self.kind].sign

    @model_validator(mode="after")
    def _fits(self) -> Self:
        framings = _FRAMINGS.get(self.family, ())
        if self.framing is not None and self.framing not in framings:
            raise ValueError(f"family {self.family!r} has no framing {self.framing!r}; {_either(framings)}")
        if (self.dialect is None) == (self.family == "ydt1363"):
            raise ValueError("family 'ydt1363' needs a dialect, the others have none")
        traits = _KINDS[self.kind]
        self._address_fits(traits)
        if self.serial_from is not None and self.serial_from not in traits.serials:
            raise ValueError(f"{self._name()} tells no serial number that way; {_either(traits.serials)}")
        if self.current_sign == "mode" and traits.sign != "mode":
            raise ValueError("only a 'daly' board says by its mode where the current flows")
        for key, kind in (("current_unit", "seplos_v3"), ("host", "daly_a5")):
            if key in self.model_fields_set and self.kind != kind:
                raise ValueError(f"{key} is for {kind.replace('_', ' ')} boards only; leave it out")
        return self

    def _address_fits(self, traits: Traits) -> None:
        if traits.addresses is None:
            if self.address is not None:
                raise ValueError(f"{self._name()} carries no address: give each battery its own link, leave it out")
            return
        low, high = traits.addresses
        if self.address is None:
            raise ValueError(f"{self._name()} needs the board's address")
        if not low <= self.address <= high:
            raise ValueError(f"{self._name()} has an address of {low} to {high}")

    def _name(self) -> str:
        framings = _FRAMINGS.get(self.family)
        return f"framing {self.framing or framings[0]!r}" if framings else f"family {self.family!r}"


def _either(words: tuple[str, ...]) -> str:
    return f"use {' or '.join(repr(word) for word in words)}" if words else "leave it out"
