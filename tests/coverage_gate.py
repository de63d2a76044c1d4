"""Hold the measured coverage against what each part must have: `python tests/coverage_gate.py coverage.json`.

Reads the report of `coverage json`, lines and branches counted together; prints what falls short and exits 1.
"""

import fnmatch
import json
import sys
from pathlib import Path
from typing import Any

OVERALL = 90.0
"""Percent of everything, and of each file behind a gate."""
GATES = {
    "edge_agent/journal/*.py": 98.0,
    "edge_agent/recorder/*.py": 98.0,
    "edge_agent/uplink/*.py": 98.0,
    "drivers/*/codec*.py": 98.0,
}
"""Percent of all files together whose path matches: where a mistake loses or invents a count.

Together, because a branch that only a rare timing takes is a few percent of a small file and must not decide alone.
"""


def shortfalls(report: dict[str, Any]) -> list[str]:
    """Return one line for each gate, and for the whole, that has less than it must; also for a gate without files."""
    total = report["totals"]["percent_covered"]
    found = [f"all: {total:.1f} % < {OVERALL} %"] if total < OVERALL else []
    for pattern, least in GATES.items():
        files = {path: data for path, data in report["files"].items() if fnmatch.fnmatchcase(path, pattern)}
        if not files:
            found.append(f"{pattern}: no such file was measured")
            continue
        covered = _percent([data["summary"] for data in files.values()])
        if covered < least:
            found.append(f"{pattern}: {covered:.1f} % < {least} %")
        for path, data in files.items():
            alone = _percent([data["summary"]])
            if alone < OVERALL or covered < least:
                missing = f"lines {data['missing_lines']} branches {data.get('missing_branches', [])}"
                found.append(f"{path}: {alone:.1f} %; missing {missing}")
    return found


def _percent(summaries: list[dict[str, Any]]) -> float:
    reached = sum(one["covered_lines"] + one.get("covered_branches", 0) for one in summaries)
    there = sum(one["num_statements"] + one.get("num_branches", 0) for one in summaries)
    return 100.0 * reached / there if there else 100.0


def main(report: Path) -> int:
    """Print the shortfalls; 0 if there are none."""
    found = shortfalls(json.loads(report.read_text(encoding="utf-8")))
    sys.stdout.writelines(f"{line}\n" for line in found or ["coverage: every gate is met"])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
