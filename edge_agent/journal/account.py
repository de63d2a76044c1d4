"""The ledger as a journal on disk holds it: business days with their totals, and whether their seals still hold."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from edge_agent.journal.chain import Seal, seal
from edge_agent.journal.reader import Reader
from edge_agent.journal.row import Row
from edge_agent.ledger import LIFE, Calendar, Ledger

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Day:
    """One business day: name -> count, name -> 24 counts by local hour."""

    day: date
    totals: Mapping[str, int]
    hours: Mapping[str, Sequence[int]]
    closed: bool
    revised: bool = False
    """Something was counted into it after it had been closed, and its record written anew."""


@dataclass(frozen=True, slots=True)
class Account:
    """Everything counted; `undated` is what no good clock has dated."""

    lifetime: Mapping[str, int]
    undated: Mapping[str, int]
    days: Mapping[date, Day]

    def month(self, month: str) -> list[Day]:
        """Return the days of a month (`2026-11`) that anything is known of, in order."""
        return [day for when, day in sorted(self.days.items()) if str(when).startswith(month)]


def read(reader: Reader, calendar: Calendar) -> Account:
    """Return the account: a closed day as its newest record says, an open one as the ledger's hours say."""
    counts = reader.ledger()
    ledger = Ledger(calendar, counts)
    days = {}
    for when in {date.fromisoformat(bucket[:10]) for bucket, _ in counts if bucket[:1].isdigit()}:
        days[when] = Day(when, ledger.day(when), ledger.hours(when), closed=False)
    for row in reader.of_type("usage", "day_closed"):
        body = json.loads(row.body)
        when = date.fromisoformat(body["day"])
        days[when] = Day(when, body["totals"], body["hours"], closed=True, revised=bool(body.get("revised")))
    lifetime = {name: count for (bucket, name), count in counts.items() if bucket == LIFE}
    return Account(lifetime, ledger.undated(), days)


class Finding(StrEnum):
    """What has become of a seal."""

    HOLDS = "holds"
    GONE = "gone"
    """Some of its events are no longer stored; those left cannot prove it. The centre has it."""
    BROKEN = "broken"
    """Its events are not those that were sealed."""
    UNCHAINED = "unchained"
    """It does not continue the seal before it."""
    ANEW = "anew"
    """The chain begins anew with it, as after the repair of a damaged journal; what it covers holds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The seal of one `day_closed`, and what it is worth."""

    day: str
    seal: Seal
    finding: Finding


@dataclass(slots=True)
class Verdict:
    """What the chain proves: the seals, and the usage records behind the last or between epochs that none covers."""

    seals: list[Checked] = field(default_factory=list)
    unsealed: int = 0

    @property
    def good(self) -> bool:
        """True if nothing speaks against any figure."""
        return not {one.finding for one in self.seals} & {Finding.BROKEN, Finding.UNCHAINED}


def verify(reader: Reader) -> Verdict:
    """Recompute every seal from the rows that are stored."""
    numbers = {name: number for number, name in reader.epochs().items()}
    verdict = Verdict()
    before: Seal | None = None
    sealed = 0
    for row in reader.of_type("usage", "day_closed"):
        body = json.loads(row.body)
        if "seal" not in body:
            continue
        found = Seal(**body["seal"])
        rows = list(_rows(reader, numbers[found.epoch], found.from_seq, found.to_seq)) if found.epoch in numbers else []
        sealed += len(rows)
        verdict.seals.append(Checked(body["day"], found, _judge(found, before, rows)))
        before = found
    verdict.unsealed = reader.count_after("usage", (0, 0)) - sealed
    return verdict


def _judge(found: Seal, before: Seal | None, rows: Sequence[Row]) -> Finding:
    # The first one stored may continue one whose record has gone.
    if before is not None and found.previous not in {before.digest, ""}:
        return Finding.UNCHAINED
    again = seal(found.epoch, found.from_seq, found.to_seq, found.previous, rows)
    if again == found:
        return Finding.ANEW if before is not None and found.previous == "" else Finding.HOLDS
    # Only whole ends go, the oldest first: what is missing in the middle was taken out.
    oldest_left = rows[0].seq if rows else found.to_seq + 1
    return Finding.GONE if again.count < found.count and oldest_left > found.from_seq else Finding.BROKEN


def _rows(reader: Reader, epoch: int, first: int, last: int) -> Iterator[Row]:
    at = (epoch, first - 1)
    while rows := reader.rows("usage", at, _PAGE):
        for row in rows:
            if (row.epoch, row.seq) > (epoch, last):
                return
            yield row
        at = (rows[-1].epoch, rows[-1].seq)
