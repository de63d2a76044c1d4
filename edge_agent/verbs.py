"""What a device can be told: its verbs and what they take, checked in one place for whoever asks.

A driver that can act declares each verb with a model of its arguments. The gate builds the command's schema of the same
model, so that what it lets through is what the driver takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from edge_agent.errors import DeviceError
from edge_agent.records import Json


class Arguments(BaseModel):
    """What a verb takes; a model of its own gives each argument a type and limits, with the unit in its name.

    `id`, `by` and `ts` are taken: they are part of every command that comes through the gate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


Verbs: TypeAlias = Mapping[str, type[Arguments]]
"""Verb -> its arguments; a verb without any has `Arguments` itself."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do: a verb the driver knows and its arguments."""

    name: str
    args: Mapping[str, Json] = field(default_factory=dict)


def takes(**arguments: Any) -> type[Arguments]:
    """Return the model of a verb whose arguments or limits follow from a device's options: name -> annotated type."""
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in arguments.items()}
    return create_model("Arguments", __base__=Arguments, **fields)


def arguments(verbs: Verbs, command: Command) -> dict[str, Any]:
    """Return the checked arguments of `command` by name; DeviceError if it is none of `verbs` or they do not fit."""
    model = verbs.get(command.name)
    if model is None:
        known = ", ".join(verbs) or "no commands"
        raise DeviceError(f"{command.name!r} is not a command of this device", hint=f"it knows {known}")
    try:
        return dict(model.model_validate(dict(command.args)))
    except ValidationError as error:
        raise DeviceError(explain(error), op=command.name) from error


def explain(error: ValidationError) -> str:
    """Name the first fault; what was sent is not repeated."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
