"""The local echo of half-duplex adapters: cut off by count, and learnt from what is heard."""

from typing import Literal

Setting = Literal["auto", "yes", "no"]


class Echo:
    """What is known of one wire; `heard` is True if its last whole conversation began with an echo."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.heard = False

    def cut(self, request: bytes, received: bytes, *, ambiguous: bool) -> bytes:
        """Return `received` without the echo of `request`.

        An answer that equals its request byte for byte (a lock board's "failed") cannot be told from an echo by
        content: where the answer is so `ambiguous`, only what the wire has shown before, or the setting, decides.
        """
        if self._setting == "yes" or (self._setting == "auto" and ambiguous and self.heard):
            return received[len(request) :]
        if self._setting == "auto" and not ambiguous and received.startswith(request):
            return received[len(request) :]
        return received

    def learn(self, request: bytes, before: bytes) -> None:
        """Note what came before an unambiguous answer; an echo that came damaged proves nothing either way."""
        if request in before:
            self.heard = True
        elif not before:
            self.heard = False
