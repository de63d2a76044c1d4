"""`edge-agent scan`: which serial ports there are, and with a port: who answers on it, at which speed and address.

Every question only reads. A port that a program holds is left alone.
"""

import argparse
import importlib
import importlib.util
import itertools
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from edge_agent.cli.arguments import duration
from edge_agent.clock import SystemClock
from edge_agent.driver import Scan
from edge_agent.errors import AgentError, DeviceError, LinkError
from edge_agent.links.bytelink import ByteLink, Port, Timing
from edge_agent.links.line import Parity
from edge_agent.links.serial import SerialSettings, open_serial

HELP = "list the serial ports, or look for devices on one"
_PORTS = ("/dev/serial/by-path/*", "/dev/serial/by-id/*", "/dev/ttyAMA*", "/dev/ttyS0", "/dev/ttyUSB*", "/dev/ttyACM*")
_BAUDS = (9600, 4800, 2400, 19200, 38400, 115200)
_PARITIES = ("N", "E")
Opener = Callable[[SerialSettings], Port]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    known = ", ".join(sorted(scans()))
    parser.add_argument("port", nargs="?", help="device file; without it the ports are listed")
    parser.add_argument("--protocol", action="append", help=f"ask in this protocol only; there are {known}")
    parser.add_argument("--baud", type=int, nargs="+", default=_BAUDS, help="speeds to try (default: the usual six)")
    parser.add_argument("--parity", nargs="+", choices=get_args(Parity), default=_PARITIES, help="default: N E")
    parser.add_argument("--addresses", metavar="FIRST-LAST", type=_range, help="addresses to try (default: all)")
    parser.add_argument(
        "--timeout", type=duration, default=0.15, metavar="TIME", help="longest wait for an answer (default: 150ms)"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 = nothing."""
    if args.port is None:
        return _list_ports(sorted({str(path) for name in _PORTS for path in Path("/").glob(name.lstrip("/"))}))
    wanted = {name: scan for name, scan in scans().items() if not args.protocol or name in args.protocol}
    if not wanted:
        raise AgentError(f"nothing can be looked for in that protocol; there are {', '.join(sorted(scans()))}")
    found = 0
    for line in look(
        args.port, wanted, bauds=args.baud, parities=args.parity, chosen=args.addresses, timeout=args.timeout
    ):
        found += 1
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if not found:
        sys.stderr.write(
            f"{args.port}: nobody answered; check A/B, ground and power, and try other --baud and --parity\n"
        )
    return 0 if found else 1


def scans() -> dict[str, Scan]:
    """Return protocol -> scan of every driver below `drivers`."""
    found: dict[str, Scan] = {}
    spec = importlib.util.find_spec("drivers")
    for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else None):
        found |= getattr(importlib.import_module(f"drivers.{module.name}"), "SCANS", {})
    return found


def look(
    port: str,
    wanted: dict[str, Scan],
    *,
    bauds: Sequence[int],
    parities: Sequence[Parity],
    chosen: range | None = None,
    timeout: float,
    opener: Opener = open_serial,
) -> Iterator[str]:
    """Yield a line for everyone who answers; raises LinkError if the port cannot be had, as when it is in use."""
    clock = SystemClock()
    ways = list(itertools.product(bauds, parities))
    refusals: list[LinkError] = []
    for baud, parity in ways:
        settings = SerialSettings(port, baud, parity)
        # Each question has a key of its own, so nothing needs to be waited for after a silence.
        timing = Timing(guard=settings.line.guard, max_reply_delay=0.0)
        link = ByteLink(port, lambda settings=settings: opener(settings), clock, timing)  # type: ignore[misc]
        try:
            link.open()
        except LinkError as error:
            refusals.append(error)
            continue
        try:
            for name, scan in wanted.items():
                for address in scan.addresses:
                    if chosen is not None and len(scan.addresses) > 1 and address not in chosen:
                        continue
                    if answer := _ask(link, scan, address, timeout):
                        where = f" address {address}" if len(scan.addresses) > 1 else ""
                        yield f"{baud} 8{parity}1 {name}{where}: {answer.hex(' ')}"
        finally:
            link.close()
    # Some ports have no parity, or not every speed: that is no reason to leave the others out.
    if len(refusals) == len(ways):
        raise refusals[0]


def _ask(link: ByteLink, scan: Scan, address: int, timeout: float) -> bytes:
    """Return the answer, b"" for silence and for bytes that are none: those of another speed look like that."""
    request, shape = scan.question(address)
    try:
        return link.ask(request, reply=shape, within=timeout)
    except DeviceError:
        return b""
    except LinkError as error:
        if error.gone:
            raise
        return b""


def _list_ports(ports: list[str], opener: Opener = open_serial) -> int:
    for port in ports:
        try:
            opener(SerialSettings(port)).close()
            state = "free"
        except LinkError as error:
            state = str(error)
        sys.stdout.write(f"{port} -> {Path(port).resolve().name}: {state}\n")
    if not ports:
        sys.stderr.write("no serial port is present: is the adapter plugged in?\n")
    return 0 if ports else 1


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1-16")
    return range(int(first), int(last or first) + 1)
