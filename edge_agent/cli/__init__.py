"""The command line: one module a verb, each with `HELP`, `add_arguments(parser)` and `run(args) -> exit code`.

Exit codes: 0 = done, 1 = it failed at run time, 2 = wrong use or wrong configuration.
"""

import argparse
import gc
import importlib
import sys

from edge_agent import __version__
from edge_agent.errors import AgentError, ConfigError

VERBS = (
    "run",
    "check",
    "check-profile",
    "demo",
    "rehearse",
    "status",
    "probe",
    "sniff",
    "scan",
    "decode",
    "tail",
    "export",
    "batteries",
    "card-ref",
    "ledger",
    "report",
    "drivers",
    "page-pin",
)


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; every expected failure is one clear sentence on stderr, never a traceback."""
    parser = argparse.ArgumentParser(prog="edge-agent", description="Edge agent for unmanned 24-hour stations.")
    parser.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    given = sys.argv[1:] if arguments is None else arguments
    # Nothing that is loaded now is ever garbage: to look for some takes a tenth of the start.
    gc.disable()
    for name in VERBS:
        # Only the verb that is wanted is imported, unless all of them are to be listed.
        wanted = given[:1] == [name] or not given or given[0].startswith("-") or given[0] not in VERBS
        module = importlib.import_module(f"edge_agent.cli.{name.replace('-', '_')}") if wanted else None
        verb = verbs.add_parser(name, help=module.HELP if module else None, description=module.HELP if module else None)
        if module is not None:
            module.add_arguments(verb)
            verb.set_defaults(run=module.run)
    gc.enable()
    args, stray = parser.parse_known_args(given)
    if stray and ("hex" not in args or any(word.startswith("-") for word in stray)):
        parser.error(f"unrecognized arguments: {' '.join(stray)}")
    if stray:
        # argparse takes the words behind an option for no part of a list that began before it.
        args.hex += stray
    try:
        return int(args.run(args))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except AgentError as error:
        sys.stderr.write(f"edge-agent: {error}\n")
        return 1
    except BrokenPipeError:
        # `edge-agent tail | head` is no failure; without this Python complains again when it flushes at exit.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
