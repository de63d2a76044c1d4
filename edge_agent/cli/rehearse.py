"""`edge-agent rehearse SCRIPT`: a scripted stretch of station time, played through the agent in seconds."""

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from edge_agent import logs
from edge_agent.errors import AgentError

HELP = "play a scripted stretch of station time through the agent and compare every figure with the truth"
_MEMORY = Path("/dev/shm")  # noqa: S108  (made by mkdtemp, for this user only)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("script", type=Path, help="script file (TOML), see docs/rehearse.md")
    parser.add_argument("--json", action="store_true", help="print one object with stable keys")
    parser.add_argument("--lang", choices=("zh", "en"), default="en", help="language (default: %(default)s)")
    parser.add_argument("--seed", type=int, metavar="N", help="take other chances than the script's own")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the journal in DIR, an empty or new folder")


def run(args: argparse.Namespace) -> int:
    """Play and print; 0 = the result is the truth and what the script expects, 1 = it is not."""
    # Imported here: `--help` need not load the whole agent.
    from edge_agent.rehearse.file import load_script  # noqa: PLC0415
    from edge_agent.rehearse.play import Rehearsal  # noqa: PLC0415
    from edge_agent.rehearse.result import result_of  # noqa: PLC0415
    from edge_agent.rehearse.show import lines  # noqa: PLC0415

    logs.setup(sys.stderr, os.environ, level=logging.CRITICAL)
    keep: Path | None = args.keep
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise AgentError(f"{keep} is not empty; name a new folder")
    with tempfile.TemporaryDirectory(prefix="edge-agent-", dir=_MEMORY if _MEMORY.is_dir() else None) as scratch:
        directory = keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        loaded = load_script(args.script, directory.absolute())
        script = loaded.script if args.seed is None else loaded.script.model_copy(update={"seed": args.seed})
        rehearsal = Rehearsal(script, loaded.config)
        rehearsal.play()
        result = result_of(rehearsal, loaded.config.journal.dir)
    text = json.dumps(result, ensure_ascii=False, indent=2) if args.json else "\n".join(lines(result, args.lang))
    sys.stdout.write(f"{text}\n")
    return 0 if result["holds"] else 1
