"""Values written back as TOML."""

import json
from typing import Any


def toml(value: Any) -> str:
    """Return `value` (text, number, truth value, list, table; tuples as lists) as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are a subset of those of TOML's basic strings (TOML 1.0, "String"); DEL is the one exception.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml_key(key)} = {toml(one)}' for key, one in value.items())} }}"
    return str(value)


def toml_key(key: str) -> str:
    """Return `key` bare if TOML allows it, else quoted."""
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else toml(key)
