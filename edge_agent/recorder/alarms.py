"""Where the newest record of each alarm stands: kept with its state, in the transaction of that record."""

import json
from collections.abc import Mapping
from typing import Protocol

from edge_agent.picture import ActiveAlarm
from edge_agent.records import Json
from edge_agent.rules import alarm_state
from edge_agent.rules.alarm_state import ALARM

_WHERE = "at"


class OnAlarm(Protocol):
    """Told of each alarm that rules raise or clear, before that is durable; must return at once."""

    def __call__(self, device: str, code: str, *, stands: bool) -> None:
        """Take it."""


def nobody(device: str, code: str, *, stands: bool) -> None:
    """Tell nobody."""
    del device, code, stands


def stored(alarm: ActiveAlarm) -> dict[str, Json]:
    """Return what `known_alarms` makes an equal alarm of."""
    return {_WHERE: [alarm.epoch, alarm.seq], **alarm_state.stored(alarm.state)}


def known_alarms(state: Mapping[str, str]) -> dict[tuple[str, str], ActiveAlarm]:
    """Return every alarm that the journal's `state` knows, up or over, by (device, code)."""
    found = {}
    for (device, code), one in alarm_state.load(state).items():
        epoch, seq = json.loads(state[f"{ALARM}{device}/{code}"])[_WHERE]
        found[device, code] = ActiveAlarm(device, one, int(epoch), int(seq))
    return found
