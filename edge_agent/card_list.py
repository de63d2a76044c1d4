"""Lists of cards that hold references only: staff, couriers, sanitation workers.

One card a line, `KEY_ID:REFERENCE` as `edge-agent card-ref` prints it; what follows a `#` is for people.
"""

import re
from pathlib import Path

from edge_agent.errors import AgentError
from edge_agent.records import CardRef

_ENTRY = re.compile(r"([a-z0-9][a-z0-9-]{0,31}):([0-9a-f]{32})", re.ASCII)


def entry(card: CardRef) -> str:
    """Return the line by which a list names `card`."""
    return f"{card.key_id}:{card.ref}"


def load_list(path: Path) -> frozenset[CardRef]:
    """Read a list; raises AgentError saying what to do.

    A line that is no reference is never repeated: it may be one of the numbers that must not be written down.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise AgentError(f"card list {path}: {why}; create it, one reference a line") from error
    cards: set[CardRef] = set()
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        found = _ENTRY.fullmatch(text)
        if found is not None:
            cards.add(CardRef(found[2], found[1]))
        elif text:
            raise AgentError(f"card list {path}: line {number} is no reference; make one with edge-agent card-ref")
    return frozenset(cards)
