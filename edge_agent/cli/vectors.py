"""Files of captured frames, one JSON object a line as the drivers' vectors are, and whether a decoder agrees."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.driver import Capture, Decoder, DeviceError, Json
from edge_agent.errors import AgentError

_CHOOSERS = (
    *("model", "dialect", "variant", "family", "framing", "format", "bit_count", "word_order", "feedback", "scale"),
    *("answers_register", "cell_count_from_94", "tag", "protocol_version", "cp_random_hex"),
)
"""Keys of `decoded` that say what the bytes alone often do not (kind of device, earlier answers): given as options."""


class Line(BaseModel):
    """One line: the bytes, what is known of them, and what they are said to mean; any further key is an option."""

    model_config = ConfigDict(extra="allow", frozen=True)

    protocol: str
    frame_hex: str
    direction: str = "response"
    kind: str = ""
    request_hex: str | None = None
    source: str = ""
    decoded: dict[str, Any] = {}
    valid: bool = True
    """False: the frame must be refused."""
    tolerance: float = 1e-6

    def capture(self, before: "Line | None", usual: Capture) -> Capture:
        """Return what is to be explained; raises ValueError if its bytes are not hexadecimal.

        A request `before` it, of the same source, becomes the option `request_before`: whether the line answers it is
        for the decoder to tell. What the line does not say is as `usual`.
        """
        known = {key: self.decoded[key] for key in _CHOOSERS if key in self.decoded} | (self.model_extra or {})
        options = {key: str(value) for key, value in known.items() if isinstance(value, str | int | float)}
        if (
            before
            and before.direction == "request"
            and (before.protocol, before.source) == (self.protocol, self.source)
        ):
            options["request_before"] = before.frame_hex
        return replace(
            usual,
            data=bytes.fromhex(self.frame_hex),
            direction=self.direction,
            kind=self.kind or usual.kind,
            request=None if self.request_hex is None else bytes.fromhex(self.request_hex),
            options={**usual.options, **options},
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decoder made of a frame: its meaning, or why it is none (then not "")."""

    decoded: dict[str, Json]
    refused: str = ""

    def agrees(self, line: Line) -> str:
        """Return "" if this is what the line says of itself, else in what it differs.

        What the decoder does not tell is no difference, as long as it tells something.
        """
        expected = line.decoded
        if not line.valid or "error" in expected:
            return "" if self.refused else "must be refused"
        if self.refused:
            return "must not be refused"
        shared = expected.keys() & self.decoded.keys()
        if expected and not shared:
            return "nothing that is expected was told"
        return ", ".join(
            f"{key} should be {json.dumps(expected[key], ensure_ascii=False)}"
            for key in sorted(shared)
            if not _equal(self.decoded[key], expected[key], line.tolerance)
        )


def explain(protocol: str, capture: Capture, known: Mapping[str, Decoder]) -> Outcome:
    """Decode one capture."""
    if protocol not in known:
        return Outcome({}, f"no driver explains {protocol!r}; known protocols: {', '.join(sorted(known))}")
    try:
        return Outcome(known[protocol](capture))
    except DeviceError as error:
        return Outcome({}, error.what)


def outcomes(file: Path, known: Mapping[str, Decoder], usual: Capture) -> Iterator[tuple[int, Line | None, Outcome]]:
    """Yield number, content and outcome of each line that is not blank, in order; no content: the line is broken.

    Raises AgentError if the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise AgentError(f"{file} cannot be read: {error}") from error
    before: Line | None = None
    for number, entry in enumerate(text.split("\n"), 1):
        if not entry.strip():
            continue
        try:
            line = Line.model_validate(json.loads(entry))
            capture = line.capture(before, usual)
        except (ValueError, RecursionError) as error:
            before = None
            yield number, None, Outcome({}, f"{file}:{number}: not a line of captured bytes: {_reason(error)}")
        else:
            before = line
            yield number, line, explain(line.protocol, capture, known)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors())
    return str(error)


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
