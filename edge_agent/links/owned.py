"""What a Worker needs of the link it owns."""

from typing import Protocol

from edge_agent.driver import Chunk, LineRequest, Link


class OwnedLink(Link, Protocol):
    """What a Worker needs of its link beyond asking."""

    name: str

    @property
    def is_open(self) -> bool:
        """True while the port is held."""

    def open(self, lines: tuple[LineRequest, ...] = ()) -> None:
        """Take the port; raises LinkError."""

    def close(self) -> None:
        """Let go of the port; never raises."""

    def wake(self) -> None:
        """Make a waiting `wait` return (from another thread)."""

    def wait(self, seconds: float) -> None:
        """Rest until something arrives unasked, `wake` is called, or `seconds` have passed."""

    def take(self) -> Chunk | None:
        """What arrived unasked since the last call, or None."""
