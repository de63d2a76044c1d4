"""The wire contract as models: what each topic's payload may look like. The published schemas are made from these.

The agent does not build its messages with them (payloads.py splices stored JSON, which is cheaper); a test holds real
traffic against them. `None` stands for a key that is absent: null is never sent.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from edge_agent.commands import Command
from edge_agent.records import Quality, Severity

Id: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}$")]
Time: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Epoch: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Session: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
RecordId: TypeAlias = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}/[0-9a-f]{16}/(alarm|usage|tele)/[1-9][0-9]*$")
]
Stream: TypeAlias = Literal["alarm", "usage", "tele"]
Seq: TypeAlias = Annotated[int, Field(ge=1, lt=1 << 40)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Counts: TypeAlias = dict[str, int]
Names: TypeAlias = dict[Literal["zh", "en"], str]
Scalar: TypeAlias = bool | int | float | str


class Wire(BaseModel):
    """A JSON object with exactly these keys."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Open(BaseModel):
    """A JSON object with these keys and others beside them."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, JsonValue]


class Status(Wire):
    """`status`: whether the station is there. The offline one with the reason `lost` is the will of its session."""

    state: Literal["online", "offline"]
    reason: Literal["lost", "stopped"] | None = None
    ts: Time | None = None
    session: Session
    """Another one for each connection: a late will of an earlier connection can be told apart."""


class Device(Wire):
    """One device of `info`."""

    device: Id
    driver: str
    link: Id
    label: Names
    points: list[str] | None = None
    """Names of its values, sorted: those it is known to have, and those it has told since the start."""


class CabinetInfo(Wire):
    """One cabinet of `info`."""

    device: Id
    slots: Count


class Info(Open):
    """`info`: who the station is and what it consists of."""

    contract: Literal["v1"]
    station: Id
    name: Names
    region: Id
    district: Id
    timezone: str
    place: dict[str, float | str]
    devices: list[Device]
    cabinets: list[CabinetInfo]
    versions: dict[str, str]
    config: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the effective configuration."""


class Point(Wire):
    """A value with its own time and quality; `since` and `why` go with one that is not good."""

    value: Scalar | list[Scalar] | None = None
    ts: Time
    quality: Quality
    since: Time | None = None
    why: str | None = None


class State(Wire):
    """`state/<device>`: the latest picture of one device."""

    ts: Time
    points: dict[str, Point]


class Record(Wire):
    """What every record carries."""

    id: RecordId
    epoch: Epoch
    seq: Seq
    ts: Time
    clock: Literal["synced", "corrected", "unsynced"]
    """`corrected`: dated afterwards; `unsynced`: `ts` is what an unset clock showed."""
    late: bool
    """Accepted before the present connection, or sent again."""


class Event(Record, Open):
    """`event/<device>`: one record of the usage stream; what it says depends on its type."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """`visit`, `denied`, `door_opened`, `battery_in`, `battery_out`, `swap`, `day_closed`, `audit`, …"""


class Shelved(Wire):
    """Who has put an alarm aside, and until when."""

    by: str
    until: Time


class Alarm(Record):
    """`alarm/<device>/<code>`: one record of the alarm stream, the whole state of an alarm that has changed."""

    state: Literal["raised", "acknowledged", "cleared"]
    severity: Severity
    since: Time
    text: Names
    count: Count
    """How often it has been raised."""
    detail: dict[str, JsonValue] | None = None
    by: str | None = None
    """Who acknowledged or cleared it."""
    latched: Literal[True] | None = None
    """The cause is over; it stays up until somebody has acknowledged or cleared it."""
    flapping: Literal[True] | None = None
    """It comes and goes: it is held up, and told no more until it has been quiet."""
    shelved: Shelved | None = None
    """Nobody is to be called about it until then."""


class Sample(Open):
    """One sample: the points that changed, or all of them at a heartbeat."""

    seq: Seq
    ts: Time
    clock: Literal["corrected", "unsynced"] | None = None
    quality: dict[str, Quality] | None = None
    """Points that were not good."""


class Tele(Wire):
    """`tele/<device>`: a batch of the tele stream; the id of a sample is `<station>/<epoch>/tele/<seq>`."""

    epoch: Epoch
    late: Literal[True] | None = None
    samples: Annotated[list[Sample], Field(min_length=1)]


class Gap(Record):
    """`gap/<stream>`: any seq of this range that you do not hold will not come."""

    of_epoch: Epoch | None = None
    """The epoch of the range, if it is not the record's own."""
    from_seq: Seq
    to_seq: Seq
    from_ts: Time | None = None
    to_ts: Time | None = None
    reason: Literal["damage", "disk_full", "overflow", "quota", "refused", "retention", "thinned"]
    count: Count | None = None
    """Records that went, where known; of `thinned` ones the rest of the range was kept."""


class Correction(Record):
    """`clock`: add `offset_ms` to the times of these records, which an unset clock had stamped."""

    stream: Stream
    boot: Count
    of_epoch: Epoch | None = None
    offset_ms: int
    uncertainty_ms: Count
    from_seq: Seq
    to_seq: Seq


class Totals(BaseModel):
    """Counts by name, beside what they are counts of; only corrections (`…_corrected`) may be negative."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)
    __pydantic_extra__: Counts


class Lifetime(Totals):
    """Totals since the journal's first day, in the epoch named."""

    epoch: Epoch


class Today(Totals):
    """Totals of a business day."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    unique_visitors_few: Literal[True] | None = None
    """Instead of `unique_visitors`, if they are so few that somebody might be recognised."""


class ThisHour(Totals):
    """Totals of a local hour of the clock."""

    hour: Annotated[int, Field(ge=0, le=23)]


class Upto(Wire):
    """The newest event that is counted."""

    epoch: Epoch
    seq: Count


class Usage(Wire):
    """`usage`: the ledger, provable against the events up to `upto`."""

    ts: Time
    lifetime: Lifetime
    undated: Counts
    """Counted in `lifetime`, but of no known day yet."""
    upto: Upto
    today: Today | None = None
    this_hour: ThisHour | None = None
    hours: dict[str, Annotated[list[int], Field(min_length=24, max_length=24)]] | None = None
    yesterday: Counts | None = None


class DeviceCommand(Command):
    """`cmd/<device>/<verb>`: a device is to do something; the verb's arguments stand beside the rest."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]


class Public(Wire):
    """`public`: the station card for maps and apps. What is not known to be right at the moment is left out."""

    ts: Time
    name: Names
    place: dict[str, Scalar] | None = None
    open: bool | None = None
    since: Time | None = None
    """Since when it has been open, or closed."""
    temperature_c: int | None = None
    comfort: Literal["cold", "cool", "comfortable", "warm", "hot"] | None = None
    charged_batteries: Count | None = None
    abilities: dict[str, Literal["available", "degraded", "unavailable"]] | None = None


class Reply(Open):
    """`reply/<id>`: what became of a command; beside it what the verb has to say."""

    id: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")]
    ok: bool
    reason: str | None = None
