"""`edge-agent probe DEVICE`: one conversation with one device, bytes shown; what an installer does after wiring it."""

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from edge_agent.cards import CardKey
from edge_agent.cli.arguments import duration
from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.clock import Clock, SystemClock
from edge_agent.config.device import Device
from edge_agent.config.file import load
from edge_agent.config.links import Link
from edge_agent.config.model import Config
from edge_agent.driver import Alarm, Driver, Event, Listener, Memory, Reading, Record, Site, Wire, load_driver
from edge_agent.errors import AgentError, DeviceError, LinkError
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.make import line_of, make_link, tuned_link
from edge_agent.links.owned import OwnedLink

HELP = "ask one device once and show the conversation"
_STEP = 0.1


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
    """Print bytes and records; 0 = the device told something, 1 = it did not."""
    config = load(args.file).config
    device = next((device for device in config.device if device.name == args.device), None)
    if device is None:
        known = ", ".join(device.name for device in config.device)
        raise AgentError(f"there is no device {args.device!r} in {args.file}; there are {known}")
    return probe(config, device, args.seconds)


def probe(config: Config, device: Device, seconds: float, make: Callable[[Link, Clock], OwnedLink] = make_link) -> int:
    """Have the conversation over the link that `make` builds; see `run`. A listener is listened to for `seconds`."""
    link = next(link for link in config.link if link.name == device.link)
    kind = load_driver(device.driver)
    # A key of its own: what a card is called here means nothing anywhere else.
    driver = kind(device.options, Site(card_key=CardKey("probe", secrets.token_bytes(32))))
    clock = SystemClock()
    wire = make(link, clock)
    if kind.sensitive:
        sys.stderr.write(f"{device.name}: its bytes are personal and are not shown\n")
    elif isinstance(wire, ByteLink | AskedLink):
        wire.tap = _show_text if kind.wire is Wire.HOST else _show_bytes
    wire.open(tuple(driver.lines()) if isinstance(driver, Listener) else ())
    told = 0
    try:
        if isinstance(driver, Driver):
            told = _tell(driver.poll(tuned_link(wire, line_of(device, link)) or wire))
        else:
            told = _listen(driver, wire, clock, seconds, edges=not kind.sensitive)
    except (DeviceError, LinkError) as error:
        sys.stderr.write(f"{device.name}: {error}\n")
        return 1
    finally:
        wire.close()
    if not told:
        sys.stderr.write(f"{device.name}: nothing came; operate it while this verb listens\n")
    return 0 if told else 1


def _listen(driver: Listener, wire: OwnedLink, clock: Clock, seconds: float, *, edges: bool) -> int:
    """Print what comes; returns how many records that were."""
    told = 0
    deadline = clock.monotonic() + seconds
    while (left := deadline - clock.monotonic()) > 0:
        wire.wait(min(left, _STEP))
        if (chunk := wire.take()) is not None:
            for edge in chunk.edges if edges else ():
                sys.stdout.write(f"<< GPIO {edge.line} {'high' if edge.high else 'low'}\n")
            told += _tell(driver.feed(chunk))
        told += _tell(driver.quiet(clock.monotonic()))
    return told


def _show_bytes(direction: str, data: bytes) -> None:
    sys.stdout.write(f"{direction}{direction} {data.hex(' ')}\n")


def _show_text(direction: str, data: bytes) -> None:
    sys.stdout.write(f"{direction}{direction} {data.decode(errors='replace').rstrip()}\n")


def _tell(records: Iterable[Record]) -> int:
    told = list(records)
    sys.stdout.writelines(f"== {_text(record)}\n" for record in told)
    return len(told)


def _text(record: Record) -> str:
    """Say a record; a card's reference is left out."""
    match record:
        case Reading():
            return f"{record.point} {f'bad: {record.why}' if record.value is None else record.value}"
        case Alarm():
            return f"alarm {record.code} {'raised' if record.active else 'clear'}"
        case Event():
            return f"event {record.type} {json.dumps(dict(record.data), ensure_ascii=False)}"
        case Memory():
            return f"to remember: {record.key}"
        case _:
            raise AssertionError(f"no driver says {record!r}")
