"""What counts as a visit, who is not counted, and how many are held to be inside."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from edge_agent.config.types import File, Table, misfit
from edge_agent.units import Duration

At: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,31}(\.[a-z0-9][a-z0-9_-]*)?$")]
"""A device, or one of its readers or doors: DEVICE or DEVICE.NAME."""
Group: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$")]
"""Name of a group: it becomes part of a name of the ledger."""


class Visits(Table):
    """What counts as a visit."""

    count_by: Literal["cards", "door", "beams"] = "cards"
    """What is one visit: a granted swipe (`cards`), a door that opens and closes (`door`), somebody who walks in
    through light beams (`beams`). Whatever does not count is told all the same: swipes as `swipe`."""
    entry: tuple[At, ...] = ()
    """Readers whose swipes are visits, as DEVICE or DEVICE.READER. Default: all that are not in `exit`."""
    exit: tuple[At, ...] = ()
    """Readers inside, as DEVICE or DEVICE.READER: a swipe there is an `exit_swipe`."""
    doors: tuple[At, ...] = ()
    """Doors or beams that count, as DEVICE or DEVICE.DOOR, where `count_by` is `door` or `beams`. Default: all."""
    shortest_opening: Annotated[Duration, Field(ge=0, le=60)] = 1.0
    """A door that closes sooner let nobody in."""
    longest_opening: Annotated[Duration, Field(ge=1, le=86400)] = 120.0
    """A door that stays open longer was propped open: nobody can say how many came."""
    openings_per_visit: Literal[1, 2] = 1
    """2 where everybody leaves by the same door and nothing tells coming from going: no button, no reader inside."""
    staff: File | None = None
    """File with the references of staff and maintenance cards, one a line (`edge-agent card-ref` makes them): their
    swipes are `staff_entry`, counted apart."""
    groups: Mapping[Group, File] = Field(default_factory=dict)
    """Name of a group (`courier`, `sanitation`) and the file with the references of its cards: its visits are also
    counted as `visits_NAME`."""
    typical_stay: Annotated[Duration, Field(ge=60, le=86400)] = 1800.0
    """How long people stay as a rule: by it `people_inside` forgets whoever was not seen to leave."""
    fewest_told: Annotated[int, Field(ge=2, le=100)] = 5
    """A day with fewer different visitors than this does not say how many they were: few people can be recognised."""
    mismatch: Annotated[int, Field(ge=1, le=1000)] = 30
    """A day whose swipes and door openings differ by more than so many percent (and by at least ten) raises the alarm
    `count_mismatch`."""

    @model_validator(mode="after")
    def _consistent(self) -> "Visits":
        both = sorted(set(self.entry) & set(self.exit))
        if both:
            raise misfit("exit", f"{both[0]} is in entry and in exit – a reader is on one side of the door")
        if "inferred" in self.groups:
            raise misfit("groups", "groups: inferred is a word of the ledger's own – take another name")
        if self.longest_opening <= self.shortest_opening:
            raise misfit("longest_opening", "longest_opening is not above shortest_opening – lengthen it")
        return self
