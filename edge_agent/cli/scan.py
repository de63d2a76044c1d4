"""`edge-agent scan`: which serial ports there are, and with a port: who answers on it, at which speed and address.

Every question only reads. A port that a program holds is left alone. What is printed is TOML: whoever answers as a
comment while it goes on, then the tables for the station file.
"""

import argparse
import sys
from pathlib import Path
from typing import get_args

from edge_agent.cli.arguments import duration
from edge_agent.cli.proposal import proposal, summary
from edge_agent.cli.search import Found, Opener, plan, scans, search
from edge_agent.errors import AgentError, LinkError
from edge_agent.links.line import Parity
from edge_agent.links.serial import SerialSettings, open_serial

HELP = "list the serial ports, or look for devices on one"
_PORTS = ("/dev/serial/by-path/*", "/dev/serial/by-id/*", "/dev/ttyAMA*", "/dev/ttyS0", "/dev/ttyUSB*", "/dev/ttyACM*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    known = ", ".join(sorted(scans()))
    parser.add_argument("port", nargs="?", help="device file; without it the ports are listed")
    parser.add_argument("--protocol", action="append", help=f"ask in this protocol only; there are {known}")
    parser.add_argument("--baud", type=int, nargs="+", help="speeds to try (default: those usual in each protocol)")
    parser.add_argument("--parity", nargs="+", choices=get_args(Parity), help="default: as usual in each protocol")
    parser.add_argument("--addresses", metavar="FIRST-LAST", type=_range, help="default: as usual in each protocol")
    parser.add_argument(
        "--timeout", type=duration, metavar="TIME", help="how long a device may think (default: 150ms to 600ms)"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found, as TOML; 1 = nothing, 130 = stopped by the user, with what had been found by then."""
    if args.port is None:
        return _list_ports(sorted({str(path) for name in _PORTS for path in Path("/").glob(name.lstrip("/"))}))
    wanted = {name: known for name, known in scans().items() if not args.protocol or name in args.protocol}
    if not wanted:
        raise AgentError(f"nothing can be looked for in that protocol; there are {', '.join(sorted(scans()))}")
    steps = plan(wanted, bauds=args.baud, parities=args.parity, chosen=args.addresses, timeout=args.timeout)
    everybody: list[Found] = []
    code = 0
    try:
        for found in search(args.port, steps, _say):
            everybody.append(found)
            _print(f"# {summary(found)}")
    except KeyboardInterrupt:
        code = 130
    if everybody:
        _print("", *proposal(args.port, everybody))
    elif not code:
        _say(f"{args.port}: nobody answered; check A/B, ground and power, and try other --baud and --parity")
        code = 1
    return code


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


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
