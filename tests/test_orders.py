"""Orders: what becomes of a command when who asked does not wait for it."""

import pytest

from edge_agent.driver import Command
from edge_agent.errors import LinkTimeout
from edge_agent.orders import Acted, Order, Orders
from edge_agent.records import Quality, Reading

ON = Command("on")


class Hand:
    """A worker that does with an order what the test says, as soon as it is roused."""

    def __init__(self) -> None:
        self.orders = Orders(self.rouse)
        self.begun: list[Order] = []
        self.finishes = False

    def rouse(self) -> None:
        order = self.orders.take()
        assert order is not None
        self.begun.append(order)
        if self.finishes:
            order.future.set_result(Acted())


def test_what_was_begun_and_not_finished_in_time_may_have_happened() -> None:
    """If the deadline passes while the device is being told, nobody claims to know what became of it."""
    hand = Hand()
    with pytest.raises(LinkTimeout, match="it may or may not have happened"):
        hand.orders.give("lamp", ON, 0.01)
    assert len(hand.begun) == 1


def test_what_is_finished_is_told_however_short_the_deadline() -> None:
    """An outcome that is there is not thrown away."""
    hand = Hand()
    hand.finishes = True
    assert hand.orders.give("lamp", ON, 0.0) == Acted()


def test_what_could_not_be_read_has_no_value() -> None:
    """A bad reading is told as null, a list as a list, and what was ordered apart from both."""
    acted = Acted.of(
        [
            Reading("slot_03_commanded", "open"),
            Reading("lock_03", None, quality=Quality.BAD, why="no feedback"),
            Reading("cells_v", (3.3, 3.4)),
        ],
        "",
    )
    assert acted.answer() == {
        "commanded": {"slot_03_commanded": "open"},
        "observed": {"lock_03": None, "cells_v": [3.3, 3.4]},
    }
    assert Acted.of([], "no answer").answer() == {"unseen": "no answer"}
