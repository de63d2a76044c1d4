"""The wires of a station, as the station file describes them."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from edge_agent.config.types import DeviceFile, Id, IpAddress, Table
from edge_agent.units import Duration


class SerialLink(Table):
    """A serial port: RS-485 adapter, reader or UART."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["serial"]
    """`serial`."""
    port: DeviceFile
    """Device file; one below `/dev/serial/by-id/` or `/dev/serial/by-path/` stays the same after a reboot."""
    baud: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    """Bits a second."""
    parity: Literal["N", "E", "O"] = "N"
    """None, even or odd."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits."""
    echo: Literal["auto", "yes", "no"] = "auto"
    """Whether the adapter hears what it sends. Say `yes` or `no` where lock boards are on the link: their answer
    "failed" looks like an echo."""
    max_reply_delay: Annotated[Duration, Field(ge=0.01, le=60)] = 2.0
    """After a timeout a late answer may still come for this long, so nothing similar is asked until then."""
    guard: Annotated[Duration, Field(ge=0, le=1)] | None = None
    """Pause between two frames. Default: as long as 3.5 characters take, at least 1.75ms."""


class GpioLink(Table):
    """Slow contacts on the GPIO header, through gpiozero."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["gpio"]
    """`gpio`."""


class GpiodLink(Table):
    """GPIO lines whose edges carry the kernel's own timestamps, as Wiegand readers need."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["gpiod"]
    """`gpiod`."""
    chip: Annotated[str, Field(min_length=1)]
    """Label of the GPIO chip as `gpiodetect` shows it: `pinctrl-bcm2711` (Pi 4), `pinctrl-rp1` (Pi 5),
    `pinctrl-bcm2835` (Pi 3, Zero 2 W)."""


class HostLink(Table):
    """The machine itself, for drivers that read what its kernel tells: `system`, `ds18b20`."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["host"]
    """`host`."""


class I2cLink(Table):
    """An I²C bus of the machine."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["i2c"]
    """`i2c`."""
    bus: Annotated[int, Field(ge=0, le=99)] = 1
    """Number N of `/dev/i2c-N`; 1 is the one on the GPIO header (pins 3 and 5)."""


class UdpLink(Table):
    """A device on the network that is asked by UDP, like a door controller."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["udp"]
    """`udp`."""
    host: IpAddress
    """Its fixed IP address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 60000
    """Its UDP port; 60000 is that of UHPPOTE and Weigeng controllers."""
    max_reply_delay: Annotated[Duration, Field(ge=0.01, le=60)] = 2.0
    """After a timeout a late answer may still come for this long, so nothing similar is asked until then."""


class TcpLink(Table):
    """A serial server: a pair of wires behind a network address, its bytes passed on as they are ("RTU over TCP").

    Baud rate and parity are set in the serial server.
    """

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["tcp"]
    """`tcp`."""
    host: IpAddress
    """Its fixed IP address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Its TCP port in the mode TCP server, like 4001, 8899 or 26."""
    echo: Literal["auto", "yes", "no"] = "auto"
    """Whether the serial server hears what it sends, as for `serial`."""
    max_reply_delay: Annotated[Duration, Field(ge=0.01, le=60)] = 2.0
    """After a timeout a late answer may still come for this long, so nothing similar is asked until then."""
    guard: Annotated[Duration, Field(ge=0, le=1)] = 0.005
    """Pause between two frames; at 2400 baud take 20ms."""


class ModbusTcpLink(Table):
    """A device or gateway that speaks Modbus TCP; for every driver whose frames are Modbus."""

    name: Id
    """Name by which devices refer to this link."""
    kind: Literal["modbus-tcp"]
    """`modbus-tcp`."""
    host: IpAddress
    """Its fixed IP address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    """Its TCP port."""
    max_reply_delay: Annotated[Duration, Field(ge=0, le=60)] = 2.0
    """After a timeout a gateway may still get a late answer for this long, so nothing similar is asked until then. With
    a device that has no serial pair behind it, 0s is right."""


Link: TypeAlias = Annotated[
    SerialLink | TcpLink | ModbusTcpLink | UdpLink | GpioLink | GpiodLink | HostLink | I2cLink,
    Field(discriminator="kind"),
]
