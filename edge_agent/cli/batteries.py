"""`edge-agent batteries FILE`: what the station knows of each battery that has been in one of its cabinets."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.journal.reader import Reader
from edge_agent.rules.batteries import KEY, Battery
from edge_agent.uplink.payloads import rfc3339

HELP = "show the history of each battery"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line for each battery, the one seen last first."""
    reader = Reader(load(args.file).config.journal.dir)
    try:
        stored = {key.removeprefix(KEY): Battery.load(text) for key, text in reader.remembered(KEY).items()}
    finally:
        reader.close()
    batteries = dict(sorted(stored.items(), key=lambda item: -item[1].order))
    text = json.dumps([_told(*item) for item in batteries.items()], ensure_ascii=False, indent=2)
    sys.stdout.write(f"{text}\n" if args.json else "".join(f"{line}\n" for line in lines(batteries)))
    return 0


def lines(batteries: Mapping[str, Battery]) -> Iterator[str]:
    """Yield a table for a person."""
    width = max((len(sn) for sn in batteries), default=0)
    yield f"{'battery':<{max(width, 7)}}  {'slot':<12}  {'in':>4}  {'out':>4}  {'cycles':>6}  {'health':>6}  last seen"
    for sn, battery in batteries.items():
        cycles = "" if battery.cycles is None else str(battery.cycles)
        health = "" if battery.soh_pct is None else f"{battery.soh_pct} %"
        seen = "unknown" if battery.last_ms is None else rfc3339(battery.last_ms)
        faults = ", ".join(f"{name} ×{count}" for name, count in battery.faults.items())
        moved = f"{battery.times_in:>4}  {battery.times_out:>4}"
        line = f"{sn:<{max(width, 7)}}  {battery.slot or 'out':<12}  {moved}  {cycles:>6}  {health:>6}  {seen}"
        yield f"{line}  {faults}".rstrip()


def _told(sn: str, battery: Battery) -> dict[str, object]:
    times = {"first_seen": battery.first_ms, "last_seen": battery.last_ms}
    known: dict[str, object] = {"sn": sn, "slot": battery.slot or None}
    known |= {name: None if ms is None else rfc3339(ms) for name, ms in times.items()}
    known |= {"times_in": battery.times_in, "times_out": battery.times_out}
    known |= {"cycles": battery.cycles, "soh_pct": battery.soh_pct}
    return {name: value for name, value in known.items() if value is not None} | {"faults": battery.faults}
