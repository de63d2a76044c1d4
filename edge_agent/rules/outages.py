"""What must be known of an end to explain it at the next start: the last sign of life, and what was going on then."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from edge_agent.records import Stamp
from edge_agent.rules.judgement import Cause
from edge_agent.wire_json import fields_of


@dataclass(frozen=True, slots=True)
class Missed:
    """An outage whose length nobody knows yet, because the clock is not good.

    `mark_ms` is when it began (Unix milliseconds), `seconds` what had been counted of that hour, `counted` the seconds
    since then that boots have counted which never knew the time.
    """

    mark_ms: int
    seconds: Mapping[str, int]
    cause: Cause
    counted: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """The last sign of life."""

    stamp: Stamp
    seconds: Mapping[str, int]
    """Counted in the hour in progress, since `began`."""
    began: int
    """Monotonic milliseconds."""
    first: int
    """When this boot began to count, monotonic milliseconds."""
    stopped: bool = False
    """Stopped in good order."""
    attended: bool = False
    """Somebody was there for maintenance."""
    offline: Stamp | None = None
    """Since when there is no connection to the broker."""
    dark: Stamp | None = None
    """Since when there is no mains power."""
    held: Mapping[str, Stamp] = field(default_factory=dict)
    missed: Missed | None = None

    def stored(self) -> str:
        """Return JSON text from which `load` makes an equal mark."""
        return json.dumps(fields_of(self), default=fields_of, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> "Mark | None":
        """Undo `stored`; None if there is nothing, or nothing that makes sense."""
        if text is not None:
            with suppress(ValueError, TypeError, KeyError, AttributeError):
                return cls._of(json.loads(text))
        return None

    @classmethod
    def _of(cls, found: dict[str, Any]) -> "Mark":
        missed = found["missed"]
        if missed is not None:
            missed = Missed(**(missed | {"cause": Cause(missed["cause"])}))
        stamps = {key: None if found[key] is None else Stamp(**found[key]) for key in ("offline", "dark")}
        held = {key: Stamp(**stamp) for key, stamp in found["held"].items()}
        return cls(**(found | stamps | {"stamp": Stamp(**found["stamp"]), "held": held, "missed": missed}))

    def same_boot(self, now: Stamp) -> bool:
        """Return whether the monotonic clock has run on since."""
        return self.stamp.boot == now.boot and self.stamp.mono_ms <= now.mono_ms

    def cause(self, now: Stamp) -> Cause:
        """Return why there was no sign of life until `now`.

        A machine that was frozen and reset looks like one whose power was cut: neither says a word.
        """
        if self.attended:
            return Cause.MAINTENANCE
        if self.stopped:
            return Cause.MAINTENANCE if self.same_boot(now) else Cause.REBOOT
        return Cause.AGENT if self.same_boot(now) else Cause.POWER
