"""`edge-agent demo`: a whole simulated station on this machine, no hardware and no broker needed."""

import argparse
import sys

from edge_agent.cli.arguments import address, duration

HELP = "run a simulated station with its own broker and status page"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("--for", dest="seconds", type=duration, metavar="TIME", help='end by itself, e.g. after "20s"')
    parser.add_argument("--json", action="store_true", help="print only a summary, as JSON, at the end")
    parser.add_argument(
        "--broker", type=address, metavar="HOST:PORT", help="use this broker instead of the embedded one"
    )
    parser.add_argument(
        "--page", type=address, default="127.0.0.1:8080", metavar="HOST:PORT", help="default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=1, help="another number, other people")


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C or the given time; 0 only if everything accepted was acknowledged by the broker."""
    if not args.json:
        sys.stdout.write("starting a simulated station (everything but the far ends of the wires is real) ...\n")
        sys.stdout.flush()
    # Imported behind the first line: a second start answers at once, also on a Pi Zero.
    from edge_agent.demo.show import show  # noqa: PLC0415

    return show(args.seconds, as_json=args.json, broker=args.broker, page=args.page, seed=args.seed)
