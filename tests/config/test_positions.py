"""Every key of a TOML text is found at its line, whatever stands around it."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.positions import Path, line_of, positions, twice
from edge_agent.config.toml import toml, toml_key

TEXT = '''\
top = 1  # [not] a = "table"
"quoted\\u0020key".'x.y' = 2
text = """
[fake]
fake = 1 ""quoted"" """
literal = \'\'\'
also = "fake" \'\'\'

[table]
dotted.key = [
  1,  # ]
  { inner = ["]", "{"] }, { inner = 1 },

  { inner = "x" },
]
after = "a \\" ] # b"
[table.sub]
x = 1

[[list]]
a = 1
[list.sub]
b = 2
[[list.more]]
c = 3
[[list.more]]
c = 4
[[list]]
a = 5
'''
EXPECTED: dict[Path, int] = {
    ("top",): 1,
    ("quoted key", "x.y"): 2,
    ("text",): 3,
    ("literal",): 6,
    ("table",): 9,
    ("table", "dotted", "key"): 10,
    ("table", "dotted", "key", 1): 12,
    ("table", "dotted", "key", 2): 12,
    ("table", "dotted", "key", 3): 14,
    ("table", "after"): 16,
    ("table", "sub", "x"): 18,
    ("list", 0): 20,
    ("list", 0, "a"): 21,
    ("list", 0, "sub", "b"): 23,
    ("list", 0, "more", 0, "c"): 25,
    ("list", 0, "more", 1, "c"): 27,
    ("list", 1, "a"): 29,
}


def test_every_key_has_its_line() -> None:
    """Strings, comments, arrays and sub-tables do not mislead the scanner."""
    assert tomllib.loads(TEXT)
    found = positions(TEXT)
    assert {path: found[path] for path in EXPECTED} == EXPECTED
    assert not any("fake" in path for path in found)


def test_a_key_inside_an_inline_table_has_the_line_around_it() -> None:
    """What has no line of its own takes that of the key it belongs to; what is nowhere has none."""
    found = positions(TEXT)
    assert line_of(("table", "dotted", "key", 0), found) == 10
    assert line_of(("table", "dotted", "key", 3, "inner"), found) == 14
    assert line_of(("list", 1, "missing"), found) == 28
    assert line_of(("nowhere", "at all"), found) == 0


def test_the_first_key_set_twice_is_found() -> None:
    """The parser knows no line for it, so it is looked for here."""
    assert twice("a = 1\n[t]\nb = 1\nb = 2\n") == (("t", "b"), 3, 4)
    assert twice(TEXT) is None


_KEYS = st.text(min_size=1, max_size=6)
_VALUES = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_any_document_written_by_us_is_read_back_and_located(document: dict[str, Any]) -> None:
    """Any keys and values: what `toml` writes, tomllib reads as the same, and each key is at its line."""
    text = "".join(f"{toml_key(key)} = {toml(value)}\n" for key, value in document.items())
    assert tomllib.loads(text) == document
    found = positions(text)
    assert [found[(key,)] for key in document] == list(range(1, len(document) + 1))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_newlines_of_windows_count_once(newline: str) -> None:
    """CRLF is one line end."""
    assert positions(newline.join(["a = 1", "", "b = 2"]))[("b",)] == 3
