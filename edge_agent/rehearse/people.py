"""People at the station: from an act of the script to single stimuli, each with the delay after which it comes."""

import random
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from edge_agent.config.device import Device
from edge_agent.config.model import Config
from edge_agent.config.types import Table
from edge_agent.errors import AgentError
from edge_agent.rehearse.acts import Bring, Contact, Overheat, Swap, Swipe, Take, Walk
from edge_agent.rehearse.riders import Riders
from edge_agent.rehearse.stimuli import Sign, Stimulus
from edge_agent.rehearse.wires import Wires

READERS = ("card_uart", "card_polled", "wiegand", "uhppote")
"""Drivers at whose simulators a card can be held."""
_REMEMBERS = ("uhppote",)
"""They keep what nobody has read yet."""
_FIRST_CARD, _NEXT_CARD, _CARDS = 100_003, 7919, 1 << 24
_LEAVES_S = 1.0

Steps: TypeAlias = Iterator[tuple[float, Stimulus]]
"""Seconds after the act began, and what is done then."""


class People:
    """Everybody who comes to the station; seeded."""

    def __init__(self, config: Config, wires: Wires, seed: int, stock: dict[str, int]) -> None:
        self._wires = wires
        self._devices = {device.name: device for device in config.device}
        self._rng = random.Random(f"{seed}/people")  # noqa: S311  (a simulation, no secret)
        self._on: set[str] = set()
        """Contacts that are not at rest."""
        self._latched = frozenset(config.alarms.latch)
        self._cards: dict[str, int] = {}
        self._last_card = "new-0"
        self.riders = Riders(config, wires, self._rng, stock)

    def steps(self, act: Table) -> list[tuple[float, Stimulus]]:
        """Return what `act` is made of; raises AgentError if it is not possible now."""
        match act:
            case Swipe():
                return list(self._swipe(act))
            case Contact():
                return list(self._contact(act))
            case Walk():
                return list(self._walk(act))
            case Bring() | Take() | Swap() | Overheat():
                return list(self.riders.steps(act))
        raise AssertionError(act)

    def _swipe(self, act: Swipe) -> Steps:
        reader = act.reader or next(self._wires.of(*READERS))
        card = self._card(act.card)
        remembered = self._devices[reader].driver in _REMEMBERS
        denied = act.means == "denied"
        if denied and not remembered:
            raise AgentError(f"{reader} only reads cards: it denies nobody")

        def do() -> None:
            self._wires.move(reader, lambda simulator: _hold(simulator, card, denied=denied))

        yield (
            0.0,
            Stimulus(
                do,
                sign=None if act.means == "nothing" or remembered else Sign("usage", reader, act.means),
                counts={"visit": ("visits",), "denied": ("denied",), "nothing": ()}[act.means],
                lasting=False,
                optional=act.means == "nothing",
                needs=reader,
                who=self._last_card,
                remembered=remembered,
            ),
        )
        if hasattr(self._wires.simulator(reader), "hold"):
            yield _LEAVES_S, Stimulus(lambda: self._wires.move(reader, lambda simulator: simulator.remove()))

    def _card(self, name: str) -> int:
        if name == "same":
            name = self._last_card
        elif name == "new":
            name = f"new-{len(self._cards)}"
        elif name.startswith("one of "):
            name = f"regular-{self._rng.randrange(int(name.removeprefix('one of ')))}"
        self._last_card = name
        number = self._cards.setdefault(name, len(self._cards))
        return (_FIRST_CARD + number * _NEXT_CARD) % _CARDS

    def _contact(self, act: Contact) -> Steps:
        yield 0.0, self._moved(act.input, on=act.on)
        if act.held is not None:
            yield act.held, self._moved(act.input, on=not act.on)

    def _moved(self, point: str, *, on: bool) -> Stimulus:
        device, _, name = point.partition(".")
        role = next(one.role for one in contacts_of(self._devices[device]) if one.point == name)

        def move(*, on: bool) -> bool:
            if (point in self._on) == on:
                return False
            (self._on.add if on else self._on.discard)(point)
            self._wires.move(device, lambda simulator: simulator.set(name, on))
            return True

        def undo() -> None:
            move(on=not on)

        stimulus = Stimulus(lambda: move(on=on), undo, needs=device)
        match role:
            case "door":
                stimulus.sign = Sign("usage", device, "door_opened" if on else "door_closed", (("door", name),))
                stimulus.counts = ("door_openings",) if on else ()
            case "exit_button" if on:
                stimulus.sign = Sign("usage", device, "exit_button", (("button", name),))
                stimulus.counts = ("exits",)
            case "sos" | "smoke" | "water_leak":
                alarm = f"{device}/{role}"
                if on:
                    stimulus.sign, stimulus.raises = Sign("alarm", device, role, (("state", "raised"),)), alarm
                elif role not in self._latched:
                    stimulus.clears = alarm
        return stimulus

    def _walk(self, act: Walk) -> Steps:
        counter = act.counter or next(self._wires.of("people_counter"))
        verb = {"in": "enter", "out": "leave", "back": "turn_back"}[act.way]
        yield 0.0, Stimulus(lambda: self._wires.move(counter, lambda simulator: getattr(simulator, verb)()))


def contacts_of(device: Device) -> Sequence[Any]:
    """Return the contacts of a device with driver `contacts`, as its options have them."""
    options: Any = device.options
    found: Sequence[Any] = options.inputs
    return found


def _hold(simulator: Any, card: int, *, denied: bool) -> None:
    if hasattr(simulator, "hold"):
        simulator.hold(card)
    elif denied:
        simulator.swipe(card, denied=6)
    else:
        simulator.swipe(card)
