"""The built-in conditions: one wherever a device has, or may have, the points that it needs."""

import re
from collections.abc import Iterator

from edge_agent.config.alarms import Alarms
from edge_agent.config.condition import Point, parse
from edge_agent.config.device import Device
from edge_agent.config.model import Config
from edge_agent.rules.following import Following
from edge_agent.rules.judges import Fallen, Limit, Same, When, Window
from edge_agent.rules.watch import Spec

_DOOR = re.compile(r"(.+_)?door(_.+)?")
_VOLTAGES = ("voltage_v", "voltage_l1_v", "voltage_l2_v", "voltage_l3_v")
_CABINET_TEMPERATURES = ("temp_c", "slot_temp_c")
_OBSERVED = {"state": '"stopped"', "power": '"off"', "running": "false"}
"""How an air conditioner that stands still shows it: point -> value; the first that it has tells."""


def built_in(config: Config) -> Iterator[Spec]:
    """Yield those of a station that are not switched off. A point that a device never has is never judged."""
    for spec in _all(config):
        if spec.code not in config.alarms.off:
            yield spec


def _all(config: Config) -> Iterator[Spec]:
    wiring = [slot for cabinet in config.cabinet for slot in cabinet.wiring]
    parts = {slot.battery for slot in wiring} | {name for c in config.cabinet for name in (c.controller,) if name}
    wired = {point for slot in wiring for point in (slot.lock, slot.presence) if point is not None}
    for cabinet in config.cabinet:
        for name in cabinet.pictures:
            yield from _cabinet(name, config.alarms)
    devices = [device for device in config.device if device.name not in parts and not device.may_be_absent]
    rooms = _rooms(devices, config.alarms)
    for device in devices:
        yield from _sensor(device, config.alarms)
        yield from _doors(device, wired, config.alarms)
        yield from _mains(device, config.alarms)
        if _is_aircon(device):
            yield from _aircon(device, rooms, config.alarms)


def _cabinet(name: str, alarms: Alarms) -> Iterator[Spec]:
    how = alarms.cabinet_over_temp
    for point in _CABINET_TEMPERATURES:
        judge = Limit((name, point), how.above, how.hysteresis)
        yield Spec(point, name, "cabinet_over_temp", judge, how.after, how.after)
    yield Spec("smoke", name, "cabinet_smoke", When(parse(f"{name}.smoke")))
    lost = When(parse(f"{name}.mains_ok == false"))
    yield Spec("mains_ok", name, "mains_lost", lost, alarms.mains_lost.after)


def _sensor(device: Device, alarms: Alarms) -> Iterator[Spec]:
    points = frozenset((device.name, point) for point in alarms.sensor_frozen.points if _has(device, point))
    if points:
        yield Spec("values", device.name, "sensor_frozen", Same(points), alarms.sensor_frozen.after)


def _doors(device: Device, wired: set[Point], alarms: Alarms) -> Iterator[Spec]:
    known = device.options.known_points
    doors = {"door"} if known is None else {point for point in known if _DOOR.fullmatch(point)}
    for point in sorted(doors):
        if (device.name, point) not in wired:
            judge = When(parse(f'{device.name}.{point} == "open"'))
            yield Spec(point, device.name, "door_held", judge, alarms.door_held.after)


def _mains(device: Device, alarms: Alarms) -> Iterator[Spec]:
    how = alarms.mains_lost
    for point in _VOLTAGES:
        if _has(device, point):
            judge = Fallen(Limit((device.name, point), how.below, how.below * 0.05, sign=-1))
            yield Spec(point, device.name, "mains_lost", judge, how.after, how.after)


def _aircon(device: Device, rooms: tuple[Point, ...], alarms: Alarms) -> Iterator[Spec]:
    name = device.name
    observed = next((point for point in _OBSERVED if _has(device, point)), None)
    if observed is not None:
        ordered = " or ".join(f'{name}.commanded == "{mode}"' for mode in ("cooling", "heating", "on"))
        judge = When(parse(f"({ordered}) and {name}.{observed} == {_OBSERVED[observed]}"))
        after = alarms.ac_commanded_not_running.after
        yield Spec("commanded", name, "ac_commanded_not_running", judge, after)
    if rooms and _has(device, "state"):
        how = alarms.room_not_following
        yield Spec("room", name, "room_not_following", Following(name, rooms, how, Window(how.after)))


def _rooms(devices: list[Device], alarms: Alarms) -> tuple[Point, ...]:
    """Return what may be the temperature of the room: as configured, else whatever measures one."""
    if alarms.room_not_following.room:
        device, _, point = alarms.room_not_following.room.partition(".")
        return ((device, point),)
    named = [device for device in devices if not _is_aircon(device) and _has(device, "temperature_c")]
    return tuple((device.name, "temperature_c") for device in named)


def _is_aircon(device: Device) -> bool:
    known = device.options.known_points
    return known is not None and "commanded" in known and bool(known & _OBSERVED.keys())


def _has(device: Device, point: str) -> bool:
    """Return whether a device has a point, or may have: not every driver knows before the device has spoken."""
    known = device.options.known_points
    return known is None or point in known or (point == "running" and device.use is not None)
