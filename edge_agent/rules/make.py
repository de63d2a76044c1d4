"""The rules of a configured station, in the order in which they are asked."""

from collections.abc import Container, Mapping
from pathlib import Path

from edge_agent.card_list import load_list
from edge_agent.config.maintenance import Consumable, split
from edge_agent.config.model import Config
from edge_agent.driver import load_driver
from edge_agent.ledger import LIFE, Calendar
from edge_agent.rules import batteries, charged, passages, presence, reconcile, unique, visits
from edge_agent.rules.abilities import Abilities, Settings
from edge_agent.rules.alarms import AlarmLife, LifeSettings
from edge_agent.rules.builtin import built_in
from edge_agent.rules.clock_watch import ClockWatch
from edge_agent.rules.comfort import Comfort
from edge_agent.rules.conditions import Conditions
from edge_agent.rules.day_keys import DayKeys
from edge_agent.rules.expected import ExpectedVisits
from edge_agent.rules.forced import ForcedDoors
from edge_agent.rules.opening import Opening
from edge_agent.rules.own import kinds_of, spec_of
from edge_agent.rules.rounds import Plan, Rounds
from edge_agent.rules.rule import Rule
from edge_agent.rules.staff import StaffPresence
from edge_agent.rules.supplies import Supplies, Supply
from edge_agent.rules.swipes import Swipes

_MISSED = 3
"""A value is too old when its device has missed as many polls as make it silent."""
_SLACK_S = 30.0
"""Seconds on top: a busy wire, a commit on a slow card."""
_NETWORKS = frozenset({"udp", "tcp", "modbus-tcp"})


def make_rules(
    config: Config, state: Mapping[str, str], ledger: Mapping[tuple[str, str], int], directory: Path
) -> list[Rule]:
    """Return them as they were when `state` and `ledger` were stored; `directory` is the journal's.

    Who swallows or renames comes first, who judges what is left comes behind: an alarm is raised by what was counted,
    never by a double swipe. Raises AgentError if a list of cards cannot be read.
    """
    zone = config.station.zone
    calendar = Calendar(zone, config.station.day_starts)
    keys = DayKeys(directory)
    lifetime = {name: count for (bucket, name), count in ledger.items() if bucket == LIFE}
    return [
        ForcedDoors(config.alarms.door_forced, _slot_doors(config), state),
        reconcile.Controllers(calendar, state.get(reconcile.KEY)),
        *_visits(config, state, ledger, keys),
        unique.Unique(calendar, config.visits.fewest_told, keys, state.get(unique.KEY), ledger),
        _presence(config, state),
        reconcile.Doors(config.visits.mismatch, lifetime, calendar, _slot_doors(config), state.get(reconcile.SLOTS)),
        *_cabinets(config, state, calendar),
        StaffPresence(state),
        *(Supplies(_supply(one), state) for one in config.consumable),
        *(Rounds(Plan(one.name, one.every, one.times, one.early, one.grace, zone), state) for one in config.round),
        Opening(config.public.doors, state),
        ExpectedVisits(config.alarms.no_visits_expected_some, calendar, ledger, state),
        ClockWatch(config.alarms.clock_bad.after),
        conditions_of(config, state),
        AlarmLife(state, _life(config)),
        _abilities(config, state, calendar),
    ]


def conditions_of(config: Config, state: Mapping[str, str], codes: Container[str] | None = None) -> Conditions:
    """Return the alarms by conditions, all or those of `codes`."""
    specs = [*map(spec_of, config.alarm), *built_in(config)]
    return Conditions([spec for spec in specs if codes is None or spec.code in codes], state)


def _visits(
    config: Config, state: Mapping[str, str], ledger: Mapping[tuple[str, str], int], keys: DayKeys
) -> list[Rule]:
    wanted = config.visits
    staff = load_list(wanted.staff) if wanted.staff is not None else frozenset()
    cards = visits.Cards(staff, {name: load_list(file) for name, file in wanted.groups.items()})
    readers = visits.Readers(frozenset(wanted.entry), frozenset(wanted.exit))
    rules: list[Rule] = [
        visits.Visits(readers, cards, by_cards=wanted.count_by == "cards"),
        Swipes(config.cards.double_swipe, ledger, keys),
    ]
    if wanted.count_by != "cards":
        cycle = passages.Cycle(wanted.shortest_opening, wanted.longest_opening, wanted.openings_per_visit)
        kept = state.get(passages.KEY)
        others = _slot_doors(config)
        rules.append(passages.Passages(wanted.count_by, frozenset(wanted.doors), cycle, kept, others))
    return rules


def _slot_doors(config: Config) -> frozenset[str]:
    """Return the doors of cabinets as DEVICE.DOOR: nobody comes in through them."""
    locks = [slot.lock for cabinet in config.cabinet for slot in cabinet.wiring]
    return frozenset(".".join(lock) for lock in locks if lock is not None)


def _presence(config: Config, state: Mapping[str, str]) -> Rule:
    leaving = {"person_out"} if config.visits.count_by == "beams" else {"exit_button", "exit_swipe"}
    return presence.Presence(config.visits.typical_stay, frozenset(leaving), state.get(presence.KEY))


def _cabinets(config: Config, state: Mapping[str, str], calendar: Calendar) -> list[Rule]:
    if not config.cabinet:
        return []
    slots = [name for cabinet in config.cabinet for name in cabinet.pictures[1:]]
    return [
        charged.Charged([cabinet.name for cabinet in config.cabinet], calendar, state),
        batteries.Batteries(slots, state),
    ]


def _life(config: Config) -> LifeSettings:
    alarms = config.alarms
    latched = {*alarms.latch, *(rule.alarm for rule in config.alarm if rule.latch)}
    often, window = alarms.flapping, alarms.flapping_window
    return LifeSettings(frozenset(alarms.off), frozenset(latched), often, window, kinds_of(config.alarm))


def _supply(consumable: Consumable) -> Supply:
    level = None if consumable.level is None else split(consumable.level)
    return Supply(consumable.name, level, consumable.visits, consumable.lasts, consumable.low)


def _abilities(config: Config, state: Mapping[str, str], calendar: Calendar) -> Abilities:
    networks = {link.name for link in config.link if link.kind in _NETWORKS}
    settings = Settings(
        calendar=calendar,
        abilities={ability.name: ability.rule for ability in config.ability},
        mains=config.outages.mains,
        patience={
            device.name: round((_MISSED * device.every + _SLACK_S) * 1000)
            for device in config.device
            if hasattr(load_driver(device.driver), "poll")
        },
        networked=frozenset(device.name for device in config.device if device.link in networks),
    )
    bands = {month: (season.low, season.high) for season in config.comfort.season for month in season.months}
    return Abilities(settings, Comfort(config.comfort.point, bands, config.station.zone), state)
