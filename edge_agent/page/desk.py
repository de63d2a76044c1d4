"""What somebody at the page can have done: a form becomes a command at the gate that the centre's commands pass."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from edge_agent.commands import Answer, Request
from edge_agent.records import Event, Json, Record


class Gate(Protocol):
    """The command gate, as the page uses it."""

    def handle(self, request: Request) -> Answer:
        """Judge a command and act on it; takes as long as a commit."""

    def knows(self, verb: str) -> bool:
        """Return whether there is such a verb."""


@dataclass(frozen=True, slots=True)
class Desk:
    """May be used from any thread. `submit` is the Recorder's; `wall` returns Unix seconds."""

    gate: Gate
    submit: Callable[[str, Iterable[Record]], None]
    wall: Callable[[], float]

    def ask(self, verb: str, who: str, arguments: Mapping[str, Json]) -> Answer:
        """Ask for `verb` in the name of `who`."""
        head: dict[str, Json] = {
            "id": f"page-{secrets.token_hex(8)}",
            "by": who,
            "ts": datetime.fromtimestamp(self.wall(), tz=UTC).isoformat(),
        }
        payload = json.dumps({**arguments, **head}, ensure_ascii=False).encode()
        return self.gate.handle(Request(verb, payload, expiry=1.0, here=True))

    def login(self, who: str, *, right: bool) -> None:
        """Put on record that somebody has shown the PIN, or tried to."""
        decision = "accepted" if right else "refused"
        data: dict[str, Json] = {"command": "page/login", "command_id": "", "by": who, "decision": decision}
        self.submit("station", [Event("audit", data)])
