"""The rules of a configured station, in the order in which they are asked."""

from collections.abc import Mapping

from edge_agent.config.model import Config
from edge_agent.rules.rule import Rule
from edge_agent.rules.swipes import Swipes


def make_rules(config: Config, state: Mapping[str, str], ledger: Mapping[tuple[str, str], int]) -> list[Rule]:
    """Return them as they were when `state` and `ledger` were stored.

    Who swallows or renames comes first, who judges what is left comes behind: an alarm is raised by what was counted,
    never by a double swipe.
    """
    _ = state
    return [Swipes(config.cards.double_swipe, ledger)]
