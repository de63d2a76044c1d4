"""`edge-agent check-profile FILE`: every mistake of a device profile with its line, before a station uses it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.config.messages import models_in, suggest
from edge_agent.config.toml import toml
from edge_agent.config.tree import Tree, at, read, spot_of
from edge_agent.driver import driver_names, load_driver
from edge_agent.errors import AgentError, ConfigError, Problem

HELP = "check a device profile and name every mistake with its line"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("file", type=Path, help="profile file (TOML)")
    parser.add_argument("--driver", help="driver that it is for; needed only where several drivers have profiles")


def run(args: argparse.Namespace) -> int:
    """Print the mistakes to stderr, the result to stdout; 0 = usable, 2 = not."""
    try:
        profile = _read(args.file, _model(args.driver))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        count = len(error.problems)
        sys.stdout.write(f"{args.file}: {count} error{'' if count == 1 else 's'}\n")
        return 2
    summary = profile.summary() if hasattr(profile, "summary") else type(profile).__name__
    sys.stdout.write(f"{args.file}: usable: {summary}\n")
    return 0


def _model(wanted: str | None) -> type[BaseModel]:
    """Return what the driver's profiles must be like; a driver with profiles says so as `Profile` of its class."""
    models: dict[str, type[BaseModel]] = {}
    for name in (wanted,) if wanted else driver_names():
        model = getattr(load_driver(name), "Profile", None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            models[name] = model
    if len(models) == 1:
        return next(iter(models.values()))
    if wanted:
        raise AgentError(f"driver {wanted!r} has no profiles")
    raise AgentError(f"say which driver the profile is for: --driver {' or '.join(models) or 'NAME'}")


def _read(file: Path, model: type[BaseModel]) -> BaseModel:
    problems: list[Problem] = []
    tree = read(file, problems)
    if tree is None:
        raise ConfigError(problems)
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError([_problem(found, tree, model) for found in error.errors(include_url=False)]) from error


def _problem(error: ErrorDetails, tree: Tree, model: type[BaseModel]) -> Problem:
    # A check over several tables names the place by itself; see `config.types.misfit`.
    path = (*error["loc"], *error.get("ctx", {}).get("path", ()))
    spot = spot_of(tree, path)
    return Problem(spot.file, spot.line, f"{_where(path, tree)}{_text(error, path, tree, model)}")


def _where(path: tuple[str | int, ...], tree: Tree) -> str:
    """Name the table a mistake is in: `point "door": …`, `[command.open]: …`."""
    if len(path) < 2:
        return ""
    if isinstance(path[1], int):
        name = at(tree, (*path[:2], "name"))
        return f'{path[0]} "{name}": ' if isinstance(name, str) else f"{path[0]} number {path[1] + 1}: "
    return f"[{path[0]}.{path[1]}]: "


def _text(error: ErrorDetails, path: tuple[str | int, ...], tree: Tree, model: type[BaseModel]) -> str:
    key = str(path[-1]) if path else ""
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}{suggest(key, _keys(path[:-1], model))}"
    if error["type"] == "missing":
        return f"{key!r} is missing – add it"
    text = error["msg"].removeprefix("Value error, ")
    value: Any = at(tree, path)
    if value is None or isinstance(value, Tree | list) or error["type"] == "misfit":
        return text
    return f"{key} = {toml(value)}: {text}"


def _keys(path: tuple[str | int, ...], model: type[BaseModel]) -> set[str]:
    """Return the keys that the table at `path` may have."""
    fields = dict(model.model_fields)
    for part in path:
        if part in fields:
            fields = {n: f for inner in models_in(fields[str(part)].annotation) for n, f in inner.model_fields.items()}
    return set(fields)
