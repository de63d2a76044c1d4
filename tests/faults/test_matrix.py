"""The table of faults names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_named_in_the_table_exists() -> None:
    """Each file in docs/faults.md is there, and each test named with it is defined in it."""
    named = re.findall(r"`(tests/[\w/]+\.(?:py|c))(?:::(\w+))?`", (ROOT / "docs/faults.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for file, test in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not test or re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file}::{test}"
