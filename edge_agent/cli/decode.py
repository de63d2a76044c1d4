"""`edge-agent decode PROTOCOL HEX`: what does this frame mean? With `--vectors FILE`: a whole file of frames."""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import pkgutil
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from edge_agent.cli.vectors import explain, outcomes
from edge_agent.driver import Capture, Decoder, Json
from edge_agent.errors import AgentError

HELP = "say what captured bytes mean, or why they are refused"

_TEXT = ("~", ">", "{")
"""Characters by which a frame is text, not hexadecimal: YD/T 1363 and JSON."""
_SEPARATORS = re.compile(r"0x|[\s:.,;-]", re.IGNORECASE)
"""What logs and documents write between bytes."""
_HEX = re.compile(r"(0x|[0-9a-f\s:.,;-])+", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("protocol", nargs="?", help="protocol of the frame; without it the known ones are listed")
    parser.add_argument(
        "hex", nargs="*", help="the bytes in hexadecimal, as 0x and with blanks or colons if you like; or ~… as text"
    )
    parser.add_argument("--request", nargs="+", metavar="HEX", help="the request that the frame answers")
    parser.add_argument("--direction", choices=("request", "response"), default="response", help="who sent it")
    parser.add_argument("--kind", default="", help="stream: bytes as read from a line; other words as in vector files")
    parser.add_argument(
        "--option",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="choose a variant: model=…, dialect=…",
    )
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="decode every line of a file of captured frames")
    parser.add_argument("--json", action="store_true", help="with --vectors: one JSON object a line, no judgement")


def run(args: argparse.Namespace) -> int:
    """Print what was decoded; 1 = refused, or with --vectors: not everything is as the file says."""
    known = decoders()
    # What follows an option may be the bytes.
    pieces = [*(text for text in args.option if _HEX.fullmatch(text)), *args.hex]
    options = dict(_option(text) for text in args.option if not _HEX.fullmatch(text))
    if args.request and not pieces:
        pieces = args.request[1:]
        args.request = args.request[:1]
    if args.vectors is not None:
        usual = Capture(b"", kind=args.kind, options=options)
        return _run_vectors(args.vectors, known, usual, as_json=args.json)
    if args.protocol is None:
        raise AgentError(f"give a protocol and its bytes in hexadecimal; known protocols: {', '.join(sorted(known))}")
    if args.protocol not in known:
        raise AgentError(f"no driver explains {args.protocol!r}; known protocols: {', '.join(sorted(known))}")
    _check(args.protocol, options, known[args.protocol])
    if not pieces:
        raise AgentError(f"give the bytes in hexadecimal; {_takes(args.protocol, known[args.protocol])}")
    capture = Capture(
        data=_bytes(" ".join(pieces), "the frame"),
        direction=args.direction,
        kind=args.kind,
        request=_bytes(" ".join(args.request), "--request") if args.request else None,
        options=options,
    )
    outcome = explain(args.protocol, capture, known)
    if outcome.refused:
        sys.stderr.write(f"refused: {outcome.refused}\n")
        return 1
    sys.stdout.write(f"{json.dumps(outcome.decoded, ensure_ascii=False, indent=2)}\n")
    return 0


def decoders() -> dict[str, Decoder]:
    """Return protocol -> decoder of every module below `drivers` and of every installed driver from outside."""
    found: dict[str, Decoder] = {}
    spec = importlib.util.find_spec("drivers")
    for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else None):
        found |= getattr(importlib.import_module(f"drivers.{module.name}"), "DECODERS", {})
    for entry in importlib.metadata.entry_points(group="edge_agent.drivers"):
        found |= getattr(importlib.import_module(entry.module), "DECODERS", {})
    return found


def _run_vectors(file: Path, known: Mapping[str, Decoder], usual: Capture, *, as_json: bool) -> int:
    wrong = 0
    for number, line, outcome in outcomes(file, known, usual):
        difference = "" if line is None else outcome.agrees(line)
        if line is None:
            wrong += 1
            sys.stderr.write(f"{outcome.refused}\n")
        if as_json:
            meaning: dict[str, Json] = {"refused": outcome.refused} if outcome.refused else {"decoded": outcome.decoded}
            sys.stdout.write(f"{json.dumps(meaning, ensure_ascii=False)}\n")
        elif line is not None:
            wrong += bool(difference)
            told = f"refused: {outcome.refused}" if outcome.refused else json.dumps(outcome.decoded, ensure_ascii=False)
            verdict = f"DIFFERS ({difference})" if difference else "agrees"
            sys.stdout.write(f"{file.name}:{number}: {told}: {verdict}\n")
    return 1 if wrong else 0


def _check(protocol: str, options: Mapping[str, str], decoder: Decoder) -> None:
    """Raise AgentError for an option that the decoder does not know, or a value that it cannot take."""
    for name, value in options.items():
        if name not in decoder.options:
            raise AgentError(f"there is no option {name!r}; {_takes(protocol, decoder)}")
        if decoder.options[name] and value not in decoder.options[name]:
            raise AgentError(f"option {name}: {value!r} is none of {', '.join(decoder.options[name])}")


def _takes(protocol: str, decoder: Decoder) -> str:
    names = ", ".join(sorted(decoder.options))
    return f"{protocol} takes the options {names}" if names else f"{protocol} takes no options"


def _bytes(text: str, what: str) -> bytes:
    if text.startswith(_TEXT):
        body = text.removesuffix("\\r").encode()
        return body if text.startswith("{") else body.rstrip(b"\r\n") + b"\r"
    try:
        return bytes.fromhex(_SEPARATORS.sub("", text))
    except ValueError as error:
        raise AgentError(f"{what} is not hexadecimal: {error}") from error


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise AgentError(f"--option {text!r} has no value; write it as KEY=VALUE")
    return key, value
