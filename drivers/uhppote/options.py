"""What the station file may say about a door controller."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from edge_agent.driver import Duration, Options

PointName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class UhppoteOptions(Options):
    """Keys of a `[[device]]` with `driver = "uhppote"`."""

    controller: Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]
    """Serial number of the controller, as printed on its board."""
    doors: Annotated[tuple[PointName, ...], Field(min_length=1, max_length=4)] = (
        "door_1",
        "door_2",
        "door_3",
        "door_4",
    )
    """Names of doors 1, 2, … as points and events carry them; as many as are in use."""
    identity: Literal["own", "w26", "w34"] = "own"
    """What makes a card the same card: the number as the controller tells it (`own`), or the bits that a Wiegand 26
    or 34 reader of the same operator sees."""
    visits: Literal["in", "both"] = "in"
    """Granted swipes that are visits: those at the readers outside (`in`), or at all readers (`both`)."""
    timeout: Annotated[Duration, Field(ge=0.1, le=5)] = 1.0
    """How long an answer may take."""

    @field_validator("doors")
    @classmethod
    def _different(cls, doors: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(doors)) < len(doors):
            raise ValueError("has a name twice – give each door its own")
        return doors
