"""What a door controller tells, in terms of the station: its status, its stored events, and what they count as.

Sources: field meanings and reason numbers as in uhppoted/uhppote-core `messages/get_event.go`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from drivers.uhppote.codec import NO_RECORD, OVERWRITTEN, decode

SWIPE = 1
"""Event type; 2 = door, button, restart, remote opening; 3 = warning."""
OUT = 2
"""Direction: the reader inside; 1 = the one outside."""

_DENIED: Mapping[int, str] = MappingProxyType(
    {
        5: "pc_control",
        6: "no_permission",
        7: "wrong_password",
        8: "anti_passback",
        9: "more_cards_needed",
        10: "first_card_needed",
        11: "door_set_closed",
        12: "interlock",
        13: "too_often",
        15: "wrong_time",
        18: "denied",
    }
)
_KINDS: Mapping[int, str] = MappingProxyType(
    {
        20: "exit_button",
        23: "door_opened",
        24: "door_closed",
        25: "password_opened",
        28: "controller_started",
        29: "controller_reset",
        31: "button_refused",
        32: "button_refused",
        33: "button_refused",
        34: "threat",
        37: "door_held_open",
        38: "door_forced",
        39: "fire",
        40: "forced_close",
        41: "theft_alarm",
        42: "zone_alarm",
        43: "emergency",
        44: "remote_opened",
        45: "remote_opened",
    }
)


@dataclass(frozen=True, slots=True)
class Status:
    """The controller now: `newest` is the index of its newest event (0 = none), `time` its own clock."""

    newest: int
    newest_at: datetime | None
    time: datetime | None
    doors_open: tuple[bool, ...]
    system_error: int


@dataclass(frozen=True, slots=True)
class Stored:
    """One event of the controller's own store; `at` in its local time, None if it had no valid date."""

    index: int
    type: int
    granted: bool
    door: int
    direction: int
    at: datetime | None
    reason: int
    card: int = field(repr=False)

    @property
    def denial(self) -> str:
        """Why the swipe was refused, "" if it was not. Neither flag nor reason alone makes a visit of a refusal."""
        if self.reason in _DENIED:
            return _DENIED[self.reason]
        return "" if self.granted else f"reason_{self.reason}"

    @property
    def kind(self) -> str:
        """What happened, if it was no swipe."""
        return "denied" if self.reason in _DENIED else _KINDS.get(self.reason, "controller_event")


def status_of(frame: bytes) -> Status:
    """Read an answer to get-status, or an event pushed."""
    values: dict[str, Any] = decode(frame)
    date, time = values["system_date"], values["system_time"]
    return Status(
        newest=values["event_index"],
        newest_at=_moment(values["event_timestamp"]),
        time=_moment(f"{date}T{time}" if date and time else None),
        doors_open=tuple(values["doors_open"]),
        system_error=values["system_error"],
    )


def stored_of(frame: bytes) -> Stored | None:
    """Read an answer to get-event; None if the controller has that event no more, or never had it."""
    values: dict[str, Any] = decode(frame)
    if values["event_type"] in {NO_RECORD, OVERWRITTEN}:
        return None
    return Stored(
        index=values["event_index"],
        type=values["event_type"],
        granted=values["access_granted"],
        door=values["door"],
        direction=values["direction"],
        at=_moment(values["event_timestamp"]),
        reason=values["reason"],
        card=values["card"],
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
