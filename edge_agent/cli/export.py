"""`edge-agent export FILE`: the journal as CSV or NDJSON, for a person with a spreadsheet or a support case."""

import argparse
import json
import sys
from pathlib import Path

from edge_agent.cli.check import DEFAULT_FILE
from edge_agent.config.file import load
from edge_agent.journal.reader import file_of
from edge_agent.journal.schema import STREAMS

HELP = "write the journal out as CSV or NDJSON"
_QUERY = """
SELECT epoch.name AS epoch, {stream}.id & 0xffffffffff AS seq, '{stream}' AS stream, device, type,
       strftime('%Y-%m-%dT%H:%M:%f',
                (CASE good WHEN 1 THEN wall_ms ELSE coalesce(mono_ms + boot.offset_ms, wall_ms) END) / 1000.0,
                'unixepoch') || 'Z' AS ts,
       CASE WHEN good THEN 'synced' WHEN boot.offset_ms IS NULL THEN 'unsynced' ELSE 'corrected' END AS clock, body
FROM {stream} JOIN epoch ON epoch.no = {stream}.id >> 40 JOIN boot ON boot.no = {stream}.boot ORDER BY {stream}.id
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE, help="station file (default: %(default)s)")
    parser.add_argument("--format", choices=("csv", "ndjson"), default="ndjson", help="default: %(default)s")
    parser.add_argument("--stream", choices=STREAMS, action="append", help="only this stream (may be repeated)")


def run(args: argparse.Namespace) -> int:
    """Write to stdout, stream by stream, in order."""
    # Imported here: it costs 15 MB that the running agent must not pay.
    import csv  # noqa: PLC0415
    import sqlite3  # noqa: PLC0415

    import sqlite_utils  # noqa: PLC0415

    path = file_of(load(args.file).config.journal.dir)
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        db = sqlite_utils.Database(connection)
        writer = None
        for stream in args.stream or STREAMS:
            for row in db.query(_QUERY.format(stream=stream)):
                if args.format == "ndjson":
                    body = json.loads(row.pop("body"))
                    sys.stdout.write(json.dumps({**row, **body}, ensure_ascii=False) + "\n")
                    continue
                if writer is None:
                    writer = csv.DictWriter(sys.stdout, row.keys())
                    writer.writeheader()
                writer.writerow(row)
    finally:
        connection.close()
    return 0
