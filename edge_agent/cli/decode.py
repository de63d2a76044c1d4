"""`edge-agent decode PROTOCOL HEX`: what does this frame mean? With `--vectors FILE`: a whole file of captured frames.

A line of such a file is one JSON object: `protocol`, `frame_hex`, `direction`, and where they help `kind`,
`request_hex`, `decoded` (what the frame is known to mean), `valid` (false: to be refused), `tolerance` for numbers.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import math
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.driver import Capture, Decoder, Json
from edge_agent.errors import AgentError, DeviceError

HELP = "say what captured bytes mean, or why they are refused"

_OWN = frozenset(
    {"protocol", "source", "frame_hex", "direction", "decoded", "valid", "kind", "tolerance", "request_hex"}
)
"""Keys of a line that are not handed to the decoder as options."""
_CHOOSERS = (
    *("model", "dialect", "variant", "family", "framing", "format", "bit_count", "word_order", "feedback"),
    *("answers_register", "cell_count_from_94", "tag", "protocol_version", "cp_random_hex"),
)
"""Keys of `decoded` that say what the bytes alone often do not (kind of device, earlier answers): given as options."""
_TOLERANCE = 1e-6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("protocol", nargs="?", help="protocol of the frame; without it the known ones are listed")
    parser.add_argument("hex", nargs="*", help="the bytes in hexadecimal, blanks allowed")
    parser.add_argument("--request", metavar="HEX", help="the request that the frame answers")
    parser.add_argument("--direction", choices=("request", "response"), default="response", help="who sent it")
    parser.add_argument("--kind", default="", help="stream: bytes as read from a line; other words as in vector files")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="choose a variant: model=…, dialect=…"
    )
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="decode every line of a file of captured frames")
    parser.add_argument("--json", action="store_true", help="with --vectors: one JSON object a line, no judgement")


def run(args: argparse.Namespace) -> int:
    """Print what was decoded; 1 = refused, or with --vectors: not everything is as the file says."""
    known = decoders()
    if args.vectors is not None:
        return _run_vectors(args.vectors, known, as_json=args.json)
    if args.protocol is None or not args.hex:
        raise AgentError(f"give a protocol and its bytes in hexadecimal; known protocols: {', '.join(sorted(known))}")
    capture = Capture(
        data=_bytes("".join(args.hex), "the frame"),
        direction=args.direction,
        kind=args.kind,
        request=_bytes(args.request, "--request") if args.request else None,
        options=dict(_option(text) for text in args.option),
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decoder made of a frame: its meaning, or why it is none (then not "")."""

    decoded: dict[str, Json]
    refused: str = ""

    def agrees(self, line: Mapping[str, Any]) -> str:
        """Return "" if this is what the line says of itself, else in what it differs.

        What the decoder does not tell is no difference, as long as it tells something.
        """
        expected: Mapping[str, Any] = line.get("decoded", {})
        if not line.get("valid", True) or "error" in expected:
            return "" if self.refused else "must be refused"
        if self.refused:
            return "must not be refused"
        tolerance = float(line.get("tolerance", _TOLERANCE))
        shared = expected.keys() & self.decoded.keys()
        if expected and not shared:
            return "nothing that is expected was told"
        return ", ".join(
            f"{key} should be {json.dumps(expected[key], ensure_ascii=False)}"
            for key in sorted(shared)
            if not _equal(self.decoded[key], expected[key], tolerance)
        )


def explain(protocol: str, capture: Capture, known: Mapping[str, Decoder]) -> Outcome:
    """Decode one capture."""
    if protocol not in known:
        return Outcome({}, f"no driver explains {protocol!r}; known protocols: {', '.join(sorted(known))}")
    try:
        return Outcome(known[protocol](capture))
    except DeviceError as error:
        return Outcome({}, error.what)


def _run_vectors(file: Path, known: Mapping[str, Decoder], *, as_json: bool) -> int:
    wrong = 0
    for number, line, outcome in _outcomes(file, known):
        if as_json:
            meaning: dict[str, Json] = {"refused": outcome.refused} if outcome.refused else {"decoded": outcome.decoded}
            sys.stdout.write(f"{json.dumps(meaning, ensure_ascii=False)}\n")
            continue
        difference = outcome.agrees(line)
        wrong += bool(difference)
        told = f"refused: {outcome.refused}" if outcome.refused else json.dumps(outcome.decoded, ensure_ascii=False)
        verdict = f"DIFFERS ({difference})" if difference else "agrees"
        sys.stdout.write(f"{file.name}:{number}: {told}: {verdict}\n")
    return 1 if wrong else 0


def _outcomes(file: Path, known: Mapping[str, Decoder]) -> Iterator[tuple[int, Mapping[str, Any], Outcome]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AgentError(f"{file} cannot be read: {error}") from error
    asked: Mapping[str, Any] = {}
    for number, entry in enumerate(text.splitlines(), 1):
        if not entry.strip():
            continue
        try:
            line = json.loads(entry)
            capture = _capture(line, asked)
        except (AgentError, ValueError, TypeError, AttributeError, KeyError) as error:
            yield number, {}, Outcome({}, f"not a line of captured bytes: {error}")
        else:
            asked = line if capture.direction == "request" else {}
            yield number, line, explain(str(line["protocol"]), capture, known)


def _capture(line: Mapping[str, Any], before: Mapping[str, Any]) -> Capture:
    """Return what a line holds; a request `before` it, of the same source, becomes the option `request_before`.

    Whether the line answers that request is for the decoder to tell.
    """
    decoded = line.get("decoded", {})
    options = {key: decoded[key] for key in _CHOOSERS if key in decoded}
    options |= {key: value for key, value in line.items() if key not in _OWN and isinstance(value, str | int | float)}
    if before and all(line.get(key) == before.get(key) for key in ("protocol", "source")):
        options["request_before"] = before["frame_hex"]
    request = line.get("request_hex")
    return Capture(
        data=_bytes(line["frame_hex"], "frame_hex"),
        direction=line.get("direction", "response"),
        kind=line.get("kind", ""),
        request=None if request is None else _bytes(request, "request_hex"),
        options={key: str(value) for key, value in options.items()},
    )


def _bytes(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise AgentError(f"{what} is not hexadecimal: {error}") from error


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise AgentError(f"--option {text!r} has no value; write it as KEY=VALUE")
    return key, value


def _equal(told: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, bool) or isinstance(told, bool):
        return bool(told is expected)
    if isinstance(expected, int | float) and isinstance(told, int | float):
        return math.isclose(told, expected, rel_tol=0, abs_tol=tolerance)
    if isinstance(expected, list | tuple) and isinstance(told, list | tuple):
        return len(told) == len(expected) and all(_equal(a, b, tolerance) for a, b in zip(told, expected, strict=True))
    if isinstance(expected, dict) and isinstance(told, dict):
        return all(key in told and _equal(told[key], value, tolerance) for key, value in expected.items())
    return bool(told == expected)
