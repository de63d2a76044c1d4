"""Where each key of a TOML text stands: key path -> line.

`tomllib` gives values without positions, so this walks the text beside it: headers, keys, and enough of the value
syntax (strings, brackets, comments) to know where a value ends. It is only run on text that `tomllib` accepts, or to
find the second mention of a key that it refused.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""("device", 3, "address"): keys by name, elements of arrays of tables by index."""

_PART = r'(?:"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+)'
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_STATEMENT = re.compile(
    rf"[ \t]*(?:(?P<array>\[\[)[ \t]*(?P<akey>{_KEY})|(?P<table>\[)[ \t]*(?P<tkey>{_KEY})|(?P<key>{_KEY})[ \t]*=)"
)
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})'
    r'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{},\n]',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def scan(text: str) -> Iterator[tuple[Path, int]]:
    """Yield (path, 1-based line) for every header and key in the order of the text; a key given twice comes twice.

    Tables inside an array have their own line; the keys inside them, and all other values inside a value, have no
    entry: `line_of` falls back to what is around them.
    """
    text = text.replace("\r\n", "\n")
    counts: dict[Path, int] = {}
    table: Path = ()
    at, line = 0, 1
    while at < len(text):
        statement = _STATEMENT.match(text, at)
        if statement is not None:
            if statement["array"]:
                path = _resolve(_names(statement["akey"]), counts)
                counts[path] = counts.get(path, 0) + 1
                table = (*path, counts[path] - 1)
                yield table, line
            elif statement["table"]:
                table = _enter(_resolve(_names(statement["tkey"]), counts), counts)
                yield table, line
            else:
                path = (*table, *_names(statement["key"]))
                yield path, line
                yield from _elements(text, statement.end(), path, line)
        start = statement.end() if statement is not None and statement["key"] else at
        at = _end_of_statement(text, start)
        line += text.count("\n", start, at)


def positions(text: str) -> dict[Path, int]:
    """Return path -> line of every header and key, each counted where it is first mentioned."""
    found: dict[Path, int] = {}
    for path, line in scan(text):
        for depth in range(1, len(path) + 1):
            found.setdefault(path[:depth], line)
    return found


def line_of(path: Path, places: dict[Path, int]) -> int:
    """Return the line of `path`, or of the nearest key around it; 0 if nothing of it is in the text."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in places:
            return places[path[:depth]]
    return 0


def twice(text: str) -> tuple[Path, int, int] | None:
    """Return (path, first line, second line) of the first key that is set twice, None if there is none."""
    seen: dict[Path, int] = {}
    for path, line in scan(text):
        if path in seen:
            return path, seen[path], line
        seen[path] = line
    return None


def _names(key: str) -> Path:
    return tuple(_unquote(part) for part in re.findall(_PART, key))


def _unquote(part: str) -> str:
    if part.startswith("'"):
        return part[1:-1]
    if part.startswith('"'):
        return _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else _SHORT.get(m[3], m[3]), part[1:-1])
    return part


def _resolve(names: Path, counts: dict[Path, int]) -> Path:
    """Put the index of the newest element behind each array of tables on the way (TOML 1.0, "Array of Tables")."""
    path: Path = ()
    for name in names[:-1]:
        path = _enter((*path, name), counts)
    return (*path, names[-1])


def _enter(path: Path, counts: dict[Path, int]) -> Path:
    return (*path, counts[path] - 1) if path in counts else path


def _elements(text: str, start: int, path: Path, line: int) -> Iterator[tuple[Path, int]]:
    """Yield (path, line) of each table directly inside the array that begins at `start`; nothing for other values."""
    index = 0
    for token, depth in _tokens(text, start):
        if token[0] == "{" and depth == 1:
            yield (*path, index), line + text.count("\n", start, token.start())
        elif token[0] == "{" and depth == 0:
            return
        elif token[0] == "," and depth == 1:
            index += 1


def _end_of_statement(text: str, at: int) -> int:
    """Return the index behind the newline that ends the statement at `at`."""
    end = at
    for token, _ in _tokens(text, at):
        end = token.end()
    return end if text[at:end].endswith("\n") else len(text)


def _tokens(text: str, at: int) -> Iterator[tuple[re.Match[str], int]]:
    """Yield each token of the statement at `at` with the depth of brackets before it; its last is the newline."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        depth -= token[0] in {"]", "}"}
        yield token, depth
        if token[0] == "\n" and depth <= 0:
            return
        depth += token[0] in {"[", "{"}
