"""`edge-agent ledger [MONTH|verify] [FILE]`: the usage ledger (台账) of a month, and whether anybody has changed it."""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.config.model import Config
from edge_agent.journal.account import Account, Checked, Day, Finding, Verdict, read, verify
from edge_agent.journal.reader import Reader
from edge_agent.ledger import Calendar

HELP = "print, export or verify the usage ledger"
_VERIFY = "verify"
_FILE = ".toml"
"""Ending of a station file: whoever gives only that wants this month."""
_SECONDS = "_s"
_HOURS = 24
_WORDS = {
    Finding.HOLDS: "holds",
    Finding.GONE: "cannot be proved here: some of its records are no longer stored; the centre has them",
    Finding.BROKEN: "BROKEN: its records are not those that were sealed",
    Finding.UNCHAINED: "BROKEN: it does not continue the seal before it",
    Finding.ANEW: "holds; the chain begins anew here, as after a repair",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "what", nargs="?", type=_what, default="", help="month like 2026-11, or `verify` (default: this month)"
    )
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="one line a day, every figure a column")
    shape.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--hours", action="store_true", help="with --csv: one line an hour")


def run(args: argparse.Namespace) -> int:
    """Print; with `verify`, exit 1 if the chain is broken anywhere."""
    what, file = ("", Path(args.what)) if args.what.endswith(_FILE) else (args.what, args.file)
    config = load(file).config
    reader = Reader(config.journal.dir)
    try:
        if what == _VERIFY:
            verdict = verify(reader)
            sys.stdout.writelines(f"{line}\n" for line in _verdict(verdict, as_json=args.json))
            return 0 if verdict.good else 1
        account = read(reader, Calendar(config.station.zone, config.station.day_starts))
    finally:
        reader.close()
    month = what or f"{datetime.now(tz=UTC).astimezone(config.station.zone):%Y-%m}"
    if args.csv:
        _csv(account.month(month), by_hour=args.hours)
    elif args.json:
        sys.stdout.write(json.dumps(_plain(account, month, config), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _table(account, month, config))
    return 0


def _what(text: str) -> str:
    if text != _VERIFY and not text.endswith(_FILE) and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError(f'{text!r} is neither a month like "2026-11" nor "{_VERIFY}"')
    return text


def _names(days: Iterable[Day]) -> list[str]:
    """Return what was counted, in the order in which it first was."""
    return list(dict.fromkeys(name for day in days for name in day.totals))


def _status(day: Day) -> str:
    return ("revised" if day.revised else "closed") if day.closed else "open"


def _csv(days: Sequence[Day], *, by_hour: bool) -> None:
    names = _names(days)
    writer = csv.writer(sys.stdout)
    writer.writerow(["day", *(["hour"] if by_hour else []), "status", *names])
    for day in days:
        if not by_hour:
            writer.writerow([day.day, _status(day), *(day.totals.get(name, 0) for name in names)])
            continue
        for hour in range(_HOURS):
            writer.writerow(
                [day.day, hour, _status(day), *(day.hours[name][hour] if name in day.hours else 0 for name in names)]
            )


def _sums(days: Sequence[Day]) -> dict[str, int]:
    return {name: sum(day.totals.get(name, 0) for day in days) for name in _names(days)}


def _plain(account: Account, month: str, config: Config) -> dict[str, object]:
    days = account.month(month)
    return {
        "station": config.station.id,
        "month": month,
        "total": _sums(days),
        "days": [{"day": str(day.day), "status": _status(day), **day.totals} for day in days],
        "undated": dict(account.undated),
        "lifetime": dict(account.lifetime),
    }


def _table(account: Account, month: str, config: Config) -> Iterator[str]:
    """Give counts only: seconds would need a sheet of their own, and --csv and --json have them."""
    days = account.month(month)
    yield f"{config.station.id} {config.station.name.zh} · {config.station.name.en} – {month}"
    if not days:
        yield "nothing was counted in this month"
        return
    names = [name for name in _names(days) if not name.endswith(_SECONDS)]
    widths = [max(len(name), 6) for name in names]
    yield "  ".join(["day       ", "status ", *(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))])
    sums = _sums(days)
    for title, status, totals in [*((str(day.day), _status(day), day.totals) for day in days), ("total", "", sums)]:
        figures = (f"{totals.get(name, 0):>{width}}" for name, width in zip(names, widths, strict=True))
        yield "  ".join([f"{title:<10}", f"{status:<7}", *figures])
    for name, count in account.undated.items():
        yield f"undated: {count} {name} (the clock was not known then; in the lifetime total, in no day)"


def _verdict(verdict: Verdict, *, as_json: bool) -> Iterator[str]:
    if as_json:
        seals = [{"day": one.day, "finding": str(one.finding), **asdict(one.seal)} for one in verdict.seals]
        yield json.dumps({"good": verdict.good, "seals": seals, "unsealed": verdict.unsealed})
        return
    for one in verdict.seals:
        yield _sentence(one)
    yield f"{verdict.unsealed} records are not sealed yet, or never were (behind the last seal, or before a repair)"
    yield "the ledger holds" if verdict.good else "the ledger has been changed"


def _sentence(one: Checked) -> str:
    seal = one.seal
    return (
        f"{one.day}  {seal.count} events, {seal.epoch} {seal.from_seq}-{seal.to_seq}  "
        f"{seal.digest[:16]}…  {_WORDS[one.finding]}"
    )
