"""What the station file may say about relays."""

from typing import Literal, Self

from pydantic import Field, model_validator

from edge_agent.driver import Duration, LineRequest, Options


class Output(Options):
    """One relay on one GPIO line."""

    line: int = Field(ge=0, le=63)
    """GPIO line (BCM number)."""
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,24}$")
    """The point's name; the verbs are `on_NAME`, `off_NAME` and `pulse_NAME`."""
    on: Literal["high", "low"]
    """Level of the line that switches it on; relay boards with opto-couplers mostly take `low`."""
    longest: Duration = Field(60.0, ge=0, le=86400)
    """Longest time it stays on, whoever switched it on; 0 = until it is switched off."""

    @property
    def request(self) -> LineRequest:
        """The line as the link must set it up: off from the first moment on."""
        return LineRequest(self.line, pull="none", safe=self.level(on=False))

    def level(self, *, on: bool) -> bool:
        """The level (True = high) that means `on`."""
        return on == (self.on == "high")


class RelayGpioOptions(Options):
    """Keys of a `[[device]]` with `driver = "relay_gpio"`."""

    outputs: tuple[Output, ...] = Field(min_length=1)
    """The relays, one table each."""

    @property
    def known_points(self) -> frozenset[str]:
        """Two for each relay: what is, and what was ordered."""
        names = [output.name for output in self.outputs]
        return frozenset(names).union(f"commanded_{name}" for name in names)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, values in (
            ("line", [str(output.line) for output in self.outputs]),
            ("name", [output.name for output in self.outputs]),
        ):
            twice = sorted(value for value in set(values) if values.count(value) > 1)
            if twice:
                raise ValueError(f"outputs: {what} {twice[0]} is used twice – each relay needs its own")
        return self
