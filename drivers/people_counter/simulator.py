"""A door with two beams, seen from the people who walk through it."""

import threading
from collections.abc import Iterable
from typing import Protocol

from edge_agent.driver import Chunk, Edge, Site

_STEP = 0.12
"""Seconds between two changes of a person walking through."""
_PAUSE = 1.0


class BeamOptions(Protocol):
    """What the simulator needs of the driver's options."""

    @property
    def outer(self) -> int:
        """Line of the outer beam."""

    @property
    def inner(self) -> int:
        """Line of the inner beam."""

    def level(self, *, broken: bool) -> bool:
        """Level of a line for a state of its beam."""


class PeopleCounterSimulator:
    """Nobody stands in the door at first, which is the first thing `play` says. Its times count from its own zero."""

    def __init__(self, options: BeamOptions, site: Site) -> None:
        del site
        self._options = options
        self._lock = threading.Lock()
        self._now = 0.0
        clear = options.level(broken=False)
        lines = (options.outer, options.inner)
        self._said = [Chunk(0.0, edges=tuple(Edge(line, high=clear, at=0.0, initial=True) for line in lines))]

    def enter(self) -> None:
        """Let somebody walk in."""
        self._walk(self._options.outer, self._options.inner)

    def leave(self) -> None:
        """Let somebody walk out."""
        self._walk(self._options.inner, self._options.outer)

    def turn_back(self) -> None:
        """Let somebody come as far as the inner beam and go back."""
        outer, inner = self._options.outer, self._options.inner
        self._move((outer, True), (inner, True), (inner, False), (outer, False))

    def answer(self, request: bytes) -> bytes:
        """It takes no requests."""
        del request
        return b""

    def play(self) -> Iterable[Chunk]:
        """What has happened since the last call."""
        with self._lock:
            said, self._said = self._said, []
        return said

    def _walk(self, first: int, second: int) -> None:
        self._move((first, True), (second, True), (first, False), (second, False))

    def _move(self, *changes: tuple[int, bool]) -> None:
        with self._lock:
            self._now += _PAUSE
            for line, broken in changes:
                self._now += _STEP
                edge = Edge(line, high=self._options.level(broken=broken), at=self._now)
                self._said.append(Chunk(self._now, edges=(edge,)))
