"""The keys of a table with their docstrings as descriptions, for the pages and messages that need them.

Read from the source when they are asked for: pydantic would read them while a class is made, which took the running
agent, which never shows them, a fifth of its start.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@cache
def keys_in(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return key -> field of a table, in order."""
    fields = model.model_fields
    # The docstring nearest to the table itself holds.
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            for name, text in _docstrings(owner):
                if name in fields:
                    fields[name].description = inspect.cleandoc(text)
    return fields


def _docstrings(owner: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each attribute of a class that has a docstring behind it."""
    body = _classes(inspect.getsourcefile(owner) or "").get(owner.__qualname__, [])
    for before, after in pairwise(body):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(after, ast.Expr):
            text = after.value.value if isinstance(after.value, ast.Constant) else None
            if isinstance(text, str):
                yield before.target.id, text


@cache
def _classes(file: str) -> dict[str, list[ast.stmt]]:
    """Return class -> statements of a module; empty for one without a file (a model made on the fly)."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8") if file else "")
    return {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
