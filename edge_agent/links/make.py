"""From a `[[link]]` of the station file to the link itself."""

from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.config.device import Device
from edge_agent.config.links import (
    GpiodLink,
    GpioLink,
    HostLink,
    I2cLink,
    Link,
    ModbusTcpLink,
    SerialLink,
    TcpLink,
    UdpLink,
)
from edge_agent.driver import Link as AskLink
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.edges import EdgeLink
from edge_agent.links.gpio import GpioLink as ContactsLink
from edge_agent.links.gpiod_source import GpiodSource
from edge_agent.links.host import HostLink as MachineLink
from edge_agent.links.i2c import I2cLink as I2cBusLink
from edge_agent.links.line import Line
from edge_agent.links.modbus_tcp import ModbusTcpPort
from edge_agent.links.serial import SerialSettings, open_serial, timing_for
from edge_agent.links.tcp import open_tcp
from edge_agent.links.udp import open_udp


def line_of(device: Device, link: Link) -> Line | None:
    """Return how `device` speaks where that is not how its link does; None where it is."""
    if not isinstance(link, SerialLink) or (device.baud, device.parity, device.stop_bits) == (None, None, None):
        return None
    line = Line(device.baud or link.baud, device.parity or link.parity, device.stop_bits or link.stop_bits)
    return None if line == Line(link.baud, link.parity, link.stop_bits) else line


def tuned_link(wire: object, line: Line | None) -> AskLink | None:
    """Return `wire` for a device with a `line` of its own; None for one that speaks as its link does."""
    return wire.tuned(line) if line is not None and isinstance(wire, ByteLink) else None


def make_link(link: Link, clock: Clock) -> ByteLink | EdgeLink | AskedLink:
    """Build the link; it is opened later, by the Worker that owns it."""
    if isinstance(link, GpioLink):
        return ContactsLink(link.name, clock)
    if isinstance(link, GpiodLink):
        return EdgeLink(link.name, GpiodSource(link.chip), clock)
    if isinstance(link, HostLink):
        return MachineLink(link.name, clock)
    if isinstance(link, I2cLink):
        return I2cBusLink(link.name, Path(f"/dev/i2c-{link.bus}"), clock)
    if isinstance(link, UdpLink | TcpLink | ModbusTcpLink):
        return _network_link(link, clock)
    settings = SerialSettings(link.port, link.baud, link.parity, link.stop_bits)
    timing = timing_for(settings, guard=link.guard, max_reply_delay=link.max_reply_delay, echo=link.echo)
    return ByteLink(link.name, lambda: open_serial(settings), clock, timing)


def _network_link(link: UdpLink | TcpLink | ModbusTcpLink, clock: Clock) -> ByteLink:
    host, port = link.host, link.port
    if isinstance(link, TcpLink):
        timing = Timing(guard=link.guard, max_reply_delay=link.max_reply_delay, echo=link.echo)
        return ByteLink(link.name, lambda: open_tcp(host, port), clock, timing)
    timing = Timing(guard=0.0, max_reply_delay=link.max_reply_delay, echo="no")
    if isinstance(link, ModbusTcpLink):
        return ByteLink(link.name, lambda: ModbusTcpPort(open_tcp(host, port)), clock, timing)
    return ByteLink(link.name, lambda: open_udp(host, port), clock, timing)
