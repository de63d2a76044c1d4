"""A TOML text as tables that know their lines, with `repeat` and `include` worked in.

Every table is a dict that carries its positions, so merging and repeating move a value and its origin together.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.config import positions
from edge_agent.config.positions import Path as KeyPath
from edge_agent.errors import Problem

_MOST_REPEATS = 99
_TEMPLATE = re.compile(r"\{n(?:([+-])(\d{1,4}))?(?::0(\d))?\}")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_FULL_WIDTH = "“”‘’＂＇＝，：［］｛｝（）．　"
"""Typed by Chinese input methods; TOML wants the ASCII ones."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value comes from: a file and a 1-based line; line 0 = the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Tree(dict[str, Any]):
    """A table; `here` is the spot of its header, `spots` those of its keys."""

    def __init__(self, here: Spot) -> None:
        super().__init__()
        self.here = here
        self.spots: dict[str, Spot] = {}

    def put(self, key: str, value: Any, spot: Spot) -> None:
        """Set a value and where it comes from."""
        self[key] = value
        self.spots[key] = spot


def at(tree: Tree, path: KeyPath) -> Any:
    """Return the value at `path`, None if there is none."""
    node: Any = tree
    for part in path:
        if isinstance(node, Tree) and part in node:
            node = node[str(part)]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            return None
    return node


def spot_of(tree: Tree, path: KeyPath) -> Spot:
    """Return the spot of `path`, or of the nearest thing around it that is written down."""
    node: Any = tree
    spot = tree.here
    for part in path:
        if isinstance(node, Tree):
            spot = node.spots.get(str(part), spot)
            node = node.get(str(part))
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
            spot = node.here if isinstance(node, Tree) else spot
        else:
            break
    return spot


def read(path: Path, problems: list[Problem]) -> Tree | None:
    """Read a station file with what it includes; adds to `problems` and returns None where that is not possible."""
    before = len(problems)
    station = _parse(path, problems)
    if station is None:
        return None
    included = station.pop("include", [])
    spot = station.spots.pop("include", station.here)
    if not isinstance(included, list) or not all(isinstance(name, str) for name in included):
        problems.append(_problem(spot, 'include is not a list of files – write include = ["types/kiosk-a.toml"]'))
        return None
    merged: Tree | None = None
    for name in included:
        part = _included(path.parent / name, name, spot, problems)
        if part is not None:
            merged = part if merged is None else _merge(merged, part)
    if len(problems) > before:
        return None
    return station if merged is None else _merge(merged, station)


def _included(path: Path, name: str, spot: Spot, problems: list[Problem]) -> Tree | None:
    if not path.is_file():
        problems.append(
            _problem(spot, f"include {name!r} does not exist – paths begin in the folder of the station file")
        )
        return None
    part = _parse(path, problems)
    if part is not None and "include" in part:
        problems.append(
            _problem(part.spots["include"], "an included file cannot include another – name both in the station file")
        )
        return None
    return part


def _parse(path: Path, problems: list[Problem]) -> Tree | None:
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.append(Problem(file, 0, f"cannot be read ({error.strerror}) – check the path and its permissions"))
        return None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.append(Problem(file, line, "is not UTF-8 – save the file again with the encoding UTF-8"))
        return None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(_syntax(file, text, str(error)))
        return None
    tree: Tree = _placed(data, (), positions.positions(text), file)
    repeat(tree, problems)
    return tree


def _syntax(file: str, text: str, message: str) -> Problem:
    """Turn tomllib's message into one that says what to do; it knows no line for a key that is set twice."""
    at = _AT_LINE.search(message)
    line = int(at[1]) if at else text.count("\n") + 1
    if "overwrite" in message and (found := positions.twice(text)):
        path, first, second = found
        return Problem(file, second, f"{path[-1]!r} is set twice, first in line {first} – keep one of them")
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "overwrite" in message and written.lstrip().startswith("["):
        return Problem(
            file, line, f"{written.strip()} is a table and a list – write [[…]] with two brackets every time"
        )
    what = _AT_LINE.sub("", message).replace("(at end of document)", "").strip()
    what = what[:1].lower() + what[1:]
    if wide := next((sign for sign in written if sign in _FULL_WIDTH), ""):
        return Problem(file, line, f"{what} – full-width {wide} is not understood here; switch to English punctuation")
    return Problem(file, line, f"{what} – a value is text in quotes, a number, true, false or a [list]")


def _placed(value: Any, path: KeyPath, places: dict[KeyPath, int], file: str) -> Any:
    if isinstance(value, dict):
        tree = Tree(Spot(file, positions.line_of(path, places) or 1))
        for key, inner in value.items():
            below = (*path, key)
            tree.put(key, _placed(inner, below, places, file), Spot(file, positions.line_of(below, places)))
        return tree
    if isinstance(value, list):
        return [_placed(inner, (*path, index), places, file) for index, inner in enumerate(value)]
    return value


def repeat(tree: Tree, problems: list[Problem]) -> None:
    """Replace each device that has `repeat = N` by N devices, `{n}` filled in with 1 to N."""
    devices = tree.get("device")
    if isinstance(devices, list):
        tree["device"] = [one for device in devices for one in _family(device, problems)]


def _family(device: Any, problems: list[Problem]) -> Iterator[Any]:
    if not isinstance(device, Tree) or "repeat" not in device:
        yield device
        return
    count, spot = device["repeat"], device.spots["repeat"]
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_REPEATS:
        problems.append(_problem(spot, f"repeat is not a number from 1 to {_MOST_REPEATS} – write repeat = 12"))
    elif not _TEMPLATE.search(str(device.get("name"))):
        problems.append(_problem(spot, 'repeat needs {n} in the name – write name = "battery-{n:02}"'))
    else:
        for n in range(1, count + 1):
            one: Tree = _filled(device, n)
            del one["repeat"]
            yield one


def _filled(value: Any, n: int) -> Any:
    """Copy `value` with `{n}`, `{n:02}`, `{n+16}` filled in; text that is nothing but `{n}` becomes a number."""
    if isinstance(value, Tree):
        copy = Tree(value.here)
        for key, inner in value.items():
            copy.put(key, _filled(inner, n), value.spots[key])
        return copy
    if isinstance(value, list):
        return [_filled(inner, n) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _TEMPLATE.fullmatch(value)
    if whole is not None and whole[3] is None:
        return _number(whole, n)
    return _TEMPLATE.sub(lambda found: f"{_number(found, n):0{found[3] or 1}}", value)


def _number(found: re.Match[str], n: int) -> int:
    shift = int(found[2] or 0)
    return n - shift if found[1] == "-" else n + shift


def _merge(base: Tree, over: Tree) -> Tree:
    """Lay `over` on `base`: tables key by key, lists of named tables by name, everything else replaced."""
    merged = Tree(over.here)
    for key, value in base.items():
        merged.put(key, value, base.spots[key])
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Tree) and isinstance(value, Tree):
            merged.put(key, _merge(old, value), over.spots[key])
        elif old is not None and _named(old) and _named(value):
            merged.put(key, _merge_lists(old, value), over.spots[key])
        else:
            merged.put(key, value, over.spots[key])
    return merged


def _merge_lists(base: list[Tree], over: list[Tree]) -> list[Tree]:
    merged = list(base)
    # Each name of the base is met once: a name given twice in one file must stay twice, to be reported.
    places = {tree["name"]: index for index, tree in reversed(list(enumerate(base)))}
    for tree in over:
        index = places.pop(tree["name"], None)
        if index is None:
            merged.append(tree)
        else:
            merged[index] = _merge(base[index], tree)
    return merged


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Tree) and isinstance(one.get("name"), str) for one in value)


def _problem(spot: Spot, text: str) -> Problem:
    return Problem(spot.file, spot.line, text)
