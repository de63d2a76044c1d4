"""`edge-agent page-pin FILE`: set the PIN with which maintenance staff may act at the status page."""

import argparse
import getpass
import os
import sys
from pathlib import Path

from edge_agent.errors import AgentError
from edge_agent.page.access import SHORTEST, hashed

HELP = "set the PIN of the status page"
_DEFAULT = Path("/etc/edge-agent/secrets/page-pin")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=_DEFAULT, help="where it is kept (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Ask for the PIN, twice at a terminal, and write its hash; the PIN itself is kept nowhere."""
    pin = _ask()
    if len(pin) < SHORTEST:
        raise AgentError(f"the PIN is too short: take at least {SHORTEST} characters")
    file: Path = args.file
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(hashed(pin))
        fresh.replace(file)
    except OSError as error:
        raise AgentError(f"{file} cannot be written: {error.strerror}; run this with sudo") from error
    sys.stdout.write(f"{file} is written. The agent takes it at its next start.\n")
    return 0


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    pin = getpass.getpass("New PIN: ")
    if getpass.getpass("Again: ") != pin:
        raise AgentError("the two are not the same; nothing was changed")
    return pin
