"""`edge-agent card-ref FILE`: the reference of a card, for the lists of staff and groups.

The number is read from the terminal without an echo, or from standard input; it is never an argument, which other users
of the machine could see and the shell would remember, and it is written nowhere.
"""

import argparse
import getpass
import re
import sys
from pathlib import Path

from edge_agent.card_list import entry
from edge_agent.cards import CardKey
from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.errors import AgentError

HELP = "print the reference of a card, for lists of staff and groups"
_WIDTHS = {
    "w26": 24,
    "w34": 32,
    "w37": 35,
    "em4100": 40,
    "decimal10": 32,
    "uid": 32,
    "uhppote": 32,
}
"""Format, as the reader's driver names it -> bits without parity."""
_PRINTED = re.compile(r"(\d{1,3}),(\d{1,5})", re.ASCII)
"""Facility and number of a Wiegand 26 card as they are printed on it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument(
        "--format", choices=tuple(_WIDTHS), default="w26", help="how the reader tells the card (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print one reference for each number given."""
    cards = load(args.file).config.cards
    if cards.key_file is None:
        raise AgentError("[cards] key_file is missing, and without the key there are no references")
    key = CardKey.load(cards.key_file, cards.key_id)
    if sys.stdin.isatty():
        numbers = [getpass.getpass("card number (not shown): ")]
    else:
        numbers = [line for line in sys.stdin.read().splitlines() if line.strip()]
    for number in numbers:
        reference = key.reference(args.format, bits_of(number, _WIDTHS[args.format]))
        sys.stdout.write(f"{entry(reference)}\n")
    return 0


def bits_of(text: str, width: int) -> str:
    """Return the bits of a number as people write it: decimal, `0x` and hexadecimal, or `FACILITY,NUMBER`.

    Raises AgentError, which does not repeat it.
    """
    digits = "".join(text.split())
    printed = _PRINTED.fullmatch(digits)
    try:
        if printed is not None and width == _WIDTHS["w26"]:
            facility, number = int(printed[1]), int(printed[2])
            value = facility << 16 | number if number < 1 << 16 else -1
        elif digits.lower().startswith("0x"):
            value = int(digits, 16)
        else:
            value = int(digits)
    except ValueError:
        raise AgentError("this is no card number – write it in decimal, as 0x…, or as FACILITY,NUMBER") from None
    if not 0 <= value < 1 << width:
        raise AgentError(f"this number does not fit into {width} bits – see that --format is the reader's")
    return f"{value:0{width}b}"
