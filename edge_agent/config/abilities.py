"""What a station can offer: the six abilities as rules over points, the comfort band, and the sign of mains power."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from edge_agent.config.condition import Condition, ConditionText, Point, parse
from edge_agent.config.types import Names, Table, misfit
from edge_agent.units import Duration, format_duration

_LIVE_V = 180
"""A live circuit has more: well below the 198 V (220 V - 10 %) that GB/T 12325 allows, well above a dead wire's hum."""
_DEGRADED_C = 3
"""A room that misses its limit by no more than this is told as degraded."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When an ability is available, when at least degraded, and when anybody needs it (None = always)."""

    available: Condition
    degraded: Condition | None = None
    needed: Condition | None = None

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """Those that there are, by key."""
        found = {"available": self.available, "degraded": self.degraded, "needed": self.needed}
        return {key: condition for key, condition in found.items() if condition is not None}


def _role(text: str) -> str:
    parse(text if "." in text else f"{text}.x")
    return text


Role = Annotated[str, AfterValidator(_role), Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}(\.[a-z][a-z0-9_]*)?$")]
"""A device, or DEVICE.POINT where it is not the usual point."""

_ROLES = {
    "rest": ("room", "power", "blocked"),
    "hot_food": ("power", "used", "blocked"),
    "water": ("power", "used", "blocked"),
    "warmth": ("room", "aircon", "outside"),
    "coolness": ("room", "aircon", "outside"),
    "toilet": ("power", "used", "blocked"),
}
"""Preset -> what it can be judged by."""
_SUBJECTS = frozenset({"agent", "uplink", "comfort"})
"""What is told beside the abilities in the same record, and counted under names of the same form."""
_ALL_ROLES = ("room", "outside", "aircon", "power", "used", "blocked")
_USUAL = {"room": "temperature_c", "outside": "temperature_c", "aircon": "state", "used": "running"}
_LIMITS = {"coolness": 26.0, "warmth": 16.0}


class Ability(Table):
    """Something the station offers.

    The six by which stations are judged have presets, for which naming devices is enough: `rest`, `hot_food`, `water`,
    `warmth`, `coolness`, `toilet`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,23}$")]
    """Name of the ability; one of the six takes its preset."""
    label: Names | None = None
    """Name for people. The six have one."""
    room: Role | None = None
    """Device that measures the room (`temperature_c`)."""
    outside: Role | None = None
    """Device that measures outside (`temperature_c`): coolness and warmth are available when nobody needs them."""
    aircon: Role | None = None
    """Device of the air conditioner (`state` observed as `"cooling"` or `"heating"`)."""
    power: Role | None = None
    """Meter of the circuit (`voltage_v` above 180), or a point that is true while it is live."""
    used: Role | None = None
    """Device that tells when it runs (`running`, see `use`): without a use or self-test within `used_within` it is
    degraded."""
    used_within: Annotated[Duration, Field(ge=60, le=31 * 86400)] = 7 * 86400.0
    """How long a use proves that it works."""
    blocked: Role | None = None
    """DEVICE.POINT that is true while it is closed or out of order."""
    limit: Annotated[float, Field(ge=-10, le=45)] | None = None
    """Room temperature in °C that coolness keeps at most (default 26), warmth at least (default 16)."""
    available: ConditionText | None = None
    """Condition under which it is available, in place of the preset's: `aircon.state == "cooling" or
    room.temperature_c <= 26`. Comparisons of DEVICE.POINT with `== != < <= > >=`, joined by `and`, `or`, `not` and
    brackets; `within 24h` behind one: at any time in the last 24 hours."""
    degraded: ConditionText | None = None
    """Condition under which it is degraded and not unavailable."""
    needed: ConditionText | None = None
    """Condition under which anybody needs it. As long as it does not hold the ability counts as available."""

    @model_validator(mode="after")
    def _decided(self) -> "Ability":
        if self.name in _SUBJECTS:
            raise misfit("name", f"name = {self.name!r} is kept for the agent's own seconds – take another one")
        roles = _ROLES.get(self.name, ())
        given = [role for role in _ALL_ROLES if getattr(self, role)]
        stray = next((role for role in given if role not in roles), None)
        if stray is not None:
            known = f"{self.name} is judged by {', '.join(roles)}" if roles else f"{self.name} has no preset"
            raise misfit(stray, f"{stray} has no effect here: {known} – take it out, or write conditions")
        if self.limit is not None and self.name not in _LIMITS:
            raise misfit("limit", f"limit has no effect on {self.name} – take it out")
        if self.available is None and not _judged(self.name, given):
            wanted = " or ".join(f"{role} = …" for role in _wanted(self.name))
            raise misfit("name", f"nothing tells whether it is available – add {wanted or 'available = …'}")
        if self.blocked is not None and "." not in self.blocked:
            raise misfit("blocked", 'blocked is a point – write it as DEVICE.POINT, like "contacts.toilet_closed"')
        return self

    @property
    def rule(self) -> Rule:
        """The preset with what is given in its place."""
        preset = self._preset() if self.available is None else {}
        available = self.available or preset["available"]
        return Rule(available, self.degraded or preset.get("degraded"), self.needed or preset.get("needed"))

    @property
    def asked(self) -> Iterator[tuple[str, Point]]:
        """Every point it asks for, with the key that names it."""
        for key, condition in self.rule.conditions.items():
            for point in sorted(condition.points):
                yield key if getattr(self, key) is not None else self._role_of(point), point

    def _role_of(self, point: Point) -> str:
        named = {point[0], ".".join(point)}
        return next(role for role in _ROLES[self.name] if getattr(self, role) in named)

    def _preset(self) -> dict[str, Condition]:
        if self.name in _LIMITS:
            return self._climate(_LIMITS[self.name] if self.limit is None else self.limit)
        whole = []
        if self.room:
            whole.append(f"{_point(self.room, 'room')} >= 10 and {_point(self.room, 'room')} <= 32")
        if self.power:
            whole.append(self.power if "." in self.power else f"{self.power}.voltage_v > {_LIVE_V}")
        if self.blocked:
            whole.append(f"not {self.blocked}")
        if not self.used:
            return {"available": parse(" and ".join(whole))}
        seen = f"{_point(self.used, 'used')} within {format_duration(self.used_within)}"
        found = {"available": parse(" and ".join([*whole, seen]))}
        return found | ({"degraded": parse(" and ".join(whole))} if whole else {})

    def _climate(self, limit: float) -> dict[str, Condition]:
        keeps, passes, mode, slack = (
            ("<=", ">", "cooling", 1) if self.name == "coolness" else (">=", "<", "heating", -1)
        )
        either, found = [], {}
        if self.room:
            room = _point(self.room, "room")
            either.append(f"{room} {keeps} {limit:g}")
            found["degraded"] = parse(f"{room} {keeps} {limit + slack * _DEGRADED_C:g}")
        if self.aircon:
            either.append(f'{_point(self.aircon, "aircon")} == "{mode}"')
        if self.outside:
            found["needed"] = parse(f"{_point(self.outside, 'outside')} {passes} {limit:g}")
        return {"available": parse(" or ".join(either)), **found}


def _point(role: str, kind: str) -> str:
    return role if "." in role else f"{role}.{_USUAL[kind]}"


def _wanted(name: str) -> tuple[str, ...]:
    """Return the roles of which a preset needs at least one."""
    return tuple(role for role in _ROLES.get(name, ()) if role != "outside")


def _judged(name: str, given: list[str]) -> bool:
    return bool(set(_wanted(name)) & set(given))


class Season(Table):
    """When which temperatures are comfortable."""

    months: Annotated[tuple[Annotated[int, Field(ge=1, le=12)], ...], Field(min_length=1)]
    """Months of the year, 1 to 12."""
    low: Annotated[float, Field(ge=-10, le=45)]
    """Lowest comfortable temperature in °C."""
    high: Annotated[float, Field(ge=-10, le=45)]
    """Highest comfortable temperature in °C."""

    @model_validator(mode="after")
    def _ordered(self) -> "Season":
        if self.low >= self.high:
            raise misfit("low", "low is not below high – exchange them")
        return self


class Comfort(Table):
    """Comfort delivered: how long the room was in the band while people were in."""

    room: Role | None = None
    """Device that measures the room (`temperature_c`), or DEVICE.POINT. Without it no comfort is counted."""
    season: tuple[Season, ...] = (
        Season(months=(6, 7, 8, 9), low=22, high=28),
        Season(months=(12, 1, 2, 3), low=16, high=24),
        Season(months=(4, 5, 10, 11), low=18, high=26),
    )
    """The band, by months; each month belongs to one season."""

    @model_validator(mode="after")
    def _whole_year(self) -> "Comfort":
        months = sorted(month for season in self.season for month in season.months)
        if months != list(range(1, 13)):
            raise misfit("season", "season: each month from 1 to 12 belongs to one season, once")
        return self

    @property
    def point(self) -> Point | None:
        """Device and point of the room's temperature."""
        if self.room is None:
            return None
        device, _, point = _point(self.room, "room").partition(".")
        return device, point


class Outages(Table):
    """What tells outages apart."""

    mains: ConditionText | None = None
    """Condition that holds while there is mains power, where the agent itself outlives a power cut: `ups.mains`."""
