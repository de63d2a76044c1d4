"""Captured bytes and what explains them: the contract behind `edge-agent decode`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.errors import DeviceError
from edge_agent.records import Json

STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Capture:
    """Bytes somebody captured and wants explained, with what is known of them.

    `direction` is `request` or `response`; `kind` is `stream` for bytes as read from a line (noise, several frames);
    `request` is what they answer, where known; `options` choose a variant: `model`, `dialect`, …
    """

    data: bytes
    direction: str = "response"
    kind: str = ""
    request: bytes | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def number(self, option: str, usual: int) -> int:
        """Return an option that is a number from 0, decimal or 0x…; raises DeviceError if it is none."""
        text = self.options.get(option, str(usual))
        try:
            number = int(text, 16 if text.lower().startswith("0x") else 10)
        except ValueError:
            number = -1
        if number < 0:
            raise DeviceError(f"option {option}: {text[:20]!r} is no number")
        return number


Meaning = dict[str, Json]
"""What a capture means, by the vectors' key names."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """What explains the captures of one protocol.

    `explain` takes one frame and returns its meaning, or raises DeviceError with the reason for refusing it. `find`
    returns the first whole, checked frame in bytes sent in a direction: with it streams are explained frame by frame,
    without it `explain` gets them as they are. `options` names those it knows, each with the values it takes, () for
    numbers and free text. A driver folder that can explain frames exports `DECODERS: Mapping[str, Decoder]`, protocol
    name -> decoder.
    """

    explain: Callable[[Capture], Meaning]
    find: Callable[[bytes, str], bytes | None] | None = None
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __call__(self, capture: Capture) -> Meaning:
        """Return what the capture means; raises DeviceError with the reason for refusing it.

        Of a stream are told: how many frames are good, the meaning of the first, that of the `others`, and how many
        bytes were noise. A frame that `explain` refuses counts as noise, and so does the echo of the request: known by
        its length, as an answer may be the same bytes.
        """
        if capture.kind != STREAM or self.find is None:
            return self.explain(capture)
        echo = capture.request or b"" if capture.direction == "response" else b""
        told = list(self._frames(capture, capture.data.removeprefix(echo))) or list(self._frames(capture, capture.data))
        if not told:
            raise DeviceError("no good frame in the stream")
        (_, first), *others = told
        noise = len(capture.data) - sum(size for size, _ in told)
        meaning = {"frames": len(told), **first}
        if others:
            meaning["others"] = [other for _, other in others]
        return meaning | ({"noise_bytes": noise} if noise else {})

    def _frames(self, capture: Capture, data: bytes) -> Iterator[tuple[int, Meaning]]:
        """Yield length and meaning of every frame in `data` that can be explained."""
        while self.find and (frame := self.find(data, capture.direction)):
            data = data[data.index(frame) + len(frame) :]
            try:
                yield len(frame), self.explain(replace(capture, data=frame, kind=""))
            except DeviceError:
                continue
