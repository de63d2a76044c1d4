"""`edge-agent check FILE`: every mistake of a station file at once, before anything is started."""

import argparse
import sys
from pathlib import Path

from edge_agent.config.file import Loaded, load
from edge_agent.errors import ConfigError

HELP = "check a station file and name every mistake with its line"
DEFAULT_FILE = Path("/etc/edge-agent/station.toml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument(
        "--explain", action="store_true", help="print the configuration in effect and where each value comes from"
    )


def run(args: argparse.Namespace) -> int:
    """Print errors and warnings to stderr, the result to stdout; 0 = usable, 2 = not."""
    try:
        loaded = load(args.file)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.stdout.write(f"{args.file}: {_count(len(error.problems), 'error')}\n")
        return 2
    for warning in loaded.warnings:
        sys.stderr.write(f"{warning}\n")
    sys.stdout.write(loaded.explain() if args.explain else f"{args.file}: {_summary(loaded)}\n")
    return 0


def _summary(loaded: Loaded) -> str:
    config = loaded.config
    parts = [
        _count(len(config.link), "link"),
        _count(len(config.device), "device"),
        _count(len(config.cabinet), "cabinet"),
    ]
    if loaded.warnings:
        parts.append(_count(len(loaded.warnings), "warning"))
    return f"usable: {', '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
