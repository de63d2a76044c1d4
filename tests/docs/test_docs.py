"""The documents say what is: commands, flags, links, promises, packages, and the demo's output."""

import argparse
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent import __version__
from edge_agent.cli import VERBS
from edge_agent.demo import show
from edge_agent.picture import View

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CHINESE = ROOT / "README.zh-CN.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("systemd/*.md"), *ROOT.glob("drivers/*/README*.md")]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_FENCE = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PROMISE = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")

_STAND_INS = {"HOST:PORT": "127.0.0.1:1883", "TIME": "20s", "N": "3", "SEED": "2"}
"""What a reader would write for a word in capitals."""

each_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def text_of(page: Path) -> str:
    """The whole page."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for _, found, text in _FENCE.findall(text_of(page)) if found == language]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def section(page: Path, heading: str) -> str:
    """The text below one `##` heading."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(page), re.DOTALL | re.MULTILINE)
    assert found, f"{page.name} has no section {heading!r}"
    return found[1]


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The verb's own parser."""
    parser = argparse.ArgumentParser(prog=f"edge-agent {verb}", exit_on_error=False)
    importlib.import_module(f"edge_agent.cli.{verb.replace('-', '_')}").add_arguments(parser)
    return parser


def commands(page: Path) -> Iterator[list[str]]:
    """Every `edge-agent VERB …` and `./run VERB …` of a page, as words: in shell blocks, indented, in back-quotes."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += re.findall(r"^    (\S.*)$", prose(page), re.MULTILINE)
    lines += re.findall(r"`([^`\n]+)`", prose(page))
    for line in lines:
        for part in re.split(r"&&|\|", line.split(" #")[0]):
            words = part.strip().removeprefix("sudo ").removeprefix("/opt/edge-agent/bin/")
            found = re.match(r"(?:edge-agent|\./run) +(?=[a-z])(.*)", words)
            if found:
                yield [word for word in shlex.split(found[1]) if word != "…"]


@each_page
def test_every_command_exists(page: Path) -> None:
    """Whoever types a command of a page, flags and all, is understood."""
    for verb, *words in commands(page):
        if verb in {"test", "VERB"}:
            continue
        assert verb in VERBS, f"{page.name}: edge-agent {verb}"
        if words and "VERB" not in words:
            try:
                parser_of(verb).parse_known_args([_STAND_INS.get(word, word) for word in words])
            except (argparse.ArgumentError, SystemExit) as error:
                pytest.fail(f"{page.name}: edge-agent {verb} {' '.join(words)}: {error}")
            unknown = [word for word in words if word.startswith("-") and word not in flags(verb)]
            assert not unknown, f"{page.name}: edge-agent {verb} {unknown}"


def flags(verb: str) -> set[str]:
    """The options of a verb, `--help` apart."""
    found = {option for action in parser_of(verb)._actions for option in action.option_strings}
    return found - {"-h", "--help"}


def test_the_command_line_is_documented_verb_by_verb() -> None:
    """docs/cli.md has a section for each verb and none for others."""
    assert sorted(re.findall(r"^## (.+)$", text_of(ROOT / "docs" / "cli.md"), re.MULTILINE)) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_is_documented(verb: str) -> None:
    """The section of a verb names all its flags and no other."""
    named = set(re.findall(r"(?<![\w-])--[a-z-]+", section(ROOT / "docs" / "cli.md", verb)))
    assert named == flags(verb)


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """Linked files exist, and so do the headings that a link names."""
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", text_of(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    """A path between back-quotes (`edge_agent/worker.py`, `tests/faults`) is there, and so is the test behind `::`."""
    for path, name in re.findall(r"`((?:edge_agent|tests|docs|config|systemd)/[\w./-]+)(?:::(\w+))?`", prose(page)):
        assert (ROOT / path).exists(), f"{page.name} names {path}"
        assert not name or f"def {name}(" in text_of(ROOT / path), f"{page.name} names {path}::{name}"


def test_every_page_is_found_from_the_readme() -> None:
    """Each page of docs/ and each driver's README is linked from README.md."""
    linked = {(ROOT / target).resolve() for target in _LINK.findall(prose(README))}
    wanted = [page for page in PAGES if page.parent.name == "docs" or page.parent.parent.name == "drivers"]
    missing = [str(page.relative_to(ROOT)) for page in wanted if page not in linked]
    assert not missing, f"give each a line in README.md and README.zh-CN.md: {missing}"


@each_page
def test_tests_that_are_named_exist(page: Path) -> None:
    """A promise is worth the test behind it: the linked file holds a test of that name."""
    for name, target in _PROMISE.findall(text_of(page)):
        assert f"def {name}(" in text_of(page.parent / target), f"{page.name}: {name}"


def test_every_promise_of_the_readme_has_its_test() -> None:
    """No line under "What it promises" stands without proof."""
    promises = re.findall(r"^\* .+$", section(README, "What it promises"), re.MULTILINE)
    assert len(promises) > 10
    assert [promise for promise in promises if not _PROMISE.search(promise)] == []


def test_the_chinese_readme_says_the_same() -> None:
    """Same commands, same station file, same links, same promises, section by section."""
    assert blocks(CHINESE, "sh") == blocks(README, "sh")
    assert [tomllib.loads(text) for text in blocks(CHINESE, "toml")] == [
        tomllib.loads(t) for t in blocks(README, "toml")
    ]
    english, chinese = text_of(README).split("\n## "), text_of(CHINESE).split("\n## ")
    assert len(english) == len(chinese)
    for ours, theirs in zip(english, chinese, strict=True):
        languages = {"README.md", "README.zh-CN.md", "docs/page-en.png", "docs/page-zh.png"}
        assert sorted(set(_LINK.findall(ours)) - languages) == sorted(set(_LINK.findall(theirs)) - languages)
        assert _PROMISE.findall(ours) == _PROMISE.findall(theirs)


def shape(line: str) -> str:
    """A line with every number, state and unknown value replaced."""
    return re.sub(r"(?:[\d.]+|\?|online|OFFLINE) *", "# ", re.sub(r" +", " ", line)).strip()


@pytest.mark.parametrize("page", [README, CHINESE], ids=["English", "Chinese"])
def test_the_output_of_the_demo_is_shown_as_it_is(page: Path) -> None:
    """Live lines, the last line and the introduction in the READMEs have the form that `demo` prints today."""
    shown = next(text for text in blocks(page, "") if "swipes" in text).splitlines()
    station: Any = SimpleNamespace(picture=SimpleNamespace(view=View()))
    live = [line for line in shown if line.startswith("visits ")]
    assert live
    assert {shape(line) for line in live} == {shape(show._line(station))}
    summary = {"ok": True, "swiped": 1, "visits": 1, "accepted": {"usage": 1}, "acknowledged": 1, "duplicates": 0}
    assert shape(shown[-1]) == shape(show._verdict(summary).strip())
    source = text_of(ROOT / "edge_agent" / "demo" / "show.py") + text_of(ROOT / "edge_agent" / "cli" / "demo.py")
    for line in shown[: shown.index(live[0]) - 1]:
        assert re.split(r"  +|\n", line)[0] in source, line


def test_every_package_is_accounted_for() -> None:
    """docs/dependencies.md has one line for each dependency, at run time and for development, and no other."""
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = [re.split(r"[<>=;\[ ]", requirement)[0] for requirement in wanted]
    listed = re.findall(r"^\| ([a-z0-9-]+) \|", text_of(ROOT / "docs" / "dependencies.md"), re.MULTILINE)
    assert sorted(name for name in listed if name != "package") == sorted(names)


def test_the_changelog_knows_this_version() -> None:
    """What is built stands in the changelog: under its number, or as unreleased before the first release."""
    versions = re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert __version__ in versions or (versions == ["Unreleased"] and __version__ == "0.1.0")
