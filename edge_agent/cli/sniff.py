"""`edge-agent sniff LINK`: what goes over one wire, as a file that `decode`, the tests and a simulator understand.

The devices of the link are asked as the agent would ask them, unless `--listen`: then only what comes by itself.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, get_args

from edge_agent.cli.arguments import duration
from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.clock import SystemClock
from edge_agent.config.file import load
from edge_agent.config.links import Link, SerialLink
from edge_agent.config.model import Config
from edge_agent.driver import Driver, Site, load_driver
from edge_agent.errors import AgentError, DeviceError, LinkError
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.capture import Piece, joined, lines
from edge_agent.links.line import Parity, StopBits
from edge_agent.links.make import line_of, make_link, tuned_link

HELP = "record the bytes on one wire as JSON lines"
_STEP = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("link", help="name of the link in the station file")
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument(
        "--for", dest="seconds", type=duration, default=10.0, metavar="TIME", help="how long to record (default: 10s)"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=100_000, help="stop after so many bytes (default: %(default)s)"
    )
    parser.add_argument("--listen", action="store_true", help="ask nobody; record what comes by itself")
    parser.add_argument("--baud", type=int, help="speed to listen at (default: that of the link)")
    parser.add_argument("--parity", choices=get_args(Parity), help="default: that of the link")
    parser.add_argument("--stop-bits", type=int, choices=get_args(StopBits), help="default: those of the link")
    parser.add_argument("--protocol", default="", help="protocol to note in each line, as `decode` names it")
    parser.add_argument("--output", type=Path, help="write here instead of to standard output")


def run(args: argparse.Namespace) -> int:
    """Record; 0 = something was heard, 1 = the wire was silent."""
    config = load(args.file).config
    clock = SystemClock()
    link = _link(config, args)
    wire = make_link(link, clock)
    if not isinstance(wire, ByteLink | AskedLink):
        raise AgentError(f"{args.link!r} carries edges and no bytes; use `probe` with the device on it")
    pieces: list[Piece] = []
    wire.tap = lambda direction, data: pieces.append(Piece(clock.monotonic(), direction, data))
    wire.open()
    try:
        turns = iter(()) if args.listen else _turns(config, link, wire)
        deadline = clock.monotonic() + args.seconds
        while clock.monotonic() < deadline and sum(len(piece.data) for piece in pieces) < args.max_bytes:
            if next(turns, None) is None:
                wire.wait(_STEP)
                wire.take()
    except LinkError as error:
        sys.stderr.write(f"{args.link}: {error}\n")
    finally:
        wire.close()
    if args.output is None:
        _write(sys.stdout, pieces, args)
    else:
        with args.output.open("w", encoding="utf-8") as file:
            _write(file, pieces, args)
    heard = sum(len(piece.data) for piece in pieces if piece.direction == "<")
    sys.stderr.write(f"{args.link}: {len(pieces)} pieces, {heard} bytes received\n")
    return 0 if heard else 1


def _link(config: Config, args: argparse.Namespace) -> Link:
    """Return the link at the speed that was asked for; raises AgentError where nothing may or can be recorded."""
    link = next((link for link in config.link if link.name == args.link), None)
    if link is None:
        known = ", ".join(link.name for link in config.link)
        raise AgentError(f"there is no link {args.link!r} in {args.file}; there are {known}")
    readers = [d.name for d in config.device if d.link == link.name and load_driver(d.driver).sensitive]
    if readers:
        raise AgentError(f"{readers[0]!r} on {link.name!r} reads cards: its bytes are personal and are not recorded")
    wanted = {key: value for key in ("baud", "parity", "stop_bits") if (value := getattr(args, key)) is not None}
    if wanted and not isinstance(link, SerialLink):
        raise AgentError(f"{link.name!r} is no serial port: {', '.join(wanted)} cannot be chosen")
    return link.model_copy(update=wanted)


def _turns(config: Config, link: Link, wire: ByteLink | AskedLink) -> Iterator[str]:
    """Ask the devices of the link round after round, each as it speaks; yields the name of each that was asked."""
    devices = [device for device in config.device if device.link == link.name]
    drivers = [(device, load_driver(device.driver)(device.options, Site())) for device in devices]
    polled = [(device, driver) for device, driver in drivers if isinstance(driver, Driver)]
    while polled:
        for device, driver in polled:
            try:
                list(driver.poll(tuned_link(wire, line_of(device, link)) or wire))
            except DeviceError:
                pass
            except LinkError as error:
                if error.gone:
                    raise
            yield device.name


def _write(file: TextIO, pieces: list[Piece], args: argparse.Namespace) -> None:
    source = f"sniffed on link {args.link}"
    file.writelines(f"{line}\n" for line in lines(joined(pieces), source=source, protocol=args.protocol))
