"""What happened, as drivers say it: Reading (value now), Event (once, never thinned), Alarm (raised or cleared).

With them comes Memory: what the driver must know again after a restart to say nothing twice. Drivers know neither time
nor their own name: the Worker adds the device, the Recorder the Stamp. What no driver says: a Decision is a person's,
an AlarmState is what the rules make of it all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | tuple[Scalar, ...]
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json] | None"


class Quality(StrEnum):
    """How far a value may be believed (wire contract, `state/<device>`)."""

    GOOD = "good"
    STALE = "stale"
    BAD = "bad"


class Severity(StrEnum):
    """Levels 1 to 4 of an alarm."""

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Reading:
    """A value now.

    `point` is the key below the device (`^[a-z][a-z0-9_]*$`, the unit in its name: `temperature_c`); `value` None
    means absent (the key is left out, never 0 or -1). A change of at least `change` (0 = any difference) is
    worth telling the centre; `prompt` points (doors, safety) are told at once instead of at most every 10 s.
    `why` explains a quality that is not good.
    """

    point: str
    value: Value | None
    change: float = 0.0
    prompt: bool = False
    quality: Quality = Quality.GOOD
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something happened: boot number, milliseconds since boot, wall milliseconds, and whether to believe them."""

    boot: int
    mono_ms: int
    wall_ms: int
    good: bool

    @property
    def mono(self) -> float:
        """Seconds since boot."""
        return self.mono_ms / 1000

    def stored(self) -> "list[Json]":
        """Return it as JSON: what a record keeps of another moment, so that it can be dated like the record itself."""
        return [self.boot, self.mono_ms, self.wall_ms, int(self.good)]

    @classmethod
    def load(cls, stored: "Json") -> "Stamp":
        """Undo `stored`; raises TypeError and ValueError on anything else."""
        match stored:
            case [int(boot), int(mono_ms), int(wall_ms), int(good)]:
                return cls(boot, mono_ms, wall_ms, bool(good))
        raise ValueError("not a stamp")


@dataclass(frozen=True, slots=True)
class CardRef:
    """The keyed reference of a card: `ref` is 32 hex digits, `key_id` names the key it was made with."""

    ref: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once and must be counted once: `visit`, `denied`, `door_opened`, `battery_out`, …

    `card` is kept out of `data` so that it cannot reach a message by accident. `at` is the monotonic time in
    seconds when the driver knows it better than the chunk does (the last edge of a Wiegand frame), or a rule speaks of
    an earlier time.
    """

    type: str
    data: Mapping[str, Json] = field(default_factory=dict)
    card: CardRef | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition raised (`active`) or cleared; saying the same again changes nothing. Texts: alarms.py."""

    code: str
    active: bool
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a driver must know again after a restart: `text` under `key`, durable together with what it comes with.

    It returns in `Site.memory` when the driver is built anew. Nothing personal may stand in it.
    """

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about an alarm of a device; `seconds` is how long a `shelve` holds."""

    code: str
    verb: Literal["acknowledge", "clear", "shelve", "unshelve"]
    by: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Shelf:
    """Who put an alarm aside, when, and for how many seconds."""

    by: str
    at: Stamp
    seconds: float

    @property
    def until(self) -> Stamp:
        """When it ends."""
        ms = round(self.seconds * 1000)
        return replace(self.at, mono_ms=self.at.mono_ms + ms, wall_ms=self.at.wall_ms + ms)


@dataclass(frozen=True, slots=True)
class AlarmState:
    """Everything there is to know of one alarm of one device: what rules make of Alarms and Decisions.

    `stands` is the condition itself, `active` whether the alarm is up, which a latch or damping may keep longer.
    `by` is who acknowledged it, or cleared it. `raises` are the recent times it was raised; `unsteady` is its last
    change while it flaps, None while it does not. What is not `told` is remembered, but no record says so.
    """

    code: str
    severity: Severity
    zh: str
    en: str
    since: Stamp
    stands: bool = False
    active: bool = False
    count: int = 0
    by: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)
    shelf: Shelf | None = None
    raises: tuple[Stamp, ...] = ()
    unsteady: Stamp | None = None
    told: bool = True

    @property
    def latched(self) -> bool:
        """Whether it is up only because nobody has acknowledged or cleared it."""
        return self.active and not self.stands and self.unsteady is None


Record: TypeAlias = Reading | Event | Alarm | Memory | Decision | AlarmState
