"""Switches relays on GPIO lines, for a time or until told otherwise, and reads each line back."""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from drivers.relay_gpio import codec
from drivers.relay_gpio.options import Output, RelayGpioOptions
from drivers.relay_gpio.simulator import RelayGpioSimulator
from edge_agent.driver import (
    Arguments,
    Chunk,
    Command,
    LineRequest,
    Link,
    Reading,
    Record,
    Site,
    Verbs,
    Wire,
    arguments,
    takes,
)

_SHORTEST_S = 0.05
"""A relay needs some 10 ms to move."""
_LONGEST_S = 86_400.0
_WITHIN_S = 1.0


class RelayGpio:
    """Any number of relays. The link has them off from its opening to its closing, unless they are told otherwise."""

    Options: ClassVar[type[RelayGpioOptions]] = RelayGpioOptions
    Simulator: ClassVar[type[RelayGpioSimulator]] = RelayGpioSimulator
    wire: ClassVar[Wire] = Wire.GPIO
    sensitive: ClassVar[bool] = False

    settle = 0.0
    """It listens to nothing; it only takes its lines as those who listen do."""

    def __init__(self, options: RelayGpioOptions, site: Site) -> None:
        del site
        self._outputs = {output.name: output for output in options.outputs}
        self._until: dict[str, float] = {}
        self._commanded: dict[str, Reading] = {}

    def lines(self) -> tuple[LineRequest, ...]:
        """One line a relay, off."""
        return tuple(output.request for output in self._outputs.values())

    def poll(self, link: Link) -> Iterable[Record]:
        """Switch off what has been on long enough, and read every line back."""
        now = link.monotonic()
        for name in [name for name, until in self._until.items() if until <= now]:
            self._switch(link, self._outputs[name], on=False)
        for output in self._outputs.values():
            high = codec.is_high(link.ask(codec.look(output.line), reply=codec.shape(output.line), within=_WITHIN_S))
            on = high == output.level(on=True)
            yield Reading(output.name, "on" if on else "off", prompt=True)
        yield from self._commanded.values()

    def verbs(self) -> Verbs:
        """`on_NAME`, `off_NAME` and `pulse_NAME` of each relay, so that each can be allowed by itself."""
        return {verb: model for output in self._outputs.values() for verb, model in _verbs(output)}

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Switch one relay; raises LinkError if the lines are lost."""
        args = arguments(self.verbs(), command)
        way, _, name = command.name.partition("_")
        output = self._outputs[name]
        self._switch(link, output, on=way != "off")
        seconds = args.get("seconds", output.longest)
        if way != "off" and seconds:
            self._until[name] = link.monotonic() + seconds
        yield self._commanded[name]

    def due(self) -> float:
        """When the next relay has been on long enough."""
        return min(self._until.values(), default=math.inf)

    def release(self, link: Link) -> Iterable[Record]:
        """Switch everything off."""
        for output in self._outputs.values():
            self._switch(link, output, on=False)
        yield from self._commanded.values()

    def feed(self, chunk: Chunk) -> Iterable[Record]:
        """Outputs say nothing by themselves."""
        del chunk
        return ()

    def quiet(self, now: float) -> Iterable[Record]:
        """Nothing."""
        del now
        return ()

    def _switch(self, link: Link, output: Output, *, on: bool) -> None:
        question = codec.drive(output.line, high=output.level(on=on))
        link.ask(question, reply=codec.shape(output.line), within=_WITHIN_S)
        self._until.pop(output.name, None)
        self._commanded[output.name] = Reading(f"commanded_{output.name}", "on" if on else "off", prompt=True)


def _verbs(output: Output) -> Iterator[tuple[str, type[Arguments]]]:
    seconds = Annotated[float, Field(ge=_SHORTEST_S, le=output.longest or _LONGEST_S)]
    yield f"on_{output.name}", Arguments
    yield f"off_{output.name}", Arguments
    yield f"pulse_{output.name}", takes(seconds=seconds)
