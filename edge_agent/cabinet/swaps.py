"""Which battery that came and which that went make one swap.

A swap is a battery brought and another one taken, in different slots, within a window; either order, because a battery
that came is seen at its first answer and one that went only after several silences. Each is used once. A battery that
comes back (or goes back) is no swap: both halves cancel out.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from edge_agent.records import Json


@dataclass(frozen=True, slots=True)
class Change:
    """A battery came or went; `observed` is false if that was only inferred, `offered` if it may be part of a swap."""

    kind: Literal["in", "out"]
    sn: str | None
    soc_pct: float | None
    observed: bool
    offered: bool = True


@dataclass(frozen=True, slots=True)
class Half:
    """A battery that came or went and has no partner yet; `at` is monotonic seconds of the boot `boot_id`."""

    kind: Literal["in", "out"]
    slot: int
    sn: str | None
    observed: bool
    boot_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Swap:
    """`brought` and `taken`; witnessed only if both halves were."""

    brought: Half
    taken: Half

    @property
    def observed(self) -> bool:
        """Whether both halves were witnessed."""
        return self.brought.observed and self.taken.observed


class Swaps:
    """The halves that wait for a partner."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._halves: list[Half] = []

    @property
    def waiting(self) -> bool:
        """Whether a swap is half done."""
        return bool(self._halves)

    def restore(self, stored: Json) -> None:
        """Take up the halves of the previous run; anything else than `stored` gave is ignored."""
        for entry in stored if isinstance(stored, list) else []:
            match entry:
                case {
                    "kind": "in" | "out" as kind,
                    "slot": int(slot),
                    "sn": str() | None as sn,
                    "observed": bool(observed),
                    "boot_id": str(boot_id),
                    "at": int() | float() as at,
                }:
                    self._halves.append(Half(kind, slot, sn, observed, boot_id, at))
                case _:
                    continue

    def stored(self) -> Json:
        """The halves as JSON."""
        return [asdict(half) for half in self._halves]

    def expire(self, boot_id: str, now: float) -> bool:
        """Drop halves that are too old; return whether any was.

        A half of another boot is dropped too: how long the station was without power is not known for sure.
        """
        kept = [half for half in self._halves if half.boot_id == boot_id and now - half.at <= self._window]
        dropped = len(kept) < len(self._halves)
        self._halves = kept
        return dropped

    def add(self, slot: int, change: Change, boot_id: str, now: float) -> Swap | None:
        """Take a battery that came or went; return the swap that it completes."""
        self.expire(boot_id, now)
        half = Half(change.kind, slot, change.sn, change.observed, boot_id, now)
        others = [other for other in self._halves if other.kind != half.kind]
        back = next((other for other in others if _same_battery(half, other)), None)
        if back is not None:
            self._halves.remove(back)
            return None
        partner = next((other for other in others if other.slot != half.slot), None)
        if partner is None:
            # What was only inferred may be hours old: it can complete a witnessed half, but does not wait for one.
            self._halves += [half] if half.observed else []
            return None
        self._halves.remove(partner)
        return Swap(half, partner) if half.kind == "in" else Swap(partner, half)


def _same_battery(one: Half, other: Half) -> bool:
    """Equal serials; without serials, the same slot."""
    if one.sn is None or other.sn is None:
        return one.slot == other.slot
    return one.sn == other.sn
