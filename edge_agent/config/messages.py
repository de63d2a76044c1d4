"""pydantic's findings as sentences an installer can act on: where, what is wrong, what to do.

Values are repeated only where they cannot be a secret: a password typed into the wrong key must not reach a screen.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edge_agent.config.described import keys_in
from edge_agent.config.device import COMMON_KEYS, Device
from edge_agent.config.model import Config
from edge_agent.config.positions import Path
from edge_agent.config.toml import toml
from edge_agent.config.tree import Tree, at, spot_of
from edge_agent.driver import DriverClass
from edge_agent.errors import Problem
from edge_agent.units import format_duration, format_size

_HIDDEN = ("password", "secret", "key", "token", "broker")
_VERBS = ("is ", "has ", "holds ")
"""How the message of a value's own check goes on after `key = value`; other texts stand after a colon."""

_KINDS = {
    "int": "is not a whole number",
    "float": "is not a number",
    "finite": "is not a whole number",
    "bool": "is neither true nor false",
    "string": "is not text – put it in quotes",
    "tuple": "is not a list – write it in [ ]",
    "list": "is not a list – write it in [ ]",
}
_BARE = ("int_", "float_", "bool_")
_BOUNDS = {
    "greater_than_equal": ("ge", "is too small – at least"),
    "greater_than": ("gt", "is too small – more than"),
    "less_than_equal": ("le", "is too large – at most"),
    "less_than": ("lt", "is too large – less than"),
    "string_too_long": ("max_length", "is too long – characters at most:"),
}


Fields: TypeAlias = Callable[[Path, Tree], dict[str, FieldInfo]]
"""Returns the keys that the table at a path of a file may have."""


def problem(error: ErrorDetails, tree: Tree, fields: Fields) -> Problem:
    """Return one of pydantic's errors as a Problem at its place in the file."""
    path = _written(error["loc"], tree)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "misfit":
        path = (*path, context["key"])
        text = str(context["text"])
    elif kind == "union_tag_not_found":
        path = (*path, "kind")
        text = f"'kind' is missing – add it: {_kinds_of_link()}"
    elif kind == "union_tag_invalid":
        path = (*path, "kind")
        text = f"kind = {toml(at(tree, path))} is not a kind of link – there are {_kinds_of_link()}"
    elif kind == "missing":
        text = _missing(path, tree, fields)
    elif kind == "extra_forbidden":
        text = _unknown(path, tree, fields)
    else:
        text = _wrong_value(error, path, tree, fields)
    return problem_at(path, text, tree)


def problem_at(path: Path, text: str, tree: Tree, *, warning: bool = False) -> Problem:
    """Return a Problem at the line of `path` that begins with its table: `device "door": …`."""
    spot = spot_of(tree, path)
    where = f"[{path[0]}]: " if len(path) >= 2 else ""
    if len(path) >= 2 and isinstance(path[1], int):
        name = at(tree, (*path[:2], "name"))
        where = f'{path[0]} "{name}": ' if isinstance(name, str) else f"{path[0]} number {path[1] + 1}: "
    return Problem(spot.file, spot.line, f"{where}{text}", warning)


def suggest(word: str, known: set[str]) -> str:
    """Return ` – did you mean 'x'?` or the list of what there is."""
    import difflib  # noqa: PLC0415  (for mistakes only, and slow to load)

    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    if close:
        return f" – did you mean {close[0]!r}?"
    return f" – there are {', '.join(sorted(known))}" if known else " – take it out"


def station_fields(path: Path, tree: Tree, drivers: Mapping[str, DriverClass]) -> dict[str, FieldInfo]:
    """Return the keys that the table at `path` of a station file may have, a driver's own among them."""
    element = at(tree, path[:2])
    if path[:1] == ("link",) and isinstance(element, Tree):
        return fields_below(_link_fields(element), path[2:])
    if path[:1] == ("device",) and isinstance(element, Tree):
        fields = {name: keys_in(Device)[name] for name in COMMON_KEYS}
        driver = element.get("driver")
        if isinstance(driver, str) and driver in drivers:
            fields |= keys_in(drivers[driver].Options)
        return fields_below(fields, path[2:])
    return fields_below(keys_in(Config), path)


def fields_below(fields: Mapping[str, FieldInfo], path: Path) -> dict[str, FieldInfo]:
    """Return the keys of the table at `path`, which begins in a table with these `fields`."""
    found = dict(fields)
    for part in path:
        # A part that is no key is an index or a name the installer chose (a contact's): its table follows.
        if part in found:
            models = models_in(found[str(part)].annotation)
            found = {name: field for model in models for name, field in keys_in(model).items()}
    return found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the tables that an annotation such as `tuple[A | B, ...] | None` speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def first_sentence(field: FieldInfo) -> str:
    """Return the first sentence of a key's description, without its full stop."""
    return " ".join((field.description or "").split()).partition(". ")[0].rstrip(".")


def _link_kinds() -> dict[str, type[BaseModel]]:
    """Return kind -> what a link of it may say."""
    models = models_in(Config.model_fields["link"].annotation)
    return {get_args(model.model_fields["kind"].annotation)[0]: model for model in models}


def _kinds_of_link() -> str:
    return ", ".join(_link_kinds())


def _link_fields(link: Tree) -> dict[str, FieldInfo]:
    kinds = _link_kinds()
    chosen = [kinds[link["kind"]]] if link.get("kind") in kinds else list(kinds.values())
    return {name: field for model in chosen for name, field in keys_in(model).items()}


def _written(loc: Path, tree: Tree) -> Path:
    """Drop from pydantic's location what is not in the file: names of union branches, our own `options`."""
    path: Path = ()
    for index, part in enumerate(loc):
        inside = at(tree, path)
        exists = part in inside if isinstance(inside, Tree) else isinstance(inside, list) and isinstance(part, int)
        if exists or (index == len(loc) - 1 and isinstance(inside, Tree)):
            path = (*path, part)
    return path


def _key(path: Path) -> str:
    """Return the path inside its table as written in TOML: `contacts.door.line`."""
    inner = path[2:] if len(path) > 1 and isinstance(path[1], int) else path[1:]
    return ".".join(str(part) for part in inner if isinstance(part, str))


def _missing(path: Path, tree: Tree, fields: Fields) -> str:
    field = fields(path[:-1], tree).get(str(path[-1]))
    about = first_sentence(field) if field is not None else ""
    what = f"[{path[0]}]" if len(path) == 1 else repr(_key(path))
    return f"{what} is missing – add it" + (f": {about}" if about else "")


def _unknown(path: Path, tree: Tree, fields: Fields) -> str:
    key = str(path[-1])
    if any(word in key for word in ("password", "secret", "token")):
        return (
            f"unknown key {key!r} – secrets are never in this file: write it to a file and name that in password_file"
        )
    known = set(fields(path[:-1], tree))
    if len(path) == 1:
        return f"unknown table [{key}]{suggest(key, known)}"
    return f"unknown key {key!r}{suggest(key, known | ({'repeat'} if path[0] == 'device' else set()))}"


def _wrong_value(error: ErrorDetails, path: Path, tree: Tree, fields: Fields) -> str:
    value = at(tree, path)
    if error["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        keys = ", ".join(f"{key} = …" for key in fields(path, tree))
        text = (
            f"is not a table – write {{ {keys} }}" if len(path) > 1 else f"[{path[0]}] is not one table – write it once"
        )
    else:
        text = _judgement(error, value, path)
    key = _key(path)
    if not key:
        return text
    if isinstance(value, Tree | list):
        return f"{key} {text}" if text.startswith(_VERBS) else f"{key}: {text}"
    shown = key if any(word in key for word in _HIDDEN) else f"{key} = {toml(value)}"
    return f"{shown} {text}" if text.startswith(_VERBS) else f"{shown}: {text}"


def _judgement(error: ErrorDetails, value: Any, path: Path) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        return f"{text} {_like(value, context[name])}"
    if kind in {"literal_error", "enum"}:
        return f"is not one of these – {context['expected'].replace(chr(39), chr(34))}"
    if kind in {"tuple_type", "list_type"} and isinstance(value, Tree) and len(path) == 1:
        return f"[{path[0]}] is one of several – write [[{path[0]}]] with double brackets"
    if kind in {"string_too_short", "too_short"}:
        return "is empty – fill it in"
    if kind == "string_pattern_mismatch":
        return f"is not of the form {context['pattern']}"
    text = _KINDS.get(kind.partition("_")[0], error["msg"])
    return f"{text} – write it without quotes" if isinstance(value, str) and kind.startswith(_BARE) else text


def _like(value: Any, limit: float) -> str:
    """Write a limit in the way the value was written: as a duration, a size or a number."""
    unit = value.rstrip()[-1:] if isinstance(value, str) else ""
    if unit in {"B", "b"}:
        return f'"{format_size(int(limit))}"'
    return f'"{format_duration(limit)}"' if unit.isalpha() else f"{limit:g}"
