"""The rules of a configured station, in the order in which they are asked."""

from collections.abc import Mapping

from edge_agent.config.maintenance import Consumable, split
from edge_agent.config.model import Config
from edge_agent.rules.opening import Opening
from edge_agent.rules.rounds import Plan, Rounds
from edge_agent.rules.rule import Rule
from edge_agent.rules.staff import StaffPresence
from edge_agent.rules.supplies import Supplies, Supply
from edge_agent.rules.swipes import Swipes


def make_rules(config: Config, state: Mapping[str, str], ledger: Mapping[tuple[str, str], int]) -> list[Rule]:
    """Return them as they were when `state` and `ledger` were stored.

    Who swallows or renames comes first, who judges what is left comes behind: an alarm is raised by what was counted,
    never by a double swipe.
    """
    zone = config.station.zone
    return [
        Swipes(config.cards.double_swipe, ledger),
        StaffPresence(state),
        *(Supplies(_supply(one), state) for one in config.consumable),
        *(Rounds(Plan(one.name, one.every, one.times, one.early, one.grace, zone), state) for one in config.round),
        Opening(config.public.doors, state),
    ]


def _supply(consumable: Consumable) -> Supply:
    level = None if consumable.level is None else split(consumable.level)
    return Supply(consumable.name, level, consumable.visits, consumable.lasts, consumable.low)
