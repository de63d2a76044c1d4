"""MQTT topic filters (OASIS "MQTT Version 5.0", chapter 4.7)."""

from functools import lru_cache

SHARED_PREFIX = "$share/"
"""Start of a shared subscription (4.8.2)."""


def is_topic_filter(topic_filter: str) -> bool:
    """Whether wildcards stand where they may: `+` and `#` fill a whole level, `#` only the last one (4.7.1)."""
    levels = topic_filter.split("/")
    return bool(topic_filter) and all(
        level in ("", "+") or (level == "#" and index == len(levels) - 1) or not ("+" in level or "#" in level)
        for index, level in enumerate(levels)
    )


@lru_cache(maxsize=65_536)
def topic_matches(topic_filter: str, topic: str) -> bool:
    """Whether a message to `topic` belongs to a subscription of `topic_filter`.

    `sport/#` also matches `sport`; a leading wildcard does not match topics that begin with `$` (4.7.1.2, 4.7.2).
    """
    wanted, actual = topic_filter.split("/"), topic.split("/")
    if actual[0].startswith("$") and wanted[0] in ("+", "#"):
        return False
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        actual = actual[: len(wanted)]
    return len(wanted) == len(actual) and all(want in ("+", level) for want, level in zip(wanted, actual, strict=True))
