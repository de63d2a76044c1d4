"""A station file read, checked and explained: all of its errors at once, and the origin of every value."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.config.checks import errors
from edge_agent.config.device import InstalledDrivers
from edge_agent.config.draft import Draft
from edge_agent.config.messages import problem, station_fields
from edge_agent.config.model import Config
from edge_agent.config.positions import Path as KeyPath
from edge_agent.config.toml import toml, toml_key
from edge_agent.config.tree import Spot, Tree, read, spot_of
from edge_agent.config.warnings import lists, secrets, warnings
from edge_agent.driver import DriverClass
from edge_agent.errors import ConfigError, Problem

_CREDENTIALS = {
    ("cards", "key_file"): "card-key",
    ("uplink", "password_file"): "mqtt-password",
    ("page", "pin_file"): "page-pin",
    ("uplink", "ca_file"): "tls_ca.pem",
    ("uplink", "cert_file"): "tls_cert.pem",
    ("uplink", "key_file"): "tls_key.pem",
}
"""Key -> systemd credential used where the file says nothing; a credential directory `tls` becomes files `tls_…`
(systemd.exec(5), LoadCredential=)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A usable configuration; `origin` says `file:line`, `default` or the credential's path for each key path."""

    config: Config
    warnings: tuple[Problem, ...]
    origin: dict[KeyPath, str]

    def explain(self) -> str:
        """Return the effective configuration as TOML that means the same, each value with its origin."""
        return "\n".join(_explained(self))


def load(
    path: Path,
    *,
    drivers: Mapping[str, DriverClass] | None = None,
    environ: Mapping[str, str] = os.environ,
    ready: bool = False,
) -> Loaded:
    """Read `path` and what it includes; raises ConfigError with every problem found.

    `ready` is for an agent about to run: secret files that cannot be read are then errors and not warnings.
    """
    problems: list[Problem] = []
    tree = read(path, problems)
    if tree is None:
        raise ConfigError(problems)
    _add_credentials(tree, environ.get("CREDENTIALS_DIRECTORY"))
    return judge(tree, drivers=drivers, ready=ready, problems=problems)


def judge(
    tree: Tree,
    *,
    drivers: Mapping[str, DriverClass] | None = None,
    ready: bool = False,
    problems: Iterable[Problem] = (),
) -> Loaded:
    """Return the configuration in `tree`; raises ConfigError with every problem found, those known before included."""
    drivers = InstalledDrivers() if drivers is None else drivers
    problems = list(problems)
    fields = partial(station_fields, drivers=drivers)
    config: Config | None = None
    try:
        config = Config.model_validate(tree, context={"drivers": drivers})
    except ValidationError as error:
        problems += [problem(found, tree, fields) for found in error.errors(include_url=False)]
    problems += errors(Draft.of(tree, drivers))
    warned: list[Problem] = []
    if config is not None and not problems:
        for found in (*secrets(config, tree, drivers, warning=not ready), *lists(config, tree, warning=not ready)):
            (warned if found.warning else problems).append(found)
        warned += warnings(config, tree, drivers)
    if config is None or problems:
        raise ConfigError(list(_once(problems)))
    origin = {path: _origin(tree, path) for path, _ in _leaves((), _plain(config))}
    return Loaded(config, tuple(sorted(warned, key=lambda found: (found.file, found.line))), origin)


def _once(problems: list[Problem]) -> Iterator[Problem]:
    """Leave out what a repeated device says again at the same line under its next name."""
    seen: set[tuple[str, int, str]] = set()
    for found in problems:
        _, colon, text = found.text.partition(": ")
        key = (found.file, found.line, text if colon else found.text)
        if key not in seen:
            seen.add(key)
            yield found


def _add_credentials(tree: Tree, directory: str | None) -> None:
    """Fill in what systemd handed over; an empty credential counts as none (the package creates empty ones)."""
    for (table, key), name in _CREDENTIALS.items():
        file = Path(directory or "/nonexistent", name)
        if directory is None or not file.is_file() or file.stat().st_size == 0:
            continue
        spot = Spot(str(file), 0)
        if table not in tree:
            tree.put(table, Tree(spot), spot)
        inner = tree[table]
        if isinstance(inner, Tree) and key not in inner and _wanted(inner, key):
            inner.put(key, str(file), spot)


def _wanted(uplink: Tree, key: str) -> bool:
    """Return whether the rest of the table has a use for it: TLS files with mqtts, a password with a user."""
    if key == "password_file":
        return "username" in uplink
    return "broker" not in uplink or str(uplink["broker"]).startswith("mqtts:")


def _plain(config: Config) -> dict[str, Any]:
    """Return the configuration as in the file: a driver's options among the keys of their device, nothing unset."""
    plain: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    for device in plain["device"]:
        device.update(device.pop("options"))
    return plain


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every value that is not itself a table."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves((*path, key), inner)
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        for index, inner in enumerate(value):
            yield from _leaves((*path, index), inner)
    else:
        yield path, value


def _origin(tree: Tree, path: KeyPath) -> str:
    node: Any = tree
    for part in path:
        if isinstance(node, Tree):
            if part not in node:
                return "default"
            node = node[str(part)]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            break  # one word that stands for a whole table, as in `locks = "locks"`
    return str(spot_of(tree, path))


def _explained(loaded: Loaded) -> Iterator[str]:
    plain = _plain(loaded.config)
    for table, value in plain.items():
        for index, element in enumerate(value) if isinstance(value, list) else [(None, value)]:
            path: KeyPath = (table,) if index is None else (table, index)
            yield f"[{table}]" if index is None else f"[[{table}]]"
            for key, inner in element.items():
                line = f"{toml_key(key)} = {toml(inner)}"
                gap = " " * (60 - len(line) - sum(unicodedata.east_asian_width(sign) in "WF" for sign in line))
                yield f"{line}{gap}  # {_summary(loaded.origin, (*path, key))}"
            yield ""


def _summary(origin: dict[KeyPath, str], path: KeyPath) -> str:
    """Return the origins of everything below `path`, each once."""
    inner = [where for leaf, where in origin.items() if leaf[: len(path)] == path]
    return ", ".join(dict.fromkeys(inner))
