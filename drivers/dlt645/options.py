"""What the station file may say about a DL/T 645 meter."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from drivers.dlt645.items import POINTS, USUAL, identifier
from edge_agent.driver import Duration, Options

ANY = "any"


class Dlt645Options(Options):
    """Keys of a `[[device]]` with `driver = "dlt645"`."""

    address: str = Field(pattern=r"^(\d{1,12}|any)$")
    """The number on the meter's front, up to 12 digits. `any`: the meter is asked for it; it must be alone on its
    link and of the edition 2007."""
    edition: Literal["2007", "1997"] = "2007"
    """Edition of the standard, printed on the meter as DL/T 645-2007 or DL/T 645-1997."""
    points: tuple[str, ...] = Field(USUAL, min_length=1)
    """What is read, each with one question; the README lists the names. What the edition does not have is left out."""
    sign: Literal["top_bit", "none"] = "top_bit"
    """`top_bit`: the highest bit of a current or power means the other direction; `none`: it is part of the number."""
    ct_ratio: int = Field(1, ge=1, le=2000)
    """Ratio of the current transformers (200/5 A: 40); currents, powers and energies are multiplied by it."""
    wake: int = Field(4, ge=0, le=8)
    """Bytes FE sent before each question to wake the meter."""
    timeout: Duration = Field(2.0, gt=0, le=10)
    """Longest wait for a whole answer: it may begin after 500 ms and pause as long between two bytes."""

    @field_validator("address")
    @classmethod
    def _whole(cls, address: str) -> str:
        return address if address == ANY else address.zfill(12)

    @field_validator("points")
    @classmethod
    def _known(cls, points: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [point for point in points if point not in POINTS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no point of a meter – there are {', '.join(POINTS)}")
        return points

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.address == ANY and self.edition == "1997":
            raise ValueError("a meter of 1997 cannot be asked for its address – write the number on its front")
        if not self.wanted:
            raise ValueError(f"points: edition {self.edition} has none of these")
        return self

    @property
    def wanted(self) -> tuple[str, ...]:
        """The data identifiers to read."""
        found = (identifier(self.edition, point) for point in self.points)
        return tuple(di for di in found if di is not None)
