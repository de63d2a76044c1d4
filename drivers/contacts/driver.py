"""Listens to contacts: levels that last become readings, events and alarms; pulses are counted."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from drivers.contacts.debounce import Debounced, Settled
from drivers.contacts.options import Contact, ContactsOptions
from drivers.contacts.simulator import ContactsSimulator
from edge_agent.driver import Alarm, Chunk, Event, LineRequest, Memory, Reading, Record, Site, Wire

_ALARMS = ("sos", "smoke", "cabinet_smoke", "water_leak", "mains_lost")
"""Roles that are alarms, under codes of the same names."""
_SHORTEST_SETTLE = 0.01


class Contacts:
    """Any number of contacts on GPIO lines.

    A level found at opening the lines is a reading, and maybe an alarm, but never an event: nobody saw it happen.
    """

    Options: ClassVar[type[ContactsOptions]] = ContactsOptions
    Simulator: ClassVar[type[ContactsSimulator]] = ContactsSimulator
    wire: ClassVar[Wire] = Wire.GPIO
    sensitive: ClassVar[bool] = False

    def __init__(self, options: ContactsOptions, site: Site) -> None:
        # Silence of the longest debounce settles every contact.
        self.settle = max(_SHORTEST_SETTLE, *(contact.debounce for contact in options.inputs))
        self._contacts = {contact.line: contact for contact in options.inputs}
        self._lines = {line: Debounced(contact.debounce, options.storm) for line, contact in self._contacts.items()}
        self._active: dict[str, bool] = {}
        self._stored = {point: _count(site.memory.get(f"{point}_pulses")) for point in self._pulse_points()}
        self._pulses: dict[str, int] = {}
        self._told_pulses: dict[str, int] = {}
        self._told_alarms: dict[str, bool] = {}

    def lines(self) -> tuple[LineRequest, ...]:
        """One line a contact, both edges."""
        return tuple(contact.request for contact in self._contacts.values())

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Take edges as they come."""
        for edge in sorted(chunk.edges, key=lambda edge: edge.at):
            if (line := self._lines.get(edge.line)) is not None:
                take = line.found if edge.initial else line.edge
                yield from self._changed(self._contacts[edge.line], take(high=edge.high, at=edge.at))
        yield from self.quiet(chunk.at)

    def quiet(self, now: float) -> Iterable[Record]:
        """Settle what has lasted long enough; one chattering contact keeps no other from it."""
        for number, line in self._lines.items():
            yield from self._changed(self._contacts[number], line.settle(now))
        yield from self._counts()
        yield from self._alarms()

    def _changed(self, contact: Contact, settled: Settled | None) -> Iterator[Record]:
        if settled is None:
            return
        point = contact.point
        active = contact.is_active(high=settled.high)
        self._active[point] = active
        if contact.role == "pulse":
            before = self._pulses.get(point, self._stored[point])
            self._pulses[point] = before + (active and not settled.first)
        elif contact.role == "door":
            yield Reading(point, "open" if active else "closed", prompt=True)
            if not settled.first:
                yield Event("door_opened" if active else "door_closed", {"door": point}, at=settled.at)
        else:
            yield Reading(point, active, prompt=contact.role != "input")
            if contact.role == "exit_button" and active and not settled.first:
                yield Event("exit_button", {"button": point}, at=settled.at)
            if contact.role in _ALARMS:
                # At once, not with the chunk's end: a whole press may lie within one chunk.
                yield from self._alarms()

    def _counts(self) -> Iterator[Record]:
        for point, count in self._pulses.items():
            if self._told_pulses.get(point) != count:
                self._told_pulses[point] = count
                yield Reading(f"{point}_pulses", count)
                yield Memory(f"{point}_pulses", str(count))

    def _pulse_points(self) -> list[str]:
        return [contact.point for contact in self._contacts.values() if contact.role == "pulse"]

    def _alarms(self) -> Iterator[Record]:
        """One alarm a role, however many contacts have it: it clears with the last of them."""
        for code in _ALARMS:
            points = [contact.point for contact in self._contacts.values() if contact.role == code]
            tripped = [point for point in points if self._active.get(point)]
            if tripped or (points and all(point in self._active for point in points)):
                yield from self._alarm(code, tripped)
        storming = [self._contacts[number].point for number, line in self._lines.items() if line.stormy]
        yield from self._alarm("input_storm", storming)

    def _alarm(self, code: str, points: list[str]) -> Iterator[Record]:
        """Say what has changed, and once after a start how it is: a crash may have left the alarm raised."""
        active = bool(points)
        if self._told_alarms.get(code) != active:
            self._told_alarms[code] = active
            yield Alarm(code, active, {"inputs": list(points)} if active else {})


def _count(text: str | None) -> int:
    """What was remembered; 0 if there is nothing, or nothing that makes sense."""
    return int(text) if text is not None and text.isdecimal() else 0
