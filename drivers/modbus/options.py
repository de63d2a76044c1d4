"""What the station file may say about a Modbus device."""

from typing import Annotated

from pydantic import Field, field_validator

from drivers.modbus.profile import load_profile
from edge_agent.driver import Duration, Options


class ModbusOptions(Options):
    """Keys of a `[[device]]` with `driver = "modbus"`."""

    profile: str
    """The device model: a shipped profile's name, or the path of a profile file (contains a "/")."""
    address: int = Field(1, ge=1, le=255)
    """Unit address of the device (1 to 247; a few devices use 248 to 255)."""
    timeout: Annotated[Duration, Field(gt=0, le=10)] = 1.0
    """Longest wait for an answer, such as "500ms"."""
    retries: int = Field(2, ge=0, le=2)
    """How often a damaged answer to a read is asked for again; silence and writes are never repeated."""

    @field_validator("profile")
    @classmethod
    def _loads(cls, name: str) -> str:
        load_profile(name)
        return name
