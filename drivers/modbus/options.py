"""What the station file may say about a Modbus device."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from drivers.modbus.profile import load_profile
from edge_agent.driver import Duration, Options


class ModbusOptions(Options):
    """Keys of a `[[device]]` with `driver = "modbus"`."""

    profile: str
    """The device model: a shipped profile's name, or the path of a profile file (contains a "/")."""
    address: int = Field(1, ge=1, le=255)
    """Unit address of the device (1 to 247; the profile says if its model uses others)."""
    timeout: Annotated[Duration, Field(gt=0, le=10)] | None = None
    """Longest wait for an answer, such as "500ms". Default: the profile's."""
    retries: int = Field(2, ge=0, le=2)
    """How often a damaged answer to a read is asked for again; silence and writes are never repeated."""

    @property
    def modbus(self) -> bool:
        """Always."""
        return True

    @property
    def known_points(self) -> frozenset[str]:
        """Those of the profile, and what was last ordered where it has commands."""
        profile = load_profile(self.profile)
        ordered = (point for verb in profile.command.values() for point in verb.points)
        return frozenset({point.name for point in profile.points}.union(ordered))

    @field_validator("profile")
    @classmethod
    def _loads(cls, name: str) -> str:
        load_profile(name)
        return name

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        low, high = load_profile(self.profile).addresses
        if not low <= self.address <= high:
            raise ValueError(
                f"address {self.address} is not one device's alone on {self.profile} – take {low} to {high}; "
                "a broadcast would reach every device on the pair"
            )
        return self
