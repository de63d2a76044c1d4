"""`edge-agent tail FILE`: records as they are accepted, one line each, from the journal of a running agent."""

import argparse
import sys
import threading
from pathlib import Path

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.journal.schema import STREAMS
from edge_agent.uplink.payloads import Names

HELP = "show records as they are accepted"
_LOOK_S = 0.2
_PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument("--last", type=int, default=10, metavar="N", help="begin N records of each stream back")
    parser.add_argument("--once", action="store_true", help="do not wait for more")
    parser.add_argument("--stream", choices=STREAMS, action="append", help="only this stream (may be repeated)")


def run(args: argparse.Namespace) -> int:
    """Print until interrupted (or once)."""
    config = load(args.file).config
    reader = Reader(config.journal.dir)
    try:
        streams = args.stream or list(STREAMS)
        at = {stream: _back(reader.last(stream), args.last) for stream in streams}
        pause = threading.Event()
        while True:
            names = Names(config.station.id, reader.epochs(), reader.offsets())
            rows = sorted((row for s in streams for row in reader.rows(s, at[s], _PAGE)), key=lambda row: row.wall_ms)
            for row in rows:
                at[row.stream] = max(at[row.stream], (row.epoch, row.seq))
                sys.stdout.write(line(row, names) + "\n")
            sys.stdout.flush()
            if not rows:
                if args.once:
                    return 0
                pause.wait(_LOOK_S)
    finally:
        reader.close()


def line(row: Row, names: Names) -> str:
    """Time as the centre is told it ("?" where nobody knows it), stream and seq, device, type, body."""
    mark = "?" if names.clock(row.boot, good=row.good) == "unsynced" else ""
    at = names.time(row.boot, row.mono_ms, row.wall_ms, row.good)
    return f"{at}{mark} {row.stream} {row.seq} {row.device} {row.type} {row.body}"


def _back(newest: tuple[int, int], count: int) -> tuple[int, int]:
    return newest[0], max(0, newest[1] - count)
