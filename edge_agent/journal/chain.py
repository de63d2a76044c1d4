"""The hash chain over what was counted: each `day_closed` seals every usage event since the one before it.

Whoever holds the seals, as the centre does, sees whether the events behind them have been changed, taken out or put in
since. A seal says of which epoch and seqs (`from_seq` to `to_seq`) how many events (`count`) it covers; its `digest` is
the SHA-256 of the previous seal's digest (64 hex digits) and of one line for each event: the JSON array
[epoch, seq, device, type, Unix milliseconds or null while the clock was not good, the event's own members],
compact, members sorted, UTF-8, ended by a line feed. What identifies a card (`card_ref`, `key_id`) stays out: it may be
erased without breaking the chain. Gaps and clock corrections are no events and stay out, too; so does
what cannot be read any more.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from edge_agent.journal.journal import Journal
from edge_agent.journal.row import UNREADABLE, Row, row_of
from edge_agent.journal.schema import pack
from edge_agent.records import Json

CHAIN = "chain"
"""Key of the remembered text that says how far the chain goes."""
_PERSONAL = frozenset({"card_ref", "key_id"})
_NO_EVENTS = frozenset({"gap", "clock_correction", UNREADABLE})


@dataclass(frozen=True, slots=True)
class Seal:
    """What one link of the chain says; `previous` is "" where the chain begins."""

    epoch: str
    from_seq: int
    to_seq: int
    count: int
    previous: str
    digest: str

    def body(self) -> dict[str, Json]:
        """Return it as the member `seal` of a `day_closed`."""
        return asdict(self)


def seal(epoch: str, first: int, last: int, previous: str, rows: Iterable[Row]) -> Seal:
    """Seal those of `rows` that are events; they are of `epoch` (its name), in order, with seqs `first` to `last`."""
    digest = hashlib.sha256(previous.encode())
    count = 0
    for row in rows:
        if row.type not in _NO_EVENTS:
            digest.update(_line(epoch, row))
            count += 1
    return Seal(epoch, first, last, count, previous, digest.hexdigest())


def _line(epoch: str, row: Row) -> bytes:
    own = {key: value for key, value in json.loads(row.body).items() if key not in _PERSONAL}
    line = [epoch, row.seq, row.device, row.type, row.wall_ms if row.good else None, own]
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"


class Chain:
    """Used by the journal's thread only; `stored` is what it last asked to be remembered under `CHAIN`."""

    def __init__(self, journal: Journal, stored: str | None) -> None:
        self._journal = journal
        self._digest, self._epoch, self._seq = _load(stored)

    def seal(self, waiting: Sequence[Row]) -> tuple[Seal, str]:
        """Seal what is new in the journal and in `waiting`, which is about to be; return what to remember, too.

        A new epoch begins behind what the old one had sealed: what a repair brings back of that stays unsealed.
        """
        journal = self._journal
        first = self._seq + 1 if self._epoch == journal.epoch else 1
        begin, end = pack(journal.epoch, first), pack(journal.epoch + 1, 0)
        query = "SELECT * FROM usage WHERE id >= ? AND id < ? ORDER BY id"
        rows = [row_of("usage", columns) for columns in journal.db.execute(query, (begin, end))]
        rows += (row for row in waiting if row.stream == "usage")
        last = rows[-1].seq if rows else first - 1
        made = seal(journal.epoch_name, first, last, self._digest, rows)
        self._digest, self._epoch, self._seq = made.digest, journal.epoch, last
        return made, json.dumps([self._digest, self._epoch, self._seq])


def _load(stored: str | None) -> tuple[str, int, int]:
    """Begin anew where a damaged journal has left nothing that makes sense."""
    try:
        digest, epoch, seq = json.loads(stored or "")
        return str(digest), int(epoch), int(seq)
    except (ValueError, TypeError):
        return "", 0, 0
