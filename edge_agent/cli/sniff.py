"""`edge-agent sniff LINK`: what goes over one wire, as a file that `decode`, the tests and a simulator understand.

The devices of the link are asked as the agent would ask them, unless `--listen`: then only what comes by itself.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from edge_agent.cli.arguments import duration
from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.clock import Clock, SystemClock
from edge_agent.config.file import load
from edge_agent.config.model import Config
from edge_agent.driver import Driver, Site, load_driver
from edge_agent.errors import AgentError, DeviceError, LinkError
from edge_agent.links.asked import AskedLink
from edge_agent.links.bytelink import ByteLink
from edge_agent.links.capture import Piece, joined, lines
from edge_agent.links.make import make_link

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
    parser.add_argument("--protocol", default="", help="protocol to note in each line, as `decode` names it")
    parser.add_argument("--output", type=Path, help="write here instead of to standard output")


def run(args: argparse.Namespace) -> int:
    """Record; 0 = something was heard, 1 = the wire was silent."""
    config = load(args.file).config
    clock = SystemClock()
    wire = _wire(config, args.link, args.file, clock)
    pieces: list[Piece] = []
    wire.tap = lambda direction, data: pieces.append(Piece(clock.monotonic(), direction, data))
    wire.open()
    try:
        turns = iter(()) if args.listen else _turns(config, args.link, wire)
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


def _wire(config: Config, name: str, file: Path, clock: Clock) -> ByteLink | AskedLink:
    link = next((link for link in config.link if link.name == name), None)
    if link is None:
        raise AgentError(
            f"there is no link {name!r} in {file}; there are {', '.join(link.name for link in config.link)}"
        )
    readers = [d.name for d in config.device if d.link == name and load_driver(d.driver).sensitive]
    if readers:
        raise AgentError(f"{readers[0]!r} on {name!r} reads cards: its bytes are personal and are not recorded")
    wire = make_link(link, clock)
    if not isinstance(wire, ByteLink | AskedLink):
        raise AgentError(f"{name!r} carries edges and no bytes; use `probe` with the device on it")
    return wire


def _turns(config: Config, link: str, wire: ByteLink | AskedLink) -> Iterator[str]:
    """Ask the devices of the link round after round; yields the name of each that was asked."""
    drivers = {d.name: load_driver(d.driver)(d.options, Site()) for d in config.device if d.link == link}
    polled = {name: driver for name, driver in drivers.items() if isinstance(driver, Driver)}
    while polled:
        for name, driver in polled.items():
            try:
                list(driver.poll(wire))
            except DeviceError:
                pass
            except LinkError as error:
                if error.gone:
                    raise
            yield name


def _write(file: TextIO, pieces: list[Piece], args: argparse.Namespace) -> None:
    source = f"sniffed on link {args.link}"
    file.writelines(f"{line}\n" for line in lines(joined(pieces), source=source, protocol=args.protocol))
