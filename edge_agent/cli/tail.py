"""`edge-agent tail FILE`: records as they are accepted, one line each, from the journal of a running agent."""

import argparse
import sys
import threading
from pathlib import Path

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.journal.journal import Row
from edge_agent.journal.reader import Reader
from edge_agent.journal.schema import STREAMS
from edge_agent.uplink.payloads import rfc3339

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
    reader = Reader(load(args.file).config.journal.dir)
    try:
        streams = args.stream or list(STREAMS)
        at = {stream: _back(reader.last(stream), args.last) for stream in streams}
        pause = threading.Event()
        while True:
            rows = sorted((row for s in streams for row in reader.rows(s, at[s], _PAGE)), key=lambda row: row.wall_ms)
            for row in rows:
                at[row.stream] = max(at[row.stream], (row.epoch, row.seq))
                sys.stdout.write(line(row) + "\n")
            sys.stdout.flush()
            if not rows:
                if args.once:
                    return 0
                pause.wait(_LOOK_S)
    finally:
        reader.close()


def line(row: Row) -> str:
    """Time, stream and seq, device, type, body."""
    mark = "" if row.good else "?"
    return f"{rfc3339(row.wall_ms)}{mark} {row.stream} {row.seq} {row.device} {row.type} {row.body}"


def _back(newest: tuple[int, int], count: int) -> tuple[int, int]:
    return newest[0], max(0, newest[1] - count)
