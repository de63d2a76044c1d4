"""`edge-agent report MONTH [FILE]`: the evidence of a month for a reviewer, as one page and as CSV."""

import argparse
import re
import sys
import time
from pathlib import Path

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.errors import AgentError
from edge_agent.evidence.month import collect
from edge_agent.evidence.render import days_csv, html, intervals_csv
from edge_agent.evidence.words import LANGUAGES
from edge_agent.journal.reader import Reader

HELP = "write the evidence report of a month, HTML and CSV"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("month", type=_month, help="like 2026-11")
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument("--lang", choices=("both", *LANGUAGES), default="both", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where to write (default: here)")


def run(args: argparse.Namespace) -> int:
    """Write three files and name them; reads the journal only, also while the agent runs."""
    config = load(args.file).config
    reader = Reader(config.journal.dir)
    try:
        month = collect(reader, config, args.month, round(time.time() * 1000))
    finally:
        reader.close()
    languages = LANGUAGES if args.lang == "both" else (args.lang,)
    stem = f"{config.station.id}-{args.month}"
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, text in (
            (f"{stem}.html", html(month, languages)),
            (f"{stem}-days.csv", days_csv(month)),
            (f"{stem}-intervals.csv", intervals_csv(month)),
        ):
            (args.out / name).write_text(text, encoding="utf-8", newline="")
            sys.stdout.write(f"{args.out / name}\n")
    except OSError as error:
        raise AgentError(f"{error.filename}: the report cannot be written: {error.strerror}") from error
    return 0


def _month(text: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a month – write it like "2026-11"')
    return text
