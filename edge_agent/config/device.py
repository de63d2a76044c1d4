"""A device, as the station file says it: what every device has, and what its driver asks for."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from edge_agent.config.types import Id, Names, Table, misfit
from edge_agent.driver import DriverClass, Options, driver_names, load_driver
from edge_agent.units import Duration

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


def drivers_of(info: ValidationInfo) -> Mapping[str, DriverClass]:
    """Return the drivers to validate against: those in the context, or every installed one."""
    context: dict[str, Mapping[str, DriverClass]] = info.context or {}
    return context["drivers"] if "drivers" in context else InstalledDrivers()
