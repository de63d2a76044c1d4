"""What a script says of a station that the station does not have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from edge_agent.config.messages import suggest
from edge_agent.config.model import Config
from edge_agent.config.positions import Path
from edge_agent.config.types import Table
from edge_agent.rehearse.acts import VERBS, Aircon, Bring, Contact, Doing, Fault, Overheat, Set, Swap, Swipe, Take, Walk
from edge_agent.rehearse.people import READERS, contacts_of
from edge_agent.rehearse.plan import plan
from edge_agent.rehearse.script import At, Every, Script

Found: TypeAlias = Iterator[tuple[Path, str]]
"""Path of the key and what is wrong with it."""


def check(script: Script, config: Config) -> Found:
    """Yield every mistake; those of one table stand at its verb."""
    tables: tuple[tuple[str, Sequence[At | Every]], ...] = (("at", script.at), ("every", script.every))
    for table, entries in tables:
        for index, entry in enumerate(entries):
            yield from _doing(entry, (table, index), script, config)
            for number, then in enumerate(entry.then):
                yield from _doing(then, (table, index, "then", number), script, config)
    usable = {cabinet.name for cabinet in config.cabinet if cabinet.batteries is not None}
    for name in script.stock:
        if name not in usable:
            yield ("stock", name), f"cabinet {name!r} does not exist{suggest(name, usable)}"
    if script.room is not None:
        yield from _room(script, config)
    if not plan(script, config.station.zone):
        yield ("lasts",), "nothing happens in this time – see that the moments lie between start and end"


def _doing(doing: Doing, path: Path, script: Script, config: Config) -> Found:
    verb = next(name for name in VERBS if getattr(doing, name) is not None)
    for key, text in _act(doing.act, script, config):
        yield (*path, verb, key), text


def _act(act: Table, script: Script, config: Config) -> Iterator[tuple[str, str]]:
    drivers = {device.name: device.driver for device in config.device}
    match act:
        case Swipe():
            yield from _named("reader", act.reader, {name for name, driver in drivers.items() if driver in READERS})
        case Walk():
            counters = {name for name, driver in drivers.items() if driver == "people_counter"}
            yield from _named("counter", act.counter, counters)
        case Bring() | Take() | Swap() | Overheat():
            cabinets = {one.name: one.slots for one in config.cabinet if one.batteries is not None}
            yield from _named("cabinet", act.cabinet, set(cabinets))
            slot = getattr(act, "slot", None)
            slots = cabinets.get(act.cabinet or next(iter(cabinets), ""), 0)
            if slot is not None and slots and slot > slots:
                yield "slot", f"there is no slot {slot} – the cabinet has {slots}"
        case Contact():
            device, _, name = act.input.partition(".")
            known = {f"{one.name}.{point}" for one in config.device for point in _contacts(one.name, drivers, config)}
            if f"{device}.{name}" not in known:
                yield "input", f"contact {act.input!r} does not exist{suggest(act.input, known)}"
        case Set():
            yield from _named("point", act.point.partition(".")[0], set(drivers))
        case Fault():
            yield from _named("device", act.device or next(iter(drivers)), set(drivers))
            links = {link.name for link in config.link}
            yield from _named("link", act.link or next(iter(links)), links)
        case Aircon():
            if script.room is None or script.room.aircon is None:
                yield "works", "there is no air conditioner – add [room] aircon"
        case _:
            pass


def _named(key: str, name: str | None, known: set[str]) -> Iterator[tuple[str, str]]:
    if not known:
        yield key, f"the station has no {key}"
    elif name is not None and name not in known:
        yield key, f"{key} = {name!r} does not exist{suggest(name, known)}"


def _contacts(device: str, drivers: Mapping[str, str], config: Config) -> list[str]:
    if drivers[device] != "contacts":
        return []
    found = next(one for one in config.device if one.name == device)
    return [contact.point for contact in contacts_of(found)]


def _room(script: Script, config: Config) -> Found:
    room = script.room
    if room is None:
        return
    devices = {device.name for device in config.device}
    for key, points in (("inside_points", room.inside_points), ("outside_points", room.outside_points)):
        for point in points:
            for _, text in _named("device", point.partition(".")[0], devices):
                yield ("room", key), text
    if room.aircon is not None and (room.aircon.on or room.aircon.off):
        for _, text in _named("device", room.aircon.device or "", devices):
            yield ("room", "aircon"), text
