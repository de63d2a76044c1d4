"""JSON as it is stored and sent: compact, UTF-8, and never failing over what a device has said."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Made once: `json.dumps` builds an encoder for each call that wants anything but the defaults.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def dumps(value: Mapping[str, Any]) -> str:
    """Return compact JSON text that any reader takes and SQLite can store.

    Numbers that JSON does not know (infinite, not a number) become null, halves of surrogate pairs become "?".
    """
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_finite(value))
    return text.encode("utf-8", "replace").decode()


def fields_of(record: "DataclassInstance") -> dict[str, Any]:
    """Return field -> value of a dataclass; unlike `dataclasses.asdict` it copies nothing that is inside."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
