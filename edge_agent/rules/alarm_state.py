"""What is told and what is kept of an alarm's state."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from edge_agent.records import AlarmState, Json, Severity, Shelf, Stamp

ALARM = "alarm/"
"""Prefix of the state keys of alarms: `alarm/<device>/<code>`."""


def told(state: AlarmState) -> dict[str, Json]:
    """Return the body of the record that tells a state; every moment in it is stored as a stamp."""
    name = ("acknowledged" if state.by else "raised") if state.active else "cleared"
    body: dict[str, Json] = {
        "state": name,
        "severity": str(state.severity),
        "since": state.since.stored(),
        "text": {"zh": state.zh, "en": state.en},
        "count": state.count,
    }
    if state.by:
        body["by"] = state.by
    if state.stands and state.detail:
        body["detail"] = dict(state.detail)
    if state.latched:
        body["latched"] = True
    if state.unsteady is not None:
        body["flapping"] = True
    if state.shelf is not None:
        body["shelved"] = {"by": state.shelf.by, "until": state.shelf.until.stored()}
    return body


def stored(state: AlarmState) -> dict[str, Json]:
    """Return what `load` makes an equal state of."""
    shelf = state.shelf
    return {
        "severity": str(state.severity),
        "text": [state.zh, state.en],
        "since": state.since.stored(),
        "stands": state.stands,
        "active": state.active,
        "count": state.count,
        "by": state.by,
        "detail": dict(state.detail),
        "shelf": None if shelf is None else [shelf.by, shelf.at.stored(), shelf.seconds],
        "raises": [at.stored() for at in state.raises],
        "unsteady": None if state.unsteady is None else state.unsteady.stored(),
    }


def load(state: Mapping[str, str]) -> dict[tuple[str, str], AlarmState]:
    """Return every alarm of which the journal's `state` knows; what makes no sense is forgotten: it is raised anew."""
    found: dict[tuple[str, str], AlarmState] = {}
    for key, text in state.items():
        if key.startswith(ALARM):
            with suppress(ValueError, TypeError, KeyError):
                device, code = key.removeprefix(ALARM).split("/")
                found[device, code] = _loaded(code, json.loads(text))
    return found


def _loaded(code: str, known: dict[str, Any]) -> AlarmState:
    shelf = known["shelf"]
    zh, en = known["text"]
    return AlarmState(
        code,
        Severity(known["severity"]),
        str(zh),
        str(en),
        Stamp.load(known["since"]),
        bool(known["stands"]),
        bool(known["active"]),
        int(known["count"]),
        str(known["by"]),
        dict(known["detail"]),
        None if shelf is None else Shelf(str(shelf[0]), Stamp.load(shelf[1]), float(shelf[2])),
        tuple(Stamp.load(at) for at in known["raises"]),
        None if known["unsteady"] is None else Stamp.load(known["unsteady"]),
    )
