"""Records that will not come, and the gap record that says so."""

from dataclasses import dataclass

from edge_agent.records import Json

END_OF_EPOCH = (1 << 40) - 1
"""`to_seq` of a gap whose end nobody knows: nothing of that epoch will come any more."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Seqs that cannot be read any more, both ends included."""

    stream: str
    epoch_name: str
    first: int
    last: int

    def gap(self) -> tuple[str, dict[str, Json]]:
        """Return the gap record that declares it, as (stream, body)."""
        body: dict[str, Json] = {
            "of_epoch": self.epoch_name,
            "from_seq": self.first,
            "to_seq": self.last,
            "reason": "damage",
        }
        return self.stream, body
