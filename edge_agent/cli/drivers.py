"""`edge-agent drivers [NAME]`: which drivers are installed, and what one of them can be told."""

import argparse
import inspect
import sys

from edge_agent.config.described import keys_in
from edge_agent.config.reference import default_of, keys_of, values_of
from edge_agent.driver import Driver, Listener, driver_names, load_driver

HELP = "list the installed drivers, or show the options of one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("name", nargs="?", help="show this driver's options")


def run(args: argparse.Namespace) -> int:
    """Print the list, or one driver's options with their meaning."""
    if args.name is None:
        for name in sorted(driver_names()):
            sys.stdout.write(f"{name:12} {_title(name)}\n")
        return 0
    driver = load_driver(args.name)
    sys.stdout.write(f'{args.name}: {_title(args.name)}\nlink: kind = "{driver.wire}"\n')
    for key, field in keys_of(keys_in(driver.Options)):
        default = "required" if field.is_required() else f"default {default_of(field)}"
        meaning = " ".join((field.description or "").split())
        sys.stdout.write(f"  {key} ({default}): {values_of(field)}\n      {meaning}\n".replace("`", ""))
    return 0


def _title(name: str) -> str:
    driver = load_driver(name)
    ways = [word for kind, word in ((Driver, "polled"), (Listener, "speaks by itself")) if _has(driver, kind)]
    text = inspect.getdoc(driver) or ""
    return f"{text.splitlines()[0] if text else ''} ({', '.join(ways)})"


def _has(driver: object, kind: type) -> bool:
    return hasattr(driver, "poll" if kind is Driver else "feed")
