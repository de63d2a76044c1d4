"""What a granted swipe is: a visit, a member of the staff coming, somebody leaving, or nothing that counts."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.records import CardRef, Event, Json, Record
from edge_agent.rules.rule import Moment, Rule, Said


@dataclass(frozen=True, slots=True)
class Readers:
    """Which readers are on which side, each as DEVICE or DEVICE.READER; with no `entry`, all but `exit` are."""

    entry: frozenset[str] = frozenset()
    exit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cards:
    """Whose swipes are no visits, and whose belong to a group: name -> its cards."""

    staff: Collection[CardRef] = frozenset()
    groups: Mapping[str, Collection[CardRef]] = field(default_factory=dict)


class Visits(Rule):
    """Names every granted swipe by what it is; with `by_cards` false something else counts the visits."""

    def __init__(self, readers: Readers, cards: Cards, *, by_cards: bool = True) -> None:
        self._readers = readers
        self._cards = cards
        self._by_cards = by_cards

    def take(self, device: str, record: Record, moment: Moment) -> Iterator[Said]:
        """Rename a swipe; let everything else through."""
        del moment
        if isinstance(record, Event) and record.type in {"visit", "exit_swipe"} and "by" not in record.data:
            record = self._named(device, record)
        yield device, record

    def _named(self, device: str, swipe: Event) -> Event:
        staff = swipe.card is not None and swipe.card in self._cards.staff
        if swipe.type == "exit_swipe" or at(device, swipe.data.get("reader"), self._readers.exit):
            # Whoever was not counted in must not be counted out.
            return replace(swipe, type="exit_swipe", data={**swipe.data, **({"staff": True} if staff else {})})
        if self._readers.entry and not at(device, swipe.data.get("reader"), self._readers.entry):
            return replace(swipe, type="swipe")
        if staff:
            return replace(swipe, type="staff_entry")
        group = next((name for name, cards in self._cards.groups.items() if swipe.card in cards), None)
        data = swipe.data if group is None else {**swipe.data, "group": group}
        return replace(swipe, type="visit" if self._by_cards else "swipe", data=data)


def at(device: str, name: Json, places: Collection[str]) -> bool:
    """Return whether a reader or door is one of `places`."""
    return device in places or f"{device}.{name}" in places
