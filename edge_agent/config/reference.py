"""Writes docs/configuration.md from the models: `python -m edge_agent.config.reference > docs/configuration.md`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from edge_agent.config.described import keys_in
from edge_agent.config.device import COMMON_KEYS, Device, InstalledDrivers
from edge_agent.config.messages import models_in
from edge_agent.config.model import Config
from edge_agent.config.toml import toml
from edge_agent.driver import DriverClass
from edge_agent.units import format_duration, format_size

_HEAD = """\
# The station file

<!-- Generated from the models: python -m edge_agent.config.reference > docs/configuration.md -->

One TOML file describes a station. Begin with [config/station.example.toml](../config/station.example.toml), then let

    edge-agent check /etc/edge-agent/station.toml

name every mistake at once, each with its line and what to do about it. `--explain` prints the configuration in effect
and where each value comes from.

* **Durations** are text with a unit: `"250ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`. **Sizes** too: `"64 kB"`, `"512 MB"`.
* **Ids** (of stations, regions, districts, links, devices, cabinets) have 2 to 32 of `a-z`, `0-9` and `-`, and begin
  with a letter or digit: each becomes one level of a topic. Names for people go into `name` and `label`.
* **Secrets** are never in the file: a key such as `password_file` names the file that holds one.
* **Paths** are full paths.

## A fleet type: `include`

    include = ["types/kiosk-a.toml"]

as the first line takes in what all stations of a type share; the path begins in the folder of the station file. What
the station file says wins. Tables are merged key by key, lists of tables such as `[[device]]` by their `name`, every
other list is replaced. An included file cannot include another one.

## Many alike: `repeat`

```toml
[[device]]
name = "battery-{n:02}"
repeat = 12
link = "cabinet-bus"
driver = "bms"
framing = "up"
address = "{n}"
may_be_absent = true
```

stands for twelve devices, `battery-01` to `battery-12`. In every text of the table `{n}` becomes 1, 2, 3 …; `{n:02}`
has leading zeros, `{n+16}` begins at 17; a text that is nothing but `{n}` becomes a number. One of the twelve can be
changed by a fleet's station file under its own name.
"""

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "`true`, `false`",
    "array": "list",
    "object": "table",
}
"""JSON Schema's types in the words of the page."""
_FOOT_OF_LINKS = "`kind` decides which keys a link has."


def render(drivers: Mapping[str, DriverClass] | None = None) -> str:
    """Return the whole page as Markdown."""
    return "\n".join(_page(InstalledDrivers() if drivers is None else drivers))


def _page(drivers: Mapping[str, DriverClass]) -> Iterator[str]:
    yield _HEAD
    for name, field in keys_in(Config).items():
        models = list(models_in(field.annotation))
        several = field.annotation is not models[0]
        if name == "link":
            yield f"## `[[link]]`\n\n{field.description} {_FOOT_OF_LINKS}\n"
            for model in models:
                yield from section(f"### kind = {values_of(model.model_fields['kind'])}", model)
        elif name == "device":
            yield from section(
                "## `[[device]]`", Device, {key: f for key, f in keys_in(Device).items() if key in COMMON_KEYS}
            )
            for driver in drivers:
                yield from section(f'### driver = `"{driver}"`', drivers[driver].Options)
        else:
            yield from section(f"## `[[{name}]]`" if several else f"## `[{name}]`", models[0])


def section(title: str, model: type[BaseModel], fields: Mapping[str, FieldInfo] | None = None) -> Iterator[str]:
    """Yield a heading, what the table is, and a row for each of its keys and those below it."""
    yield f"{title}\n\n{_words(model.__doc__)}\n"
    rows = list(_rows("", keys_in(model) if fields is None else fields))
    if rows:
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        yield from rows
        yield ""


def _rows(prefix: str, fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for name, field in keys_of(fields, prefix):
        default = "**needed**" if field.is_required() else default_of(field)
        yield f"| `{name}` | {values_of(field)} | {default} | {_words(field.description)} |"


def keys_of(fields: Mapping[str, FieldInfo], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key and, behind it, those of the tables below it, with their path: `inputs[].line`."""
    for name, field in fields.items():
        yield f"{prefix}{name}", field
        for model in models_in(field.annotation):
            yield from keys_of(keys_in(model), f"{prefix}{name}{_step(_schema(field))}.")


def default_of(field: FieldInfo) -> str:
    """Return the default of a key as it would stand in the file, between back-quotes; a dash for none."""
    value = field.get_default(call_default_factory=True)
    if value is None or value in ({}, ()) or isinstance(value, BaseModel):
        return "–"
    return f"`{toml(_adapter(field).dump_python(value, mode='json', exclude_none=True))}`"


def _schema(field: FieldInfo) -> dict[str, Any]:
    schema = _adapter(field).json_schema()
    return next((one for one in schema.get("anyOf", []) if one != {"type": "null"}), schema)


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[annotation, *field.metadata] if field.metadata else annotation)


def _step(schema: dict[str, Any]) -> str:
    """Return what stands between the key and those below it: nothing, the mark of a list, or a name of one's own."""
    if schema.get("type") == "array":
        return "[]"
    return ".NAME" if "additionalProperties" in schema and "properties" not in schema else ""


def values_of(field: FieldInfo) -> str:
    """Say in a few words what may stand behind the equals sign."""
    schema = _schema(field)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{toml(one)}`" for one in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("format", schema.get("type", "table")))
    return f"{_WORDS.get(kind, kind)}{_range(kind, field)}"


def _range(kind: str, field: FieldInfo) -> str:
    limits = dict(_limits(field.annotation, field.metadata))
    low = limits.get("ge", limits.get("gt"))
    high = limits.get("le", limits.get("lt"))
    if low is not None and high is not None:
        return f", {_limit(kind, low)} to {_limit(kind, high)}"
    if low is not None:
        return f", {'at least' if 'ge' in limits else 'more than'} {_limit(kind, low)}"
    return f", at most {_limit(kind, high)}" if high is not None else ""


def _limits(annotation: Any, metadata: Iterable[Any]) -> Iterator[tuple[str, float]]:
    """Yield (ge | gt | le | lt, limit) of a key, also from inside `Annotated[…] | None`."""
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            yield from _limits(None, mark.metadata)
        for name in ("ge", "gt", "le", "lt"):
            if (limit := getattr(mark, name, None)) is not None:
                yield name, limit
    for inner in get_args(annotation):
        if hasattr(inner, "__metadata__"):
            yield from _limits(inner.__origin__, inner.__metadata__)


def _limit(kind: str, limit: float) -> str:
    if kind == "duration":
        return format_duration(limit)
    return format_size(int(limit)) if kind == "size" else str(limit)


def _words(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
