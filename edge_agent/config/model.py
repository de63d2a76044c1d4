"""The station file as typed models: what each key means, its limits and its default.

The docstring below a field is its entry in the reference (docs/configuration.md). Reading a file, with positions and
all its errors at once, is `config_file.load`; what no single table can know is in `config_checks`.
"""

import hashlib
import json
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from edge_agent.config.abilities import Ability, Comfort, Outages
from edge_agent.config.alarms import AlarmRule, Alarms
from edge_agent.config.cabinet import Cabinet
from edge_agent.config.climate import Climate
from edge_agent.config.links import Link
from edge_agent.config.maintenance import Consumable, Round
from edge_agent.config.public import Public
from edge_agent.config.reflexes import Reflex
from edge_agent.config.types import (
    Broker,
    File,
    Id,
    Listen,
    Names,
    Table,
    TimeOfDay,
    Zone,
    is_loopback,
    misfit,
)
from edge_agent.config.visits import Visits
from edge_agent.driver import DriverClass, Options, driver_names, load_driver
from edge_agent.units import Duration, Size

RESERVED = frozenset({"journal", "system", "station", "abilities"})
"""Device ids that the wire contract keeps for the agent itself."""


class InstalledDrivers(Mapping[str, DriverClass]):
    """Every installed driver by its name in the configuration; looked for once, each loaded when asked for."""

    def __init__(self) -> None:
        self._names = driver_names()

    def __getitem__(self, name: str) -> DriverClass:
        if name not in self._names:
            raise KeyError(name)
        return load_driver(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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


class Reconnect(Table):
    """Random pauses before reconnecting, so that a whole fleet does not return in one second."""

    first: Annotated[Duration, Field(ge=0.01, le=3600)] = 60.0
    """Longest pause before the first attempt; each further attempt doubles it."""
    ceiling: Annotated[Duration, Field(ge=0.01, le=3600)] = 300.0
    """Longest pause at all."""

    @model_validator(mode="after")
    def _ordered(self) -> "Reconnect":
        if self.ceiling < self.first:
            raise misfit("ceiling", "ceiling is shorter than first – make it at least as long")
        return self


class Uplink(Table):
    """The way to the MQTT broker. The client id is always the station's id."""

    broker: Broker
    """`mqtts://host:8883`; `mqtt://host:1883` (not encrypted) only to this machine, or with `insecure = true`."""
    insecure: bool = False
    """Allow an unencrypted connection to another machine. It raises the alarm `plaintext_uplink`."""
    root: Id = "stations"
    """First level of every topic."""
    username: str | None = None
    """User name at the broker; usually the station's id."""
    password_file: File | None = None
    """File with the password. Default: the systemd credential `mqtt-password`, if the service was given one."""
    ca_file: File | None = None
    """Certificates (PEM) of the authority that signed the broker's. Default: the systemd credential
    `tls_ca.pem`, else the authorities of the system."""
    cert_file: File | None = None
    """Certificate (PEM) by which this station proves who it is. Default: the systemd credential `tls_cert.pem`."""
    key_file: File | None = None
    """Private key (PEM) of `cert_file`. Default: the systemd credential `tls_key.pem`."""
    keepalive: Annotated[Duration, Field(ge=5, le=3600)] = 60.0
    """Longest silence on the connection before it is tested."""
    reconnect: Reconnect = Reconnect()
    """Pauses before reconnecting."""
    pace: Annotated[int, Field(ge=0, le=10_000)] = 20
    """Backlog messages sent a second; 0 = as fast as the broker takes them."""
    window: Annotated[int, Field(ge=1, le=1000)] = 20
    """Messages sent and not yet acknowledged at most."""

    @model_validator(mode="after")
    def _consistent(self) -> "Uplink":
        if not self.tls and not self.insecure and not self.loopback:
            raise misfit("broker", "mqtt:// to another machine is not encrypted – use mqtts://, or set insecure = true")
        for name in ("ca_file", "cert_file", "key_file"):
            if not self.tls and getattr(self, name) is not None:
                raise misfit(name, f"{name} has no effect on mqtt:// – use mqtts:// or take it out")
        if self.password_file is not None and self.username is None:
            raise misfit("password_file", "password_file needs username – add it, usually the station's id")
        if (self.cert_file is None) != (self.key_file is None):
            given = "cert_file" if self.key_file is None else "key_file"
            raise misfit(given, "cert_file and key_file belong together – give both or neither")
        return self

    @property
    def tls(self) -> bool:
        """True if the connection is encrypted."""
        return self.broker.startswith("mqtts:")

    @property
    def host(self) -> str:
        """Name or address of the broker."""
        return urlsplit(self.broker).hostname or ""

    @property
    def port(self) -> int:
        """TCP port of the broker; 8883 with TLS and 1883 without unless named (IANA service names)."""
        return urlsplit(self.broker).port or (8883 if self.tls else 1883)

    @property
    def loopback(self) -> bool:
        """True if the broker is on this machine."""
        return is_loopback(self.host)


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


class Use(Table):
    """When a device counts as in use, judged by one of its values."""

    point: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """Which of its values, like `power_kw` or `current_a`."""
    on: float
    """Above this it is running."""
    off: float
    """Below this it is not."""
    on_for: Annotated[Duration, Field(ge=0, le=3600)] = 10.0
    """How long it must be above `on`."""
    off_for: Annotated[Duration, Field(ge=0, le=86400)] = 180.0
    """How long it must be below `off`: a compressor's or microwave's pause is shorter and belongs to the use."""

    @model_validator(mode="after")
    def _hysteresis(self) -> "Use":
        if self.off > self.on:
            raise misfit("off", "off is above on – what is between the two changes nothing, so off must be the lower")
        return self


class Device(Table):
    """Something on a link. Keys not listed here are the driver's own."""

    name: Id
    """Name of the device: one level of its topics. `journal`, `system`, `station` and `abilities` are taken."""
    link: Id
    """Name of the link it is connected to."""
    driver: str
    """Which driver speaks with it; `edge-agent drivers` lists them."""
    every: Annotated[Duration, Field(ge=0.05, le=86400)] = 5.0
    """How often it is asked. Devices that speak by themselves do not need it."""
    may_be_absent: bool = False
    """Its silence is a value and not an alarm: the battery of a slot."""
    baud: Annotated[int, Field(ge=300, le=1_000_000)] | None = None
    """Bits a second, where this device differs from its serial link."""
    parity: Literal["N", "E", "O"] | None = None
    """None, even or odd, where this device differs from its serial link."""
    stop_bits: Literal[1, 2] | None = None
    """Stop bits, where this device differs from its serial link."""
    label: Names | None = None
    """Name for people. Default: its name."""
    use: Use | None = None
    """Tells by one of its values when it is in use: point `running`, events `use_started` and `use_ended`."""
    options: SerializeAsAny[Options]

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, table: Any) -> Any:
        """Put what is not a key of every device into `options`."""
        if not isinstance(table, dict):
            return table
        common = {key: value for key, value in table.items() if key in COMMON_KEYS}
        return {**common, "options": {key: value for key, value in table.items() if key not in COMMON_KEYS}}

    @model_validator(mode="after")
    def _looked_at_often_enough(self) -> "Device":
        if self.use is not None and self.every > max(self.use.on_for, self.use.off_for):
            raise misfit(
                "every", "every is longer than on_for and off_for of its use – ask more often, or lengthen them"
            )
        return self

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError("is kept for the agent itself – take another name")
        return name

    @field_validator("driver")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        drivers = drivers_of(info)
        if name not in drivers:
            raise ValueError(f"is not a driver – installed are {', '.join(sorted(drivers)) or 'none'}")
        return name

    @field_validator("options", mode="before")
    @classmethod
    def _own(cls, table: dict[str, Any], info: ValidationInfo) -> Options:
        """Let the driver's model judge; without a known driver there is nothing to judge by."""
        if "driver" not in info.data:
            return Options()
        return drivers_of(info)[info.data["driver"]].Options.model_validate(table)


COMMON_KEYS = frozenset(Device.model_fields) - {"options"}
"""Keys of every `[[device]]`; no driver may have an option of the same name."""


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


def drivers_of(info: ValidationInfo) -> Mapping[str, DriverClass]:
    """Return the drivers to validate against: those in the context, or every installed one."""
    context: dict[str, Mapping[str, DriverClass]] = info.context or {}
    return context["drivers"] if "drivers" in context else InstalledDrivers()
