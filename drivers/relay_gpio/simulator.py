"""Relays, seen from behind the GPIO lines."""

from collections.abc import Iterable

from drivers.relay_gpio.options import RelayGpioOptions
from edge_agent.driver import Chunk, Site


class RelayGpioSimulator:
    """Holds each line where it was last driven, at first off; answers as the link does."""

    def __init__(self, options: RelayGpioOptions, site: Site) -> None:
        del site
        self._outputs = {output.name: output for output in options.outputs}
        self._high = {output.line: output.level(on=False) for output in options.outputs}

    def is_on(self, name: str) -> bool:
        """Tell whether a relay is on."""
        output = self._outputs[name]
        return self._high[output.line] == output.level(on=True)

    def answer(self, request: bytes) -> bytes:
        """Drive a line if told to, and give its level; silence for what is no question about one of its lines."""
        name, _, wanted = request.decode("ascii", "replace").partition("=")
        line = int(name) if name.isascii() and name.isdigit() else -1
        if line not in self._high or wanted not in {"", "0", "1"}:
            return b""
        if wanted:
            self._high[line] = wanted == "1"
        return b"1" if self._high[line] else b"0"

    def play(self) -> Iterable[Chunk]:
        """Say nothing: a relay only obeys."""
        return ()
