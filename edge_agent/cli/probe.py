"""`edge-agent probe DEVICE`: one conversation with one device, bytes shown; what an installer does after wiring it."""

import argparse
import sys
from pathlib import Path

from edge_agent.cli.arguments import duration
from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.clock import SystemClock
from edge_agent.config.file import load
from edge_agent.driver import Driver, Site, load_driver
from edge_agent.errors import AgentError, DeviceError, LinkError
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.make import line_of, make_link, tuned_link
from edge_agent.records import Reading, Record

HELP = "ask one device once and show the conversation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("device", help="name of the device in the station file")
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        default="10s",
        metavar="TIME",
        help="how long to listen to a device that is not asked (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Print bytes and records; 0 = the device answered with good values, 1 = it did not."""
    config = load(args.file).config
    device = next((device for device in config.device if device.name == args.device), None)
    if device is None:
        known = ", ".join(device.name for device in config.device)
        raise AgentError(f"there is no device {args.device!r} in {args.file}; there are {known}")
    link = next(link for link in config.link if link.name == device.link)
    kind = load_driver(device.driver)
    driver = kind(device.options, Site())
    if kind.sensitive:
        raise AgentError(f"{args.device!r} reads cards: its bytes are personal and are not shown; swipe and use `tail`")
    clock = SystemClock()
    wire = make_link(link, clock)
    if isinstance(wire, ByteLink):
        wire.tap = _show
    wire.open(() if isinstance(driver, Driver) else tuple(driver.lines()))
    try:
        if isinstance(driver, Driver):
            _print(driver.poll(tuned_link(wire, line_of(device, link)) or wire))
            return 0
        deadline = clock.monotonic() + args.seconds
        while (left := deadline - clock.monotonic()) > 0:
            wire.wait(min(left, 0.1))
            if (chunk := wire.take()) is not None:
                _print(driver.feed(chunk))
            _print(driver.quiet(clock.monotonic()))
    except (DeviceError, LinkError) as error:
        sys.stderr.write(f"{args.device}: {error}\n")
        return 1
    finally:
        wire.close()
    return 0


def _show(direction: str, data: bytes) -> None:
    sys.stdout.write(f"{direction}{direction} {data.hex(' ')}\n")


def _print(records: object) -> None:
    for record in list(records):  # type: ignore[call-overload]
        sys.stdout.write(f"== {_text(record)}\n")


def _text(record: Record) -> str:
    if isinstance(record, Reading):
        value = f"bad: {record.why}" if record.value is None else record.value
        return f"{record.point} {value}"
    return repr(record)
