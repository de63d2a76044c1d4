"""Whatever is typed into a station file, it is explained or refused with lines, and never crashes the reader."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.file import load
from edge_agent.errors import ConfigError
from tests.station_files import DRIVERS, GOOD

LINES = GOOD.splitlines()
TYPED = [
    *("[station]", "[[device]]", "[device]", "[a.b]", "x = 1", "name = 3", "device = 3", "link = []", "repeat = 2"),
    *('include = ["x"]', '"""', "[", "}", "= 5", '"{n}"', "cards = 1", "[[cabinet]]", "slots = 2", "uplink.pace = nan"),
]
VALUES = ["5", '"x"', "true", "[]", "{}", "[1, {}]", "{ a = 1 }", "1979-05-27", "nan", '"{n:02}"', '""', "[[]]"]

EDITS = st.one_of(
    st.tuples(st.just("drop"), st.integers(0, 99), st.just("")),
    st.tuples(st.just("insert"), st.integers(0, 99), st.sampled_from([*TYPED, *LINES])),
    st.tuples(st.just("value"), st.integers(0, 99), st.sampled_from(VALUES)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the file, the same for all examples."""
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=150)
@given(edits=st.lists(EDITS, min_size=1, max_size=4))
def test_any_edit_is_explained_or_refused(folder: Path, edits: list[tuple[str, int, str]]) -> None:
    """A usable file is explained and means the same again; any other is refused with a line for each problem."""
    lines = list(LINES)
    for what, at, typed in edits:
        index = at % len(lines)
        if what == "drop":
            del lines[index]
        elif what == "insert":
            lines.insert(index, typed)
        else:
            lines[index] = f"{lines[index].partition('=')[0]}= {typed}"
    file = folder / "station.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    try:
        loaded = load(file, drivers=DRIVERS)
    except ConfigError as error:
        unplaced = [problem for problem in error.problems if not 0 < problem.line <= len(lines) + 1]
    else:
        unplaced = []
        file.write_text(loaded.explain(), encoding="utf-8")
        assert load(file, drivers=DRIVERS).config == loaded.config
    assert unplaced == []
