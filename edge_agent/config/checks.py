"""What no table of the station file can know alone: references, clashes of names, wires and addresses.

The checks run on every element that is right by itself, so that one typing mistake does not hide the next one.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from edge_agent.config.ability_checks import abilities_known
from edge_agent.config.alarm_checks import alarms_whole, reflexes_fit
from edge_agent.config.cabinet import Cabinet
from edge_agent.config.device import Device
from edge_agent.config.draft import Draft, Found
from edge_agent.config.links import GpiodLink, Link, ModbusTcpLink, SerialLink, TcpLink, UdpLink
from edge_agent.config.maintenance import split
from edge_agent.config.messages import problem_at, suggest
from edge_agent.config.tree import Tree, spot_of
from edge_agent.driver import Actor, DriverClass, Site, Wire
from edge_agent.errors import Problem


def errors(draft: Draft) -> Iterator[Problem]:
    """Yield what makes the file unusable."""
    for check in _CHECKS:
        for path, text in check(draft):
            yield problem_at(path, text, draft.tree)


def _places_known(draft: Draft) -> Found:
    """The readers and doors of `[visits]` are those of devices."""
    visits = draft.tree.get("visits")
    names = {name for _, name in draft.names("device")}
    for key in ("entry", "exit", "doors"):
        places = visits.get(key) if isinstance(visits, Tree) else None
        for place in places if isinstance(places, list) else ():
            device = str(place).partition(".")[0]
            if device not in names:
                yield ("visits", key), f"{key}: there is no device {device!r}{suggest(device, names)}"


def _names_twice(draft: Draft) -> Found:
    for table in ("link", "device", "cabinet", "consumable", "round", "alarm", "reflex", "ability"):
        seen: dict[str, int] = {}
        for index, name in draft.names(table):
            if name in seen:
                first = spot_of(draft.tree, (table, seen[name]))
                yield (table, index, "name"), f"name is taken already by the {table} at {first} – take another one"
            seen.setdefault(name, index)
    devices = {name: index for index, name in reversed(draft.names("device"))}
    for table in ("consumable", "round"):
        for index, name in draft.names(table):
            if name in devices:
                yield (table, index, "name"), "name is also that of a device – take another one"
    for index, cabinet in draft.cabinets.items():
        for name in cabinet.pictures:
            if name in devices:
                text = f"name is also that of cabinet {cabinet.name!r} or one of its slots – rename the device"
                yield ("device", devices[name], "name"), text
        for other, known in draft.cabinets.items():
            if other < index and (shared := set(cabinet.pictures) & set(known.pictures)) and cabinet.name != known.name:
                yield ("cabinet", index, "name"), f"{min(shared)!r} is also a slot of {known.name!r} – rename one"


def _links_known(draft: Draft) -> Found:
    names = {name for _, name in draft.names("link")}
    for index, _ in draft.names("device"):
        link = draft.tree["device"][index].get("link")
        if isinstance(link, str) and link not in names:
            yield ("device", index, "link"), f"there is no link {link!r}{suggest(link, names)}"


def _on_links(draft: Draft) -> Iterator[tuple[int, Device, Link, DriverClass]]:
    """Yield each device that has a link, with both and its driver."""
    links = {link.name: link for link in reversed(list(draft.links.values()))}
    for index, device in draft.devices.items():
        if device.link in links:
            yield index, device, links[device.link], draft.drivers[device.driver]


def _wires_fit(draft: Draft) -> Found:
    for index, device, link, driver in _on_links(draft):
        if link.kind not in (kinds := link_kinds(driver.wire, modbus=device.options.modbus)):
            wanted = " or ".join(repr(kind) for kind in kinds)
            text = f"driver {device.driver!r} needs a link of kind {wanted}, {link.name!r} is {link.kind!r}"
            yield ("device", index, "link"), f"{text} – connect it to another link"
        for key in ("baud", "parity", "stop_bits"):
            if getattr(device, key) is not None and not isinstance(link, SerialLink):
                yield ("device", index, key), f"{key} can be changed on a link of kind 'serial' only – take it out"


def link_kinds(wire: Wire, *, modbus: bool) -> tuple[str, ...]:
    """Return the kinds of link that can carry what is said over a wire, in Modbus frames or others."""
    if wire is Wire.GPIO:
        # Contacts do not need the kernel's timestamps, but gpiod serves where gpiozero finds no pin library.
        return ("gpio", "gpiod")
    if wire is not Wire.SERIAL:
        return (wire.value,)
    return ("serial", "tcp", "modbus-tcp") if modbus else ("serial", "tcp")


def _ports_free(draft: Draft) -> Found:
    seen: dict[str, str] = {}
    for index, link in draft.links.items():
        if isinstance(link, SerialLink):
            port = os.path.realpath(link.port)
            if port in seen:
                text = f"port is that of link {seen[port]!r} too – one link serves all devices on a pair of wires"
                yield ("link", index, "port"), text
            seen.setdefault(port, link.name)
        elif isinstance(link, UdpLink | TcpLink | ModbusTcpLink):
            where = f"{link.host} port {link.port}"
            if where in seen:
                text = f"{where} is that of link {seen[where]!r} too – everything there would be counted twice"
                yield ("link", index, "host"), text
            seen.setdefault(where, link.name)


def _addresses_free(draft: Draft) -> Found:
    """Two devices of one driver need two addresses; one that speaks only unasked needs the wire for itself."""
    seen: dict[tuple[str, str, Any], str] = {}
    shared = [found for found in _on_links(draft) if found[3].wire in {Wire.SERIAL, Wire.UDP}]
    users = Counter(device.link for _, device, _, _ in shared)
    for index, device, link, driver in shared:
        address = getattr(device.options, "address", None)
        if hasattr(driver, "feed") and not hasattr(driver, "poll") and users[link.name] > 1:
            text = f"driver {device.driver!r} speaks unasked and needs link {link.name!r} for itself – use another port"
            yield ("device", index, "link"), text
        elif (link.name, device.driver, address) in seen:
            other = seen[link.name, device.driver, address]
            text = f"same address {address} on link {link.name!r} as device {other!r} – give each its own"
            if address is None:
                text = f"without an address it cannot share link {link.name!r} with device {other!r} – use another port"
            yield ("device", index, "address"), text
        seen.setdefault((link.name, device.driver, address), device.name)


def _lines_free(draft: Draft) -> Found:
    seen: dict[tuple[str, int], str] = {}
    for index, device, link, driver in _on_links(draft):
        # Expanders have line numbers of their own; the chips of the Pi's header share one (BCM) numbering.
        chip = link.chip if isinstance(link, GpiodLink) and not link.chip.startswith("pinctrl-") else ""
        for line in _lines(driver, device):
            if (chip, line) in seen:
                text = f"GPIO {line} is used by device {seen[chip, line]!r} already – one line serves one thing"
                yield ("device", index), text
            seen.setdefault((chip, line), device.name)


def _lines(driver: DriverClass, device: Device) -> list[int]:
    if driver.wire is Wire.SERIAL or not hasattr(driver, "lines"):
        return []
    return [request.line for request in driver(device.options, Site()).lines()]


def _cabinets_whole(draft: Draft) -> Found:
    names = {name for _, name in draft.names("device")}
    optional = {device.name: device.may_be_absent for device in draft.devices.values()}
    for index, cabinet in draft.cabinets.items():
        for board in cabinet.locks:
            if board.device not in names:
                text = f"locks: there is no device {board.device!r}{suggest(board.device, names)}"
                yield ("cabinet", index, "locks"), text
        if cabinet.controller is not None:
            if cabinet.controller not in names:
                text = f"controller: there is no device {cabinet.controller!r}{suggest(cabinet.controller, names)}"
                yield ("cabinet", index, "controller"), text
            continue
        for key in ("doors", "presence", "batteries"):
            missing = sorted({name for name in _wired(cabinet, key) if name not in names})
            if missing:
                text = f"{key}: there is no device {', '.join(missing)} – add what each slot needs, or correct the name"
                yield ("cabinet", index, key), text
        always = [name for name in _wired(cabinet, "batteries") if optional.get(name) is False]
        if always:
            text = f"batteries: {', '.join(always)} would be an alarm when taken – set may_be_absent = true there"
            yield ("cabinet", index, "batteries"), text


def _wired(cabinet: Cabinet, key: str) -> list[str]:
    """Return the devices that a key of the cabinet speaks of, by slot."""
    if key == "batteries":
        return [slot.battery for slot in cabinet.wiring if slot.battery is not None]
    points = [slot.presence if key == "presence" else slot.lock for slot in cabinet.wiring]
    wanted = key == "presence" or cabinet.doors is not None
    return [point[0] for point in points if point is not None and wanted]


def _climates_fit(draft: Draft) -> Found:
    names = {name for _, name in draft.names("device")}
    devices = {device.name: device for device in draft.devices.values()}
    for index, climate in draft.climates.items():
        told = (("device", climate.device), ("temperature", split(climate.temperature)[0]))
        for key, name in (*told, ("observed", split(climate.observed)[0])):
            if name not in names:
                yield ("climate", index, key), f"there is no device {name!r}{suggest(name, names)}"
        device = devices.get(climate.device)
        if device is None:
            continue
        driver = draft.drivers[device.driver](device.options, Site())
        known = driver.verbs() if isinstance(driver, Actor) else {}
        for want in sorted({period.mode for period in climate.when} | {"off"}):
            first = getattr(climate, want)[0]
            if first not in known:
                can = f"it knows {', '.join(known)}" if known else "it can be told nothing"
                text = (
                    f"{climate.device} cannot be told {first!r} – {can}; name what it is to be told as {want} = [...]"
                )
                yield ("climate", index, want if want in draft.tree["climate"][index] else "device"), text


_CHECKS = (
    _names_twice,
    _links_known,
    _wires_fit,
    _ports_free,
    _addresses_free,
    _lines_free,
    _cabinets_whole,
    _places_known,
    _climates_fit,
    alarms_whole,
    reflexes_fit,
    abilities_known,
)
