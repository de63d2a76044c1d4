"""A battery-swap cabinet, as the station file puts it together from devices."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edge_agent.cabinet.layout import CabinetLayout, Point, SlotLayout, SlotLimits
from edge_agent.config.types import Id, Names, Table
from edge_agent.units import Duration

_SLOT = re.compile(r"\{slot(?::0(\d))?\}")
_POINT = re.compile(r"[a-z0-9-]+\.[a-z][a-z0-9_]*", re.ASCII)


def _boards(value: Any) -> Any:
    return [{"device": value, "first_slot": 1}] if isinstance(value, str) else value


def _device_pattern(pattern: str) -> str:
    if not _SLOT.search(pattern):
        raise ValueError('has no slot number in it – write it like "battery-{slot:02}"')
    return pattern


def _point_pattern(pattern: str) -> str:
    if not _SLOT.search(pattern) or not _POINT.fullmatch(_filled(pattern, 1)):
        raise ValueError('is not a point of each slot – write it as DEVICE.POINT, like "inputs.door_{slot:02}"')
    return pattern


def _filled(pattern: str, slot: int) -> str:
    return _SLOT.sub(lambda found: f"{slot:0{found[1] or 1}}", pattern)


class LockBoard(Table):
    """One lock board of a cabinet."""

    device: Id
    """Device with the points `lock_01`, `lock_02`, …"""
    first_slot: Annotated[int, Field(ge=1)] = 1
    """Slot whose lock is `lock_01` of this board."""


LockBoards = Annotated[tuple[LockBoard, ...], BeforeValidator(_boards)]
"""The lock boards of a cabinet; one whose first lock is that of slot 1 may be given by its name alone."""
PointPattern = Annotated[str, AfterValidator(_point_pattern)]
"""DEVICE.POINT with the slot's number in it."""


class Cabinet(Table):
    """A battery-swap cabinet put together from devices: what tells the doors, and what tells the batteries."""

    name: Annotated[Id, Field(max_length=29)]
    """Name of the cabinet: one level of its topics. Its slots are NAME-01, NAME-02, …"""
    label: Names | None = None
    """Name for people. Default: its name."""
    slots: Annotated[int, Field(ge=1, le=99)]
    """Number of slots."""
    locks: LockBoards = ()
    """Device of the lock board, or a list of several: `[{ device = "locks-a", first_slot = 1 }, …]`."""
    doors: PointPattern | None = None
    """Door contacts, where they tell more than the locks: `"inputs.door_{slot:02}"` (device, point, slot's number)."""
    batteries: Annotated[str, AfterValidator(_device_pattern)] | None = None
    """Devices of the batteries' management boards: `"battery-{slot:02}"`. Each needs `may_be_absent = true`."""
    controller: Id | None = None
    """Device that speaks for the whole cabinet, in place of locks, doors and batteries: its profile gives the points
    `slot_01_door` ("open", "closed"), `slot_01_battery_present`, `slot_01_sn`, `slot_01_soc_pct`, … of each slot."""
    presence: PointPattern | None = None
    """Switches that feel a battery in the slot: `"inputs.battery_{slot:02}"`."""
    smoke: PointPattern | None = None
    """Smoke detectors of the slots, as inputs that are true while there is smoke: `"inputs.smoke_{slot:02}"`. A
    controller tells by its point `slot_01_smoke`, …"""
    temp_rise: Annotated[float, Field(ge=0, le=60)] = 3.0
    """Rise (°C in a minute) of a battery's or slot's temperature that raises the alarm `slot_temp_rise`; 0: none. It is
    over at half of that."""
    rise_window: Annotated[Duration, Field(ge=10, le=600)] = 60.0
    """Time over which the rise is measured."""
    opens_within: Annotated[Duration, Field(ge=1, le=60)] = 5.0
    """A lock that was told to open and is closed after this time raises the alarm `lock_fault`."""
    open_longest: Annotated[Duration, Field(ge=10, le=86400)] = 600.0
    """A door that is open for longer than this raises the alarm `lock_fault`, too."""
    full_soc: Annotated[int, Field(ge=1, le=100)] = 95
    """A battery with at least this state of charge (%) counts as charged."""
    swap_window: Annotated[Duration, Field(ge=1, le=3600)] = 120.0
    """A battery taken within this time of one brought is a swap."""
    absent_after: Annotated[int, Field(ge=1, le=20)] = 2
    """A battery is gone when it did not answer this many times in a row."""

    @model_validator(mode="after")
    def _watched(self) -> "Cabinet":
        if self.controller is not None and (self.locks or self.doors or self.batteries or self.presence):
            raise ValueError("the controller speaks for every slot – take out locks, doors, batteries and presence")
        if self.controller is None and self.batteries is None and self.presence is None:
            raise ValueError('nothing tells whether a slot has a battery – add batteries = "battery-{slot:02}"')
        if self.locks and min(board.first_slot for board in self.locks) > 1:
            raise ValueError("locks: no board has first_slot = 1 – slot 1 needs a lock too")
        return self

    @property
    def wiring(self) -> tuple[SlotLayout, ...]:
        """What is wired to each slot, slot 1 first."""
        return tuple(self._wired(slot) for slot in range(1, self.slots + 1))

    def layout(self, wires: Mapping[str, str]) -> CabinetLayout:
        """Return what it is made of; `wires` names the link of each device."""
        return CabinetLayout(
            self.name,
            self.wiring,
            full_soc=self.full_soc,
            swap_window_s=self.swap_window,
            absent_after=self.absent_after,
            wires=wires,
            limits=SlotLimits(self.temp_rise, self.rise_window, self.opens_within, self.open_longest),
        )

    @property
    def pictures(self) -> tuple[str, ...]:
        """Ids under which the cabinet and its slots are told to the centre: `cabinet`, `cabinet-01`, …"""
        return self.name, *(f"{self.name}-{slot:02}" for slot in range(1, self.slots + 1))

    def _wired(self, slot: int) -> SlotLayout:
        smoke = None if self.smoke is None else _point(self.smoke, slot)
        if self.controller is not None:
            prefix = f"slot_{slot:02}_"
            return SlotLayout(slot, (self.controller, f"{prefix}door"), self.controller, None, prefix, smoke)
        battery = None if self.batteries is None else _filled(self.batteries, slot)
        lock = self._lock(slot) if self.doors is None else _point(self.doors, slot)
        presence = None if self.presence is None else _point(self.presence, slot)
        return SlotLayout(slot, lock, battery, presence, smoke=smoke)

    def _lock(self, slot: int) -> Point | None:
        """Return the point of the last board that begins at or before `slot`."""
        boards = [board for board in self.locks if board.first_slot <= slot]
        if not boards:
            return None
        board = max(boards, key=lambda one: one.first_slot)
        return board.device, f"lock_{slot - board.first_slot + 1:02}"


def _point(pattern: str, slot: int) -> Point:
    device, _, point = _filled(pattern, slot).partition(".")
    return device, point
