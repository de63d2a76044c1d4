"""The list of devices: which can be believed, when each was last heard, and everything it says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edge_agent.config.device import Device
from edge_agent.page.look import Look
from edge_agent.page.words import Bilingual
from edge_agent.picture import Point
from edge_agent.records import Quality, Value

State = Literal["ok", "stale", "bad", "absent", "waiting", "listening"]


@dataclass(frozen=True, slots=True)
class PointRow:
    """One value with its quality."""

    name: str
    value: Value | None
    quality: Quality
    why: str


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device: `at` is the monotonic time of its last good answer; `part` hides it behind its cabinet."""

    name: str
    label: Bilingual
    state: State
    at: float | None
    why: str
    polls: int
    good: int
    failed: int
    part: bool
    points: tuple[PointRow, ...]


def device_rows(look: Look) -> tuple[DeviceRow, ...]:
    """Return every device in the order of the station file."""
    return tuple(_row(look, device) for device in look.config.device)


def _row(look: Look, device: Device) -> DeviceRow:
    points = look.points(device.name)
    polls = look.statistics.get(device.name)
    # Values count from when they were accepted; a device without values, or with bad ones only, from its last answer.
    good = [point.mono for point in points.values() if point.reading.quality is Quality.GOOD]
    at = max(good, default=polls.last_good if polls is not None else None)
    state, why = _state(look, device, at)
    return DeviceRow(
        device.name,
        look.label(device.name),
        state,
        at,
        why,
        polls.polls if polls is not None else 0,
        polls.good if polls is not None else 0,
        polls.failed if polls is not None else 0,
        part=device.name in look.parts and device.name not in look.listeners,
        points=tuple(
            PointRow(name, point.reading.value, point.reading.quality, point.reading.why)
            for name, point in points.items()
        ),
    )


def _state(look: Look, device: Device, at: float | None) -> tuple[State, str]:
    """Return the state and why, the gravest that applies."""
    points = look.points(device.name)
    for key in ((device.link, "link_lost"), (device.name, "device_silent")):
        if key in look.view.alarms:
            return "bad", str(look.view.alarms[key].state.detail.get("why", ""))
    present = points.get("present")
    if device.may_be_absent and present is not None and present.reading.value is False:
        return ("stale" if look.outdated(device.name, present.mono) else "absent"), ""
    if bad := _doubt(points.values(), Quality.BAD):
        return "bad", bad.reading.why
    if at is None and device.name in look.listeners:
        return "listening", ""
    if at is None or not (points or device.name in look.listeners):
        return "waiting", ""
    if stale := _doubt(points.values(), Quality.STALE):
        return "stale", stale.reading.why
    return ("stale" if look.outdated(device.name, at) else "ok"), ""


def _doubt(points: Iterable[Point], quality: Quality) -> Point | None:
    return next((point for point in points if point.reading.quality is quality), None)
