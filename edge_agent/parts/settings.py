"""What the station file means to each part of the agent; pure but for the card key, which is a file."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from edge_agent import decisions, maintenance
from edge_agent.alarms import CATALOGUE
from edge_agent.cabinet.cabinet import Cabinet
from edge_agent.cards import CardKey
from edge_agent.config.device import RESERVED, Device
from edge_agent.config.maintenance import split
from edge_agent.config.model import Config
from edge_agent.driver import load_driver
from edge_agent.errors import AgentError
from edge_agent.ledger import Calendar
from edge_agent.picture import Picture
from edge_agent.public import Card
from edge_agent.recorder.assembly import CABINET
from edge_agent.recorder.recorder import Settings as RecorderSettings
from edge_agent.rules.abilities import STATION
from edge_agent.uplink.backoff import Pauses
from edge_agent.uplink.connection import Broker
from edge_agent.uplink.info import Info
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink import Settings as UplinkSettings
from edge_agent.use import UseDetector, UseRule


def topics_of(config: Config) -> Topics:
    """Return the topics of a configured station."""
    station = config.station
    return Topics(config.uplink.root, station.region, station.district, station.id)


def broker_of(config: Config) -> Broker:
    """Return where the broker is, and as whom to connect."""
    uplink = config.uplink
    return Broker(
        uplink.host,
        uplink.port,
        client_id=config.station.id,
        keepalive=round(uplink.keepalive),
        tls=uplink.tls,
        username=uplink.username,
        password_file=uplink.password_file,
        ca_file=uplink.ca_file,
        cert_file=uplink.cert_file,
        key_file=uplink.key_file,
        window=uplink.window,
    )


def uplink_settings(config: Config, picture: Picture) -> UplinkSettings:
    """Return how the uplink works; what it says of the station is looked up in `picture`."""
    uplink = config.uplink
    return UplinkSettings(
        topics=topics_of(config),
        info=Info(config, picture),
        broker_name=f"{uplink.host}:{uplink.port}",
        pauses=Pauses(uplink.reconnect.first, uplink.reconnect.ceiling),
        pace=uplink.pace,
        window=uplink.window,
        unknown=((STATION, "journal_unwritable"),),
        card=public_card(config),
    )


def recorder_settings(config: Config) -> RecorderSettings:
    """Return how the Recorder works."""
    return RecorderSettings(
        calendar=Calendar(config.station.zone, config.station.day_starts),
        group_commit=config.journal.group_commit,
        min_interval=config.telemetry.min_interval,
        heartbeat=config.telemetry.heartbeat,
        publish_card_ref=config.cards.publish_card_ref,
        flash_budget=config.journal.flash_budget,
        fewest_days=config.alarms.journal_pressure.days,
    )


def cabinets_of(config: Config, state: Mapping[str, str]) -> list[Cabinet]:
    """Return the cabinets, each with its last picture in what the journal remembers."""
    wires = {device.name: device.link for device in config.device}
    return [Cabinet(cabinet.layout(wires), _stored(state, cabinet.name)) for cabinet in config.cabinet]


def use_of(device: Device) -> UseDetector | None:
    """Return what tells when the device is in use, None if nobody wants to know."""
    use = device.use
    return UseDetector(UseRule(use.point, use.on, use.off, use.on_for, use.off_for)) if use is not None else None


def card_key(config: Config) -> CardKey | None:
    """Load the key if a card reader needs one; raises AgentError with the cure."""
    readers = [device.name for device in config.device if load_driver(device.driver).sensitive]
    if config.cards.key_file is None:
        if readers:
            raise AgentError(f"device {readers[0]!r} reads cards and needs [cards] key_file")
        return None
    return CardKey.load(config.cards.key_file, config.cards.key_id)


def public_card(config: Config) -> Card | None:
    """Return what of the station the public is shown, None if nothing."""
    station = config.station
    if not config.public.enabled:
        return None
    place = station.place.model_dump(exclude_none=True) if station.place else {}
    where = config.public.temperature
    temperature = None if where is None else split(where)
    return Card(station.name.model_dump(), place, temperature, tuple(cabinet.name for cabinet in config.cabinet))


def decided_upon(config: Config) -> decisions.Known:
    """Return the alarms and devices that people may decide upon."""
    codes = {*CATALOGUE, *(rule.alarm for rule in config.alarm)}
    pictures = {name for cabinet in config.cabinet for name in cabinet.pictures}
    named = {one.name for table in (config.device, config.link, config.consumable, config.round) for one in table}
    return decisions.Known(codes, RESERVED | named | pictures)


def maintained(config: Config, counts: Callable[[], Collection[str]]) -> maintenance.Known:
    """Return what is maintained here; `counts` names the totals that can be corrected."""
    return maintenance.Known(
        devices={device.name for device in config.device},
        consumables={consumable.name for consumable in config.consumable},
        rounds={one.name for one in config.round},
        counts=counts,
    )


def _stored(state: Mapping[str, str], name: str) -> Mapping[str, Any] | None:
    """Return the last picture of a cabinet, None if there never was one."""
    text = state.get(CABINET + name)
    return None if text is None else json.loads(text)
