"""A station file to spoil and drivers to describe it by, for the tests of the configuration."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field, field_validator

from edge_agent.config.file import Loaded, load
from edge_agent.driver import (
    Arguments,
    Chunk,
    Command,
    DriverClass,
    Duration,
    LineRequest,
    Link,
    Options,
    Record,
    Site,
    Verbs,
    Wire,
)
from edge_agent.errors import ConfigError

GOOD = """\
[station]
id = "365-001"
name = { zh = "建国路站", en = "Jianguo Road" }
region = "chaoyang"
district = "jianwai"
timezone = "Asia/Shanghai"
day_starts = "04:00"

[uplink]
broker = "mqtts://broker.example.org"
keepalive = "60s"

[[link]]
name = "rs485"
kind = "serial"
port = "/dev/serial/by-path/one"
baud = 9600

[[link]]
name = "header"
kind = "gpio"

[[device]]
name = "climate"
link = "rs485"
driver = "meter"
address = 1
every = "5s"

[[device]]
name = "inputs"
link = "header"
driver = "inputs"
contacts = { door = { line = 17 }, sos = { line = 27 } }
"""
"""Usable without a warning; the tests count its lines."""


class _Driver:
    """What all of these drivers have."""

    Simulator: ClassVar[Callable[..., Any]] = object
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: Any, site: Site) -> None:
        self._options = options


class MeterOptions(Options):
    """Keys of the meter."""

    address: Annotated[int, Field(ge=1, le=247)] = 1
    """Address of the meter. Set by switches."""
    timeout: Annotated[Duration, Field(ge=0.05, le=5)] = 0.3
    """Longest wait."""
    mode: Literal["fast", "slow"] = "fast"
    """How it measures."""
    profile: str = "plain"
    """Which meter."""

    @field_validator("profile")
    @classmethod
    def _shipped(cls, name: str) -> str:
        if name != "plain":
            raise ValueError(f"no profile {name!r}; shipped is plain")
        return name


class Meter(_Driver):
    """A device that is asked."""

    Options: ClassVar[type[MeterOptions]] = MeterOptions


class Contact(Options):
    """One input."""

    line: Annotated[int, Field(ge=0, le=27)]
    """BCM number."""
    tags: tuple[Annotated[str, BeforeValidator(str)], ...] = ()
    """Words about it."""


class InputsOptions(Options):
    """Keys of the inputs."""

    contacts: dict[str, Contact]
    """The inputs by name."""

    @property
    def known_points(self) -> frozenset[str]:
        """One each."""
        return frozenset(self.contacts)


class Inputs(_Driver):
    """Contacts on GPIO lines."""

    Options: ClassVar[type[InputsOptions]] = InputsOptions
    wire: ClassVar[Wire] = Wire.GPIO

    def lines(self) -> Sequence[LineRequest]:
        """One line a contact."""
        return [LineRequest(contact.line) for contact in self._options.contacts.values()]


class NoOptions(Options):
    """No keys."""


class Reader(_Driver):
    """A card reader: speaks unasked, and its bytes are personal."""

    Options: ClassVar[type[NoOptions]] = NoOptions
    sensitive: ClassVar[bool] = True

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Nothing is ever fed here."""
        return ()


class Lamp(_Driver):
    """A device that can be told to do something."""

    Options: ClassVar[type[NoOptions]] = NoOptions

    def verbs(self) -> Verbs:
        """It goes on and off."""
        return {"on": Arguments, "off": Arguments}

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Nothing is ever ordered here."""
        return ()


class Talker(_Driver):
    """A device without an address."""

    Options: ClassVar[type[NoOptions]] = NoOptions


DRIVERS = cast(
    "dict[str, DriverClass]",
    {"meter": Meter, "inputs": Inputs, "reader": Reader, "talker": Talker, "lamp": Lamp},
)


def read(text: str, *, ready: bool = False, environ: dict[str, str] | None = None) -> Loaded:
    """Load `text` as station.toml of the current directory."""
    Path("station.toml").write_text(text, encoding="utf-8")
    return load(Path("station.toml"), drivers=DRIVERS, environ=environ or {}, ready=ready)


def problems(text: str, *, ready: bool = False) -> list[str]:
    """Return the errors of `text`, or its warnings if it is usable."""
    try:
        return [str(found) for found in read(text, ready=ready).warnings]
    except ConfigError as error:
        return [str(found) for found in error.problems]
