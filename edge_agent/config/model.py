"""The station file as typed models: what each key means, its limits and its default.

The docstring below a field is its entry in the reference (docs/configuration.md). Tables with a subject of their own
are in the modules beside this one. Reading a file, with positions and all its errors at once, is `file.load`; what no
single table can know is in `checks`.
"""

import hashlib
import json
import zoneinfo
from datetime import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge_agent.config.abilities import Ability, Comfort, Outages
from edge_agent.config.alarms import AlarmRule, Alarms
from edge_agent.config.cabinet import Cabinet
from edge_agent.config.climate import Climate
from edge_agent.config.device import Device
from edge_agent.config.links import Link
from edge_agent.config.maintenance import Consumable, Round
from edge_agent.config.public import Public
from edge_agent.config.reflexes import Reflex
from edge_agent.config.types import (
    File,
    Id,
    Listen,
    Names,
    Table,
    TimeOfDay,
    Zone,
    misfit,
)
from edge_agent.config.uplink import Uplink
from edge_agent.config.visits import Visits
from edge_agent.units import Duration, Size


class Place(Table):
    """Where the station stands; published so that maps can show it."""

    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Latitude in degrees (WGS 84)."""
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Longitude in degrees (WGS 84)."""
    address: str | None = None
    """Postal address."""


class Station(Table):
    """Who and where this station is."""

    id: Id
    """Id of the station, unique in the whole fleet; it is also the MQTT client id."""
    name: Names
    """Name of the station as people know it."""
    region: Id
    """Region the station belongs to: the second level of its topics."""
    district: Id
    """District in that region: the third level of its topics."""
    timezone: Zone = "Asia/Shanghai"
    """IANA time zone in which days and hours of use are counted."""
    day_starts: TimeOfDay = time()
    """Local time at which a business day begins."""
    place: Place | None = None
    """Where the station stands."""

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The time zone itself."""
        return zoneinfo.ZoneInfo(self.timezone)


class Cards(Table):
    """How card numbers are made unreadable before they leave the reader's driver."""

    key_file: File | None = None
    """File with the operator's secret key (at least 16 random bytes). Needed by every card reader. Default: the systemd
    credential `card-key`, if the service was given one."""
    key_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "k1"
    """Name of that key; goes into every record, so that a change of key can be told."""
    publish_card_ref: bool = False
    """Send the keyed reference of the card with each visit. Without it a visit is counted, but nobody is recognised."""
    double_swipe: Annotated[Duration, Field(ge=0, le=600)] = 10.0
    """The same card again within this time is the same visit."""


class Journal(Table):
    """The local storage that outlives power cuts and long outages of the network."""

    dir: File = Path("/var/lib/edge-agent")
    """Directory of the journal; on a station given by systemd."""
    group_commit: Annotated[Duration, Field(ge=1, le=60)] = 10.0
    """How often telemetry is written to the card. Visits, swaps and alarms are written at once, always."""
    max_size: Annotated[Size, Field(ge=16_000_000)] = 512_000_000
    """Room for the journal. What has to go when it is full leaves a declared gap."""
    flash_budget: Annotated[Size, Field(ge=1_000_000)] = 150_000_000
    """Bytes a day that the card is meant for. Writing more raises the alarm `flash_budget`."""


Allowed = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}/([a-z0-9][a-z0-9_-]*|\*)$")]
"""A command as `device/name`, or `device/*` for all of a device."""


class Page(Table):
    """The status page for a phone on the station's own network."""

    enabled: bool = True
    """Serve the page."""
    listen: Listen = "127.0.0.1:8080"
    """Address and port; `0.0.0.0:8080` shows the page to everyone on the station's networks."""
    language: Literal["zh", "en"] = "zh"
    """Language shown to a browser that asks for neither."""
    pin_file: File | None = None
    """File made by `edge-agent page-pin`: whoever knows the PIN may put maintenance on record at the page. Without it
    the page is read-only. Default: the systemd credential `page-pin`, if the service was given one."""
    allow: tuple[Allowed, ...] = ("station/*",)
    """What may be done at the page by whoever knows the PIN, written as in `[commands]`."""
    checklist: tuple[Names, ...] = (
        Names(zh="照明", en="Lights"),
        Names(zh="空调", en="Air conditioner"),
        Names(zh="饮水", en="Drinking water"),
        Names(zh="微波炉", en="Microwave"),
        Names(zh="药箱", en="Medicine box"),
        Names(zh="卫生", en="Cleanliness"),
        Names(zh="换电柜", en="Battery cabinet"),
    )
    """What maintenance staff tick off when they leave."""

    @property
    def host(self) -> str:
        """Address listened on, without the brackets of IPv6."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """TCP port listened on."""
        return int(self.listen.rpartition(":")[2])


class Commands(Table):
    """What the centre may ask of this station. A command that is not named here is refused, answered and audited."""

    allow: tuple[Allowed, ...] = ("journal/*",)
    """Allowed commands as `device/name`, or `device/*` for all of a device. `journal/*` only asks for records again and
    says which ones the centre has stored."""


class Telemetry(Table):
    """How often values are told to the centre."""

    min_interval: Annotated[Duration, Field(ge=0.1, le=3600)] = 10.0
    """Shortest time between two messages with the values of one device; doors and safety inputs do not wait."""
    heartbeat: Annotated[Duration, Field(ge=1, le=86400)] = 300.0
    """Values that do not change are repeated this often."""

    @model_validator(mode="after")
    def _ordered(self) -> "Telemetry":
        if self.heartbeat < self.min_interval:
            raise misfit("heartbeat", "heartbeat is shorter than min_interval – make it at least as long")
        return self


class Config(Table):
    """A whole station file."""

    station: Station
    """Who and where this station is."""
    uplink: Uplink
    """The way to the MQTT broker."""
    cards: Cards = Cards()
    """How card numbers are made unreadable."""
    visits: Visits = Visits()
    """What counts as a visit."""
    journal: Journal = Journal()
    """The local storage."""
    page: Page = Page()
    """The status page."""
    telemetry: Telemetry = Telemetry()
    """How often values are told to the centre."""
    commands: Commands = Commands()
    """What the centre may ask."""
    link: tuple[Link, ...] = ()
    """The wires."""
    device: tuple[Device, ...] = ()
    """What is on the wires."""
    climate: tuple[Climate, ...] = ()
    """Rooms kept in their comfort band."""
    public: Public = Public()
    """What the public is told."""
    alarms: Alarms = Alarms()
    """How alarms live, and the built-in ones."""
    alarm: tuple[AlarmRule, ...] = ()
    """Alarms of the station's own."""
    reflex: tuple[Reflex, ...] = ()
    """What it does at once by itself."""
    consumable: tuple[Consumable, ...] = ()
    """What has to be refilled."""
    round: tuple[Round, ...] = ()
    """What has to be done again and again, like cleaning."""
    cabinet: tuple[Cabinet, ...] = ()
    """Battery-swap cabinets put together from devices."""
    ability: Annotated[tuple[Ability, ...], Field(max_length=8)] = ()
    """What the station offers."""
    comfort: Comfort = Comfort()
    """Which room temperatures are comfortable."""
    outages: Outages = Outages()
    """What tells outages apart."""

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the effective configuration: equal for files that mean the same."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
