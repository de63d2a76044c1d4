"""The vector files of the drivers: real frames, one JSON object a line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

DRIVERS = Path(__file__).parents[2] / "drivers"


@dataclass(frozen=True, slots=True)
class Vector:
    """One frame: `decoded` is what it means, or under "error" why it must be refused when it is not `valid`."""

    where: str
    frame: bytes
    direction: Literal["request", "response"]
    decoded: dict[str, Any]
    valid: bool
    kind: str = "frame"
    tolerance: float = 1e-6
    extra: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.where


_OWN = {"frame_hex", "direction", "decoded", "valid", "kind", "tolerance"}


def load(file: Path) -> Iterator[Vector]:
    """Yield the vectors of one file; keys beyond the common ones stand in `extra`."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        entry = json.loads(line)
        yield Vector(
            where=f"{file.name}:{number}",
            frame=bytes.fromhex(entry.get("frame_hex", "")),
            direction=entry["direction"],
            decoded=entry["decoded"],
            valid=entry["valid"],
            kind=entry.get("kind", "frame"),
            tolerance=entry.get("tolerance", 1e-6),
            extra={key: value for key, value in entry.items() if key not in _OWN},
        )


def of_driver(name: str) -> list[Vector]:
    """All vectors in `drivers/NAME/vectors/`, sorted by file and line."""
    return [vector for file in sorted((DRIVERS / name / "vectors").glob("*.jsonl")) for vector in load(file)]
