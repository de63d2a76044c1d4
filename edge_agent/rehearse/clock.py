"""The fake clock of a rehearsal: what time it really is, beside what the station believes."""

from edge_agent.clock import FakeClock


class StationClock(FakeClock):
    """`true` is the real time (Unix seconds) and never wrong; `wall` and `good` are the machine's."""

    def __init__(self, true: float) -> None:
        super().__init__(wall=true)
        self.true = true
        self.boots = 1
        self._sync_at: float | None = None

    @property
    def lies(self) -> bool:
        """True while the machine believes a wrong time."""
        return self.good() and abs(self.wall() - self.true) > 1.0

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, on every clock."""
        super().advance(seconds)
        self.true += seconds
        if self._sync_at is not None and self.true >= self._sync_at:
            self._sync_at = None
            self.set_wall(self.true)

    def show(self, wall: float, *, good: bool, synced_after: float | None) -> None:
        """Show another time, until the network sets it right after so many seconds; None = never."""
        self.set_wall(wall, good=good)
        self._sync_at = None if synced_after is None else self.true + synced_after

    def boot(self) -> None:
        """Begin a new boot."""
        self.boots += 1
        self.reboot(f"00000000-0000-4000-8000-{self.boots:012}")
