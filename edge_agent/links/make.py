"""From a `[[link]]` of the station file to the link itself."""

from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.config_links import GpiodLink, GpioLink, HostLink, I2cLink, SerialLink, UdpLink
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink, Timing
from edge_agent.links.edges import EdgeLink
from edge_agent.links.gpio import GpioLink as ContactsLink
from edge_agent.links.gpiod_source import GpiodSource
from edge_agent.links.host import HostLink as MachineLink
from edge_agent.links.i2c import I2cLink as I2cBusLink
from edge_agent.links.serial import SerialSettings, open_serial, timing_for
from edge_agent.links.udp import open_udp


def make_link(
    link: SerialLink | GpioLink | GpiodLink | HostLink | I2cLink | UdpLink, clock: Clock
) -> ByteLink | EdgeLink | AskedLink:
    """Build the link; it is opened later, by the Worker that owns it."""
    if isinstance(link, GpioLink):
        return ContactsLink(link.name, clock)
    if isinstance(link, GpiodLink):
        return EdgeLink(link.name, GpiodSource(link.chip), clock)
    if isinstance(link, HostLink):
        return MachineLink(link.name, clock)
    if isinstance(link, I2cLink):
        return I2cBusLink(link.name, Path(f"/dev/i2c-{link.bus}"), clock)
    if isinstance(link, UdpLink):
        host, port = link.host, link.port
        timing = Timing(guard=0.0, max_reply_delay=link.max_reply_delay, echo="no")
        return ByteLink(link.name, lambda: open_udp(host, port), clock, timing)
    settings = SerialSettings(link.port, link.baud, link.parity, link.stop_bits)
    timing = timing_for(settings, guard=link.guard, max_reply_delay=link.max_reply_delay, echo=link.echo)
    return ByteLink(link.name, lambda: open_serial(settings), clock, timing)
