"""Contacts, seen from their far end."""

import threading
from collections.abc import Iterable

from drivers.contacts.options import Contact, ContactsOptions
from edge_agent.driver import Chunk, Edge, Site

_BOUNCE_PERIOD = 1e-3
"""Seconds between two edges of a bouncing contact."""
_PRESS = 0.3
"""Seconds a button is held."""


class ContactsSimulator:
    """Contacts moved by name; may be used from any thread. Its times count from its own zero.

    All contacts begin inactive (doors closed), which is the first thing `play` says: play it before the link is opened.
    `bounce` is how often a contact opens and closes again before it rests.
    """

    def __init__(self, options: ContactsOptions, site: Site, *, bounce: int = 0) -> None:
        del site
        self._contacts = {contact.point: contact for contact in options.inputs}
        self._bounce = bounce
        self._pause = 2 * max(contact.debounce for contact in options.inputs) + 0.05
        self._lock = threading.Lock()
        self._now = 0.0
        self._active = dict.fromkeys(self._contacts, False)
        resting = tuple(
            Edge(contact.line, high=contact.level(active=False), at=0.0, initial=True) for contact in options.inputs
        )
        self._said = [Chunk(at=0.0, edges=resting)]

    def set(self, name: str, state: str | bool) -> None:  # noqa: FBT001  (reads as set("smoke", True))
        """Bring a contact to a state: "open" or "closed" for a door, True or False for all others."""
        with self._lock:
            self._now += self._pause
            self._move(name, active=state in {"open", True})

    def press(self, name: str, *, hold: float = _PRESS) -> None:
        """Press a button for `hold` seconds and let it go."""
        with self._lock:
            self._now += self._pause
            self._move(name, active=True)
            self._now += hold
            self._move(name, active=False)

    def pulse(self, name: str, times: int = 1) -> None:
        """Send pulses as fast as the debounce lets them count."""
        for _ in range(times):
            self.press(name, hold=self._pause)

    def answer(self, request: bytes) -> bytes:
        """It takes no requests."""
        del request
        return b""

    def play(self) -> Iterable[Chunk]:
        """What has moved since the last call."""
        with self._lock:
            said, self._said = self._said, []
        return said

    def _move(self, name: str, *, active: bool) -> None:
        contact: Contact = self._contacts[name]
        if self._active[name] == active:
            return
        self._active[name] = active
        edges = []
        for number in range(2 * self._bounce + 1):
            high = contact.level(active=active != bool(number % 2))
            edges.append(Edge(contact.line, high=high, at=self._now))
            self._now += _BOUNCE_PERIOD
        self._said.append(Chunk(at=edges[-1].at, edges=tuple(edges)))
