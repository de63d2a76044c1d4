"""`python -m tests.benchmarks [NAME ...]`: measure and print, each beside the bare limit in the same run."""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.machine import describe

NAMES = ("accept", "swipe", "siren", "startup", "steady", "drain", "pair")


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--dir", type=Path, help="where the journals are written, on the file system to be measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-agent-", dir=args.dir) as directory:
        found: dict[str, object] = {"machine": describe(Path(directory))}
        if not args.json:
            sys.stdout.write(f"{found['machine']}\n")
        for name in args.names or NAMES:
            found[name] = importlib.import_module(f"tests.benchmarks.{name}").run(Path(directory) / name)
            if not args.json:
                lines = "".join(f"  {what}: {value}\n" for what, value in found[name].items())  # type: ignore[attr-defined]
                sys.stdout.write(f"\n{name}\n{lines}")
                sys.stdout.flush()
    if args.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
