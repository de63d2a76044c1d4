"""What the station file may say about contacts."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from edge_agent.driver import Duration, LineRequest, Options

Role: TypeAlias = Literal[
    "door", "exit_button", "sos", "smoke", "cabinet_smoke", "water_leak", "mains_lost", "pulse", "input"
]

_LONGEST_SOS_DEBOUNCE = 0.05


class Contact(Options):
    """One contact on one GPIO line."""

    line: int = Field(ge=0, le=63)
    """GPIO line (BCM number)."""
    role: Role
    """What it means: `door`, `exit_button`, `sos`, `smoke`, `cabinet_smoke`, `water_leak`, `mains_lost` (a relay or
    power supply that tells), `pulse` (counted) or `input` (just shown)."""
    active: Literal["open", "closed"]
    """The contact's position when the door is open, the button pressed, the detector tripped or the pulse there.
    Detectors and doors are best wired so that it is `open`: then a broken wire is an alarm, not a silence."""
    name: str = Field("", pattern=r"^([a-z][a-z0-9_]{0,31})?$")
    """The point's name; the role's if left out."""
    pull: Literal["up", "down", "none"] = "up"
    """`up`: the contact joins the line to ground; `down`: to 3.3 V; `none`: an outside resistor pulls up."""
    debounce: Duration = Field(0.03, ge=0, le=1)
    """A level counts once it has lasted so long."""

    @property
    def point(self) -> str:
        """The name below the device."""
        return self.name or self.role

    def is_active(self, *, high: bool) -> bool:
        """What a level of the line means."""
        closed = high if self.pull == "down" else not high
        return closed == (self.active == "closed")

    def level(self, *, active: bool) -> bool:
        """The level of the line (True = high) that means `active`."""
        return self.is_active(high=True) == active

    @property
    def request(self) -> LineRequest:
        """The line as the link must set it up."""
        return LineRequest(self.line, pull=self.pull, edges="both")

    @model_validator(mode="after")
    def _sos_is_quick(self) -> Self:
        if self.role == "sos" and self.debounce > _LONGEST_SOS_DEBOUNCE:
            raise ValueError("debounce of an sos contact is 50 ms at most – a short press must not be lost")
        return self


class ContactsOptions(Options):
    """Keys of a `[[device]]` with `driver = "contacts"`."""

    inputs: tuple[Contact, ...] = Field(min_length=1)
    """The contacts, one table each."""
    storm: int = Field(200, ge=20)
    """Edges of one contact within a second that are no contact any more: it is not believed until it calms down."""

    @property
    def known_points(self) -> frozenset[str]:
        """One for each contact."""
        return frozenset(
            f"{contact.point}_pulses" if contact.role == "pulse" else contact.point for contact in self.inputs
        )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, values in (
            ("line", [str(contact.line) for contact in self.inputs]),
            ("name", [contact.point for contact in self.inputs]),
        ):
            twice = sorted(value for value in set(values) if values.count(value) > 1)
            if twice:
                raise ValueError(f"inputs: {what} {twice[0]} is used twice – each contact needs its own")
        return self
