"""What drivers must know again after a restart, as the journal keeps it and as it was said last.

Stored by the Recorder in the transaction of the records it accounts for. A driver that is built anew while its last
words still wait for their commit must be given those, not the journal's: else it would tell the same events twice.
"""

from collections.abc import Iterable, Mapping

from edge_agent.records import Memory, Record

_PREFIX = "device/"


class Memories:
    """Newest text of each (device, key); `note` and `of` may be called from any thread."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._texts = {key: text for key, text in stored.items() if key.startswith(_PREFIX)}

    def note(self, device: str, records: Iterable[Record]) -> None:
        """Keep what `device` asks to be remembered."""
        for record in records:
            if isinstance(record, Memory):
                self._texts[key_of(device, record)] = record.text

    def of(self, device: str) -> dict[str, str]:
        """Return key -> text of everything `device` ever asked to be remembered."""
        prefix = f"{_PREFIX}{device}/"
        return {key.removeprefix(prefix): text for key, text in dict(self._texts).items() if key.startswith(prefix)}


def key_of(device: str, memory: Memory) -> str:
    """Return the key under which the journal's state holds `memory`."""
    return f"{_PREFIX}{device}/{memory.key}"
