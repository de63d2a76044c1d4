"""What can be told to do something: every verb of every driver that acts, for the agent itself and at the gate."""

from collections.abc import Mapping
from functools import partial
from typing import Protocol, cast

from pydantic import create_model

from edge_agent.commands import Command as Asked
from edge_agent.commands import CommandRefused, Gate
from edge_agent.driver import Actor, Arguments, Command
from edge_agent.errors import DeviceError, LinkError
from edge_agent.orders import Acted
from edge_agent.records import Json
from edge_agent.verbs import Verbs

WITHIN_S = 5.0
"""Longest wait for the wire and the device together, where nobody says otherwise."""


class Hand(Protocol):
    """The Worker, as orders reach it."""

    def act(self, device: str, command: Command, within: float) -> Acted:
        """Carry out a command; raises LinkError or DeviceError."""


class Actors:
    """Knows which Worker serves a device; may be used from any thread."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._hands: dict[str, Hand] = {}
        self._verbs: dict[str, Verbs] = {}

    def offer(self, device: str, driver: object, hand: Hand) -> None:
        """Take orders for `device` from now on, if its driver can act; again whenever its Worker was replaced."""
        if not isinstance(driver, Actor):
            return
        self._hands[device] = hand
        self._verbs[device] = driver.verbs()
        for verb, model in self._verbs[device].items():
            asked = partial(self._asked, device, verb, tuple(model.model_fields))
            self._gate.register(f"{device}/{verb}", _schema(model), asked)

    def verbs(self, device: str) -> Verbs:
        """Return what `device` can be told."""
        return self._verbs.get(device, {})

    def act(self, device: str, command: Command, within: float = WITHIN_S) -> Acted:
        """Have `device` do it and return what was observed; raises CommandRefused with the reason.

        It waits at most `within` real seconds, also for a Worker that is stuck.
        """
        hand = self._hands.get(device)
        if hand is None:
            raise CommandRefused(f"{device} can be told nothing")
        try:
            return hand.act(device, command, within)
        except LinkError as error:
            raise CommandRefused(error.what) from error
        except DeviceError as error:
            # Without the bytes: a reason stays in the audit, and nothing personal may.
            parts = (error.op, error.what, error.hint)
            raise CommandRefused("; ".join(part for part in parts if part)) from error

    def _asked(self, device: str, verb: str, names: tuple[str, ...], asked: Asked) -> Mapping[str, Json]:
        args = {name: getattr(asked, name) for name in names}
        return self.act(device, Command(verb, args)).answer()


def _schema(model: type[Arguments]) -> type[Asked]:
    """Return the schema of a verb at the gate: what every command carries, and its arguments at the same level."""
    bases = (Asked, cast("type[Asked]", model))
    return create_model("Command", __base__=bases)
