"""`edge-agent run FILE`: the agent itself, until SIGTERM or Ctrl-C."""

import argparse
import ctypes
import logging
import os
import sys
from pathlib import Path

from edge_agent import logs
from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.station import Station
from edge_agent.supervisor import stop_on_signals

log = logging.getLogger(__name__)

HELP = "run the agent with a station file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run until a signal; 0 = clean stop."""
    logs.setup(sys.stderr, os.environ)
    loaded = load(args.file, ready=True)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    stop = stop_on_signals()
    with Station(loaded.config) as station:
        _give_back()
        station.run(stop)
    return 0


def _give_back() -> None:
    """Give the system back what loading has used and left: a tenth of the memory (malloc_trim(3), glibc only)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
