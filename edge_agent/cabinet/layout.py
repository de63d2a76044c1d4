"""What a cabinet is made of: which point of which device says what of which slot."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_agent.records import Json, Reading

_INSIDE = "battery_present"
"""A controller's point that tells whether a battery is in the slot, true or false."""

Door = Literal["open", "closed", "unknown"]
Point = tuple[str, str]
"""A device and one of its points."""


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """What is wired to a slot, counted from 1.

    `lock` gives the door's state, "open" or "closed" (lock board or contact); `battery` is the device that answers
    while a battery is in; `presence` is a switch in the slot, true while something is in it; `smoke` is a detector,
    true while there is smoke. With a `prefix` the device `battery` is a controller that speaks for all slots, and of
    its points those are this slot's that begin so.
    """

    index: int
    lock: Point | None = None
    battery: str | None = None
    presence: Point | None = None
    prefix: str = ""
    smoke: Point | None = None

    @property
    def devices(self) -> frozenset[str]:
        """Devices that say something of this slot."""
        points = {point[0] for point in (self.lock, self.presence, self.smoke) if point is not None}
        return frozenset(points if self.battery is None else {*points, self.battery})

    def is_opened_by(self, device: str, order: Mapping[str, Json]) -> bool:
        """Tell whether an order opens this slot's lock: `open` of its board by lock, or of its controller by slot."""
        args = order.get("args")
        if self.lock is None or self.lock[0] != device or order.get("command") != "open" or not isinstance(args, dict):
            return False
        lock = args.get("lock")
        by_lock = isinstance(lock, int) and self.lock[1] == f"lock_{lock:02d}"
        return by_lock or (bool(self.prefix) and args.get("slot") == self.index)

    def own(self, readings: Mapping[str, Reading]) -> dict[str, Reading]:
        """Return what the device `battery` says of this slot, by plain names of points, `present` among them."""
        if not self.prefix:
            return dict(readings)
        cut = len(self.prefix)
        own = {name[cut:]: replace(r, point=name[cut:]) for name, r in readings.items() if name.startswith(self.prefix)}
        if (inside := own.pop(_INSIDE, None)) is not None:
            own["present"] = replace(inside, point="present")
        return own


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """When a slot calls for attention.

    `rise_c_min` in °C a minute over `rise_window_s` (0 = not judged); a lock told to open must be open `opens_within_s`
    later, and no door stays open for longer than `open_longest_s`.
    """

    rise_c_min: float = 3.0
    rise_window_s: float = 60.0
    opens_within_s: float = 5.0
    open_longest_s: float = 600.0


@dataclass(frozen=True, slots=True)
class CabinetLayout:
    """What a cabinet is made of.

    `full_soc` in percent makes a battery a charged one; a battery taken within `swap_window_s` of one brought is a
    swap; a battery has gone after `absent_after` silences. `wires` names the link of each device: a silence is believed
    only if something else on the same wire answered after it. Devices without an entry share one wire.
    `limits` is when a slot calls for attention.
    """

    name: str
    slots: tuple[SlotLayout, ...]
    full_soc: float = 95.0
    swap_window_s: float = 120.0
    absent_after: int = 2
    wires: Mapping[str, str] = field(default_factory=dict)
    limits: SlotLimits = SlotLimits()

    def slot_device(self, index: int) -> str:
        """Name of a slot's virtual device."""
        return f"{self.name}-{index:02d}"
