"""docs/wire-contract.md shows what travels: its examples keep to the schemas, its tables name what the code knows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from drivers.uhppote import events
from edge_agent.ledger import counts
from edge_agent.records import Event

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wire-contract.md").read_text(encoding="utf-8")


def schema(name: str) -> dict[str, Any]:
    """A published schema."""
    found: dict[str, Any] = json.loads((ROOT / "config" / "schema" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def section(heading: str) -> str:
    """The text below the `##` heading that begins so."""
    return PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]


def named(heading: str) -> set[str]:
    """The names in the first column of a section's tables."""
    firsts = re.findall(r"^\| (`[^|]*) \|", section(heading), re.MULTILINE)
    return {name for first in firsts for name in re.findall(r"`(\w+)`", first)}


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """(schema, body) of every line in a JSON block; the heading's first word names the schema."""
    for heading in re.findall(r"^## (\w+)", PAGE, re.MULTILINE):
        for block in re.findall(r"^```json\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                body = json.loads(line)
                command = "reply" if "ok" in body else "cmd-journal-resend" if "stream" in body else "cmd-device"
                yield command if heading == "Commands" else heading, body


@pytest.mark.parametrize(("name", "body"), list(examples()))
def test_an_example_keeps_to_its_schema(name: str, body: dict[str, Any]) -> None:
    """Whoever copies a message of the page has one that a station may send, or be sent."""
    assert [error.message for error in Draft7Validator(schema(name)).iter_errors(body)] == []


def test_there_is_an_example_of_most_kinds() -> None:
    """Each class with a body worth showing has one."""
    shown = {name for name, _ in examples()}
    assert shown == {
        "event",
        "usage",
        "state",
        "tele",
        "alarm",
        "gap",
        "cmd-device",
        "cmd-journal-resend",
        "public",
        "reply",
    }


def test_every_type_of_event_is_named() -> None:
    """No type travels that the page does not tell of."""
    files = [*(ROOT / "edge_agent").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]
    made = {name for file in files for name in re.findall(r'\bEvent\(\s*"(\w+)"', file.read_text(encoding="utf-8"))}
    made |= set(events._KINDS.values())
    assert len(made) > 20
    assert made - named("event") == set()


def test_the_ledgers_names_are_those_shown() -> None:
    """The third column holds the names under which the events of a row count, and nothing where they do not."""
    for names, counted in re.findall(r"^\| (`[^|]*) \|[^|]*\|([^|]*)\|$", section("event"), re.MULTILINE):
        expected = {one for name in re.findall(r"`(\w+)`", names) for one in counts(Event(name))}
        assert set(re.findall(r"`(\w+)`", counted)) == expected, names


def test_every_reason_of_a_gap_is_explained() -> None:
    """Those of the schema, and no other."""
    assert named("gap") == set(schema("gap")["properties"]["reason"]["enum"])
