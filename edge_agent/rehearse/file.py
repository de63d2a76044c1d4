"""A script read and checked, with the station it is played on: every mistake at once, each with its line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.config.described import keys_in
from edge_agent.config.file import judge, load
from edge_agent.config.messages import fields_below, problem, problem_at
from edge_agent.config.model import Config
from edge_agent.config.tree import Tree, read, repeat
from edge_agent.demo.station import demo_file, filled
from edge_agent.errors import ConfigError, Problem
from edge_agent.rehearse.checks import check
from edge_agent.rehearse.script import Script

_DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A script that can be played, on this station."""

    script: Script
    config: Config


def load_script(path: Path, directory: Path) -> Loaded:
    """Read a script; what its station writes goes below `directory`. Raises ConfigError with every problem found."""
    problems: list[Problem] = []
    tree = read(path, problems)
    if tree is None:
        raise ConfigError(problems)
    script: Script | None = None
    try:
        script = Script.model_validate(tree)
    except ValidationError as error:
        problems += [problem(found, tree, _fields) for found in error.errors(include_url=False)]
    config = _station(tree, path, directory, problems)
    if script is not None and config is not None and not problems:
        problems += [problem_at(where, text, tree) for where, text in check(script, config)]
    if script is None or config is None or problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Loaded(script, _at_home(config, script, directory))


def _fields(path: tuple[str | int, ...], tree: Tree) -> dict[str, Any]:
    del tree
    return fields_below(keys_in(Script), path)


def _station(tree: Tree, path: Path, directory: Path, problems: list[Problem]) -> Config | None:
    """Return the station's configuration; problems in its file are named with that file's lines."""
    station = tree.get("station", _DEMO)
    try:
        if isinstance(station, Tree):
            repeat(station, problems)
            return judge(station).config
        if station == _DEMO:
            file = directory / "station.toml"
            file.write_text(filled(demo_file(), directory, "127.0.0.1:1883", "127.0.0.1:8080"), encoding="utf-8")
            return load(file, environ={}).config
        if isinstance(station, str):
            file = path.parent / station
            if not file.is_file():
                text = f"station = {station!r}: there is no such file – paths begin in the folder of the script"
                problems.append(problem_at(("station",), text, tree))
                return None
            return load(file, environ={}).config
    except ConfigError as error:
        problems += error.problems
    return None


def _at_home(config: Config, script: Script, directory: Path) -> Config:
    """Return the configuration with journal and card key below `directory`, no page, and as patient as the script."""
    key = directory / "card-key"
    if not key.exists():
        # No secret: nobody's card is read with it, and the same script is to give the same references.
        key.touch(mode=0o600)
        key.write_text("5a" * 32, encoding="ascii")
    least = script.ask_every or 0.0
    return config.model_copy(
        update={
            "journal": config.journal.model_copy(
                update={"dir": directory / "journal", "group_commit": max(config.journal.group_commit, least)}
            ),
            "device": tuple(one.model_copy(update={"every": max(one.every, least)}) for one in config.device),
            "cards": config.cards.model_copy(update={"key_file": key}),
            "page": config.page.model_copy(update={"enabled": False}),
        }
    )
