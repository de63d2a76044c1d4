"""A battery-swap cabinet, as the station file puts it together from devices."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from edge_agent.config_types import Id, Names, Table
from edge_agent.units import Duration

_SLOT = re.compile(r"\{slot(?::0(\d))?\}")


def _boards(value: Any) -> Any:
    return [{"device": value, "first_slot": 1}] if isinstance(value, str) else value


def _filled(pattern: str, slot: int) -> str:
    return _SLOT.sub(lambda found: f"{slot:0{found[1] or 1}}", pattern)


class LockBoard(Table):
    """One lock board of a cabinet."""

    device: Id
    """Device with the points `lock_01`, `lock_02`, …"""
    first_slot: Annotated[int, Field(ge=1)] = 1
    """Slot whose lock is `lock_01` of this board."""


LockBoards = Annotated[tuple[LockBoard, ...], BeforeValidator(_boards), Field(min_length=1)]
"""The lock boards of a cabinet; one whose first lock is that of slot 1 may be given by its name alone."""


class Cabinet(Table):
    """A battery-swap cabinet put together from devices: lock boards and one battery board a slot."""

    name: Annotated[Id, Field(max_length=29)]
    """Name of the cabinet: one level of its topics. Its slots are NAME-01, NAME-02, …"""
    label: Names | None = None
    """Name for people. Default: its name."""
    slots: Annotated[int, Field(ge=1, le=99)]
    """Number of slots."""
    full_soc: Annotated[int, Field(ge=1, le=100)] = 95
    """A battery with at least this state of charge (%) counts as charged."""
    swap_window: Annotated[Duration, Field(ge=1, le=3600)] = 120.0
    """A battery taken within this time of one brought is a swap."""
    absent_after: Annotated[int, Field(ge=1, le=20)] = 2
    """A battery is gone when it did not answer this many times in a row."""
    locks: LockBoards = (LockBoard(device="locks"),)
    """Lock board, or a list of several: `[{ device = "locks-a", first_slot = 1 }, …]`."""
    batteries: str = "battery-{slot:02}"
    """Names of the batteries' devices; `{slot:02}` is the slot's number."""

    @field_validator("batteries")
    @classmethod
    def _one_a_slot(cls, pattern: str) -> str:
        if not _SLOT.search(pattern):
            raise ValueError('has no slot number in it – write it like "battery-{slot:02}"')
        return pattern

    @property
    def battery_names(self) -> tuple[str, ...]:
        """Names of the batteries' devices, slot 1 first."""
        return tuple(_filled(self.batteries, slot) for slot in self._slots)

    @property
    def pictures(self) -> tuple[str, ...]:
        """Ids under which the cabinet and its slots are told to the centre: `cabinet`, `cabinet-01`, …"""
        return self.name, *(f"{self.name}-{slot:02}" for slot in self._slots)

    @property
    def _slots(self) -> range:
        return range(1, self.slots + 1)
