"""docs/rehearse.md says what the models say, and its first script can be played."""

import re
from pathlib import Path

from edge_agent.rehearse.acts import VERBS
from edge_agent.rehearse.file import load_script
from edge_agent.rehearse.reference import render

PAGE = Path(__file__).parents[2] / "docs" / "rehearse.md"


def test_the_page_is_fresh() -> None:
    """The page is what the models make of it today, with a section for each verb and a meaning for each key."""
    stale = "docs/rehearse.md is stale: python -m edge_agent.rehearse.reference > docs/rehearse.md"
    text = render()
    assert text == PAGE.read_text(encoding="utf-8"), stale
    assert [verb for verb in VERBS if f"### `{verb}`" not in text] == []
    assert [row for row in text.splitlines() if row.startswith("| `") and row.endswith("|  |")] == []


def test_the_first_script_is_right(tmp_path: Path) -> None:
    """Whoever copies it has a script without a mistake."""
    found = re.search(r"^```toml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    path = tmp_path / "script.toml"
    path.write_text(found[1], encoding="utf-8")
    assert load_script(path, tmp_path).script.lasts == 2 * 86_400
